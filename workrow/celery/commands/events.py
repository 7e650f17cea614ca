"""``events``: what happens to calls, as it happens."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import click

from workrow.celery import codec
from workrow.celery.worker.engine import PRIVATE

LOOK_SECONDS = 1.0
LATE = timedelta(seconds=10)
"""So much later than it says may a transaction commit and still be told of."""
LATE_IDS = 1_000
"""The same in ids: they are given before the transaction commits."""
REMEMBERED = 100_000
ENDED = {"succeeded": "succeeded", "failed": "failed", "cancelled": "revoked", "aborted": "revoked"}
NOT_HERE = {
    "camera": "--camera: no state is kept in memory: the views of docs/monitoring.md have it at any time",
    "frequency": "--frequency is of --camera, which is not there",
    "maxrate": "--maxrate is of --camera, which is not there",
}


@click.command()
@click.option("-d", "--dump", is_flag=True, help="Print what happens, a line for each event.")
@click.option("-c", "--camera", hidden=True)
@click.option("-F", "--frequency", "--freq", "frequency", hidden=True)
@click.option("-r", "--maxrate", hidden=True)
@click.pass_obj
def events(app: Any, /, dump: bool, **others: Any) -> None:
    """Print what happens to calls until Ctrl-C; it is read from the database, and no worker sends anything for it."""
    for name, why in NOT_HERE.items():
        if others[name] is not None:
            raise click.UsageError(why)
    if not dump:
        raise click.UsageError("there is no monitor that fills the screen: give --dump, or see `workrow status`")
    following = Following(app)
    while True:
        for each in following.look():
            click.echo(each)
        time.sleep(LOOK_SECONDS)


class Event(NamedTuple):
    """Something that has happened to a call."""

    at: Any
    job: int
    kind: str


class Following:
    """What happens from now on, as lines of text.

    Args:
        app: the app of the door, whose database it is.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._told: OrderedDict[Event, None] = OrderedDict()
        ((self._first, self._began),) = app.store.run("celery_events_from")
        self._after, self._since = self._first, self._began

    def look(self) -> list[str]:
        """What has happened since the last look."""
        found: dict[Event, str] = {}
        for row in self._app.store.run("celery_events", after=self._after, since=self._since):
            job, task, _, _, _, args, *_, seen_at = row
            if task in PRIVATE or not isinstance(args, dict) or "id" not in args:
                continue
            found |= {event: _line(event, row) for event in self._events(row)}
            self._after = max(self._after, job - LATE_IDS, self._first)
            self._since = max(self._since, min(seen_at, seen_at - LATE), self._began)
        new = [each for each in sorted(found) if each not in self._told]
        for event in found:
            self._told[event] = None
            self._told.move_to_end(event)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return [found[each] for each in new]

    def _events(self, row: Any) -> Iterator[Event]:
        job, _, _, status, _, _, _, _, created_at, started_at, finished_at, _ = row
        if job > self._first and created_at:
            yield Event(created_at, job, "sent")
        if started_at and started_at >= self._began:
            yield Event(started_at, job, "started")
        if finished_at and finished_at >= self._began:
            yield Event(finished_at, job, ENDED.get(status, status))


def _line(event: Event, row: Any) -> str:
    _, task, queue, _, worker, told, error_type, error, _, started_at, finished_at, _ = row
    by = "client" if event.kind == "sent" else worker or "-"
    said = {"queue": queue, "retries": told.get("retries", 0)}
    if event.kind == "succeeded" and started_at:
        said["runtime"] = (finished_at - started_at).total_seconds()
    if event.kind == "failed":
        said["exception"] = f"{error_type}({error!r})"
    for name in ("eta", "parent_id"):
        if told.get(name):
            said[name] = told[name]
    args, kwargs = (_shown(told.get(name)) for name in ("args", "kwargs"))
    args = repr(tuple(args)) if isinstance(args, list) else repr(args)
    more = ", ".join(f"{name}={value}" for name, value in said.items())
    return f"{by} [{event.at}] task {event.kind}: {task}({told['id']}) args={args} kwargs={kwargs!r} {more}"


def _shown(packed: Any) -> Any:
    try:
        return codec.unpack(packed)
    except Exception:  # what somebody else has written there
        return packed
