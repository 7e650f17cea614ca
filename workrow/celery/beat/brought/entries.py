"""What is brought, and what becomes of it."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from workrow.celery import codec
from workrow.celery.beat.entry import entries_of
from workrow.celery.beat.stored import Stored, StoredEntry
from workrow.celery.exceptions import CeleryError
from workrow.celery.foreign_errors import KombuError

NEVER = datetime(1990, 1, 1, tzinfo=UTC)
"""Stands for the last run of an entry that is to be sent at once where it comes from, since it never was."""
PATIENCE_MS = 10_000


class BringError(CeleryError):
    """Nothing can be read where entries are to be brought from."""


class Refusal(Exception):
    """An entry cannot be taken; its text says why."""


class Found(NamedTuple):
    """An entry, as it is found elsewhere.

    Attributes:
        name: of the entry.
        task: the name of its task.
        schedule: as in ``workrow.celery_entries``.
        args, kwargs, options: values.
        enabled, one_off, starts_at, ends_at: as in the table.
        last_run_at: when it was sent last.
    """

    name: str
    task: str
    schedule: Mapping[str, Any]
    args: Any
    kwargs: Any
    options: dict[str, Any]
    enabled: bool = True
    one_off: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    last_run_at: datetime | None = None


class Refused(NamedTuple):
    """One that cannot be taken.

    Attributes:
        name: of the entry.
        why: for people.
    """

    name: str
    why: str


class Line(NamedTuple):
    """What has become of an entry.

    Attributes:
        name: of the entry.
        outcome: ``new``, ``changed``, ``unchanged``; ``left``: ``beat_schedule`` has it; ``not taken``; or ``gone``: it
            is not there any more, and still here.
        told: what it is, or why not.
    """

    name: str
    outcome: str
    told: str


def bring(app: Any, source: str, found: Iterable[Found | Refused], dry: bool = False) -> Iterator[Line]:
    """Write entries of a scheduler into ``workrow.celery_entries``, in one transaction; a second time changes nothing.

    Args:
        app: the app of the door, loaded.
        source: where they are from.
        found: the entries.
        dry: write nothing.

    Returns:
        A line for each, when all is written.
    """
    declared = entries_of(app)
    name_of_app = app.main or "__main__"
    lines = []
    with app.store.bounded(PATIENCE_MS) as run:
        known = {name: (where, version) for name, where, version in run("celery_beat_known", app=name_of_app)}
        seen = set()
        for each in found:
            seen.add(each.name)
            if isinstance(each, Refused):
                lines.append(Line(each.name, "not taken", each.why))
            elif each.name in declared:
                lines.append(Line(each.name, "left", "it stands in beat_schedule, which goes first"))
            elif each.name in known and known[each.name][0] != source:
                lines.append(Line(each.name, "not taken", f"there is one of this name, from {known[each.name][0]}"))
            else:
                lines.append(_taken(app, each, source, known.get(each.name, (None, None))[1], None if dry else run))
        gone = [name for name, (where, _) in known.items() if where == source and name not in seen]
        lines += [
            Line(name, "gone", f"{source} has it no more; delete its row if it is not to be sent") for name in gone
        ]
    return iter(lines)


def _taken(app: Any, found: Found, source: str, before: str | None, run: Any) -> Line:
    try:
        args, kwargs, options = (codec.pack(each) for each in (found.args, found.kwargs, found.options))
        row = Stored(found.name, found.task, found.schedule, args, kwargs, options, *found[7:])
        entry = StoredEntry(app, row)
        _check_way(app, found)
    except (CeleryError, KombuError) as error:
        return Line(found.name, "not taken", str(error).removeprefix(f"{found.name}: "))
    values = row._asdict() | {"enabled": found.enabled}
    last = values.pop("last_run_at")
    version = hashlib.sha256(json.dumps(values, default=str, sort_keys=True).encode()).hexdigest()[:16]
    outcome = "new" if before is None else "unchanged" if before == version else "changed"
    if run is not None:
        where = {"app": app.main or "__main__", "source": source, "last_run_at": last}
        if outcome == "unchanged":
            run("celery_beat_ran", name=found.name, **where)
        else:
            documents = {key: json.dumps(values.pop(key)) for key in ("schedule", "args", "kwargs", "options")}
            run("celery_beat_bring", **values, **documents, **where, version=version)
    return Line(found.name, outcome, "; ".join([f"{found.task}, {entry}", *_notes(app, found)]))


def _notes(app: Any, found: Found) -> Iterator[str]:
    if not found.enabled:
        yield "not enabled"
    task = app.tasks.get(found.task)
    if task is None:
        yield "this app does not know the task"
        return
    try:
        task.check_arguments(*found.args, **found.kwargs)
    except TypeError as error:
        yield f"its arguments do not fit: {error}"


def _check_way(app: Any, found: Found) -> None:
    """Raise what the call would: for a queue that there is not, or a serializer that is not JSON."""
    codec.check_serializer(found.options.get("serializer"))
    app.router.route(dict(found.options), found.task, found.args, found.kwargs, task=app.tasks.get(found.task))
