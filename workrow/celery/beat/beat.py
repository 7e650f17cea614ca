"""Who sends what is due: one of any number of processes, each of which looks by itself."""

import json
import math
import threading
import time
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from workrow.celery import clock
from workrow.celery.beat.entry import ScheduleEntry, SchedulingError, entries_of
from workrow.celery.beat.stored import Shelf
from workrow.celery.signals import beat_embedded_init, beat_init
from workrow.database.held import AGAIN_SECONDS, BRIEF_MS, ERRORS, PATIENCE_MS
from workrow.database.outage import Outage, is_lost, told
from workrow.errors import DatabaseUnavailable, QueueFull
from workrow.logs import get_logger

logger = get_logger(__name__)

MAX_INTERVAL = 60.0
"""Seconds from one look to the next at most, and from one touch of its entries to the next."""
FRESH_SECONDS = 180.0
"""What was declared last is in force; if nobody has said so for so long, what another declares is."""
TAKEN_SECONDS = 0.2
"""How soon to look again at an entry that another has taken, and may fail to send."""
HOLD_SECONDS = 30
"""Who holds an entry for longer, without saying anything, has lost it to the others."""
FARTHEST = 3650 * 86400.0
"""A next time that is later than so many seconds is none that can be written down."""


class Row(NamedTuple):
    """What the database knows of an entry; ``last``: None: no time that makes sense."""

    version: str
    fresh: bool
    last: datetime | None


class Beat:
    """Sends the calls of ``beat_schedule``, and of the rows of ``workrow.celery_entries``, when they are due.

    Any number of these may run, in ``beat`` processes and in workers with ``-B``. Each looks at ``last_run_at`` of the
    entries, asks their schedules, by the database's clock, and takes what is due: the call and the new ``last_run_at``
    are one transaction, whoever else has seen the old one sends nothing. So a due time has one call, whoever is killed
    when. Of due times that were missed because nobody ran, one is made up for, as with Celery's schedule file;
    `crontab` has ``beat_cron_starting_deadline``. An interval counts from its last run, a new entry from now.

    The entry that was declared last is in force: a release that starts later has its way, and the older one sends
    nothing more of an entry that the younger one has changed. An entry that is gone from all of them is forgotten
    after an hour. Apps that share a database need names of their own, ``Celery("shop")``.

    Args:
        app: the app of the door, loaded.
        max_interval: seconds between two looks at most, up to a minute; None: ``beat_max_loop_interval``, or a minute.

    Attributes:
        schedule: its entries, by their names; those of the rows are as they were at the last look.

    Raises:
        ImproperlyConfigured: ``beat_schedule`` cannot be read.
    """

    def __init__(self, app: Any, max_interval: float | None = None) -> None:
        self.app = app
        self.max_interval = min(max_interval or app.conf.get("beat_max_loop_interval") or MAX_INTERVAL, MAX_INTERVAL)
        self._declared = entries_of(app)
        self._shelf = Shelf(app, self._declared)
        self.schedule: dict[str, ScheduleEntry] = {**self._declared}
        self._versions = {name: entry.version for name, entry in self.schedule.items()}
        self._undeclared = set(self.schedule)
        self._overruled: set[str] = set()
        self._held: set[str] = set()
        self._next: dict[str, datetime] = {}
        self._touched = -math.inf
        self._stopped = threading.Event()

    def run(self, embedded: bool = False) -> None:
        """Look and send until `stop`; outages of the database are waited for.

        Args:
            embedded: beside a worker, which sends ``beat_embedded_init`` too.

        Raises:
            WorkrowError: the database was never migrated, or is not ours to write in.
        """
        beat_init.send(self)
        if embedded:
            beat_embedded_init.send(self)
        logger.info("beat runs, with %d entries", len(self.schedule))
        outage = Outage("beat")
        began = False
        while not self._stopped.is_set():
            try:
                delay = self.run_once()
            except Exception as error:
                delay = AGAIN_SECONDS
                if isinstance(error, ERRORS):
                    logger.info("beat: an open transaction is in the way, trying again: %s", told(error))
                elif isinstance(error, DatabaseUnavailable) or is_lost(error):
                    outage.noted(error, delay)
                elif began:
                    logger.exception("beat has failed, and tries again")
                else:
                    raise
            else:
                began = True
                outage.over()
            self._stopped.wait(delay)
        outage.forget()

    def stop(self) -> None:
        """End `run`, after what it is sending. From any thread."""
        self._stopped.set()

    def run_once(self) -> float:
        """Send what is due.

        Returns:
            The seconds until the next look.
        """
        rows, zero = self._read()
        if self._declare(rows):
            rows, zero = self._read()
        wakes = {time.monotonic() + (AGAIN_SECONDS if self._undeclared else self.max_interval)}
        # what was held when it was last tried does not delay the others
        for name in sorted(self.schedule, key=self._held.__contains__):
            row = rows.get(name)
            if row is not None and row.version == self._versions[name]:
                now = time.monotonic()
                wakes.add(now + self._look(self.schedule[name], row, zero + timedelta(seconds=now)))
        self._touch()
        return max(0.001, min(wakes) - time.monotonic())

    def _read(self) -> tuple[dict[str, Row], datetime]:
        """The rows of our entries, and what the database's clock showed when our monotonic one was at 0."""
        with self.app.store.bounded(PATIENCE_MS) as run:
            found = run("celery_beat_entries", app=self._app_name, fresh=FRESH_SECONDS)
            # after it: an entry that is sent once is not there any more in what is read after its mark
            stored = run("celery_beat_stored", app=self._app_name)
        if self._shelf.differs(stored):
            self._arrange()
        now = found[0][-1] if found else clock.now()  # without rows nobody asks
        return {name: Row(*rest) for name, *rest, _ in found}, now - timedelta(seconds=time.monotonic())

    @property
    def _app_name(self) -> str:
        return self.app.main or "__main__"

    def _arrange(self) -> None:
        """Entries that stand in the database have come, changed or gone."""
        self.schedule = {**self._shelf.entries, **self._declared}
        versions = {name: entry.version for name, entry in self.schedule.items()}
        self._undeclared |= {name for name, version in versions.items() if self._versions.get(name) != version}
        self._versions = versions
        for gone in (self._undeclared, self._overruled, self._held):
            gone &= versions.keys()
        self._next = {name: due for name, due in self._next.items() if name in versions}

    # ---------------------------------------------------------------- what is declared

    def _declare(self, rows: dict[str, Row]) -> bool:
        """Write down what is new, gone, or said otherwise by nobody who still runs. Returns whether there was any."""
        changed = False
        for name, entry in self.schedule.items():
            row = rows.get(name)
            if row is not None and row.version == self._versions[name]:
                self._undeclared.discard(name)
                self._overruled.discard(name)
            elif row is not None and row.fresh and name not in self._undeclared:
                if name not in self._overruled:
                    logger.warning("beat: %s is not sent from here: who started later declares it otherwise", name)
                    self._overruled.add(name)
            else:
                changed |= self._write_down(entry)
        return changed

    def _write_down(self, entry: ScheduleEntry) -> bool:
        row: dict[str, Any] = {"app": self._app_name, "name": entry.name, "task": entry.task, "schedule": str(entry)}
        row |= {"version": self._versions[entry.name], "last": entry.counts_from}
        try:
            with self.app.store.bounded(BRIEF_MS) as run:
                run("celery_beat_declare", **row, timezone=entry.zone)
        except ERRORS:
            self._undeclared.add(entry.name)
            return False
        self._undeclared.discard(entry.name)
        self._touched = -math.inf
        return True

    def _touch(self) -> None:
        """Say, once a minute, that our entries are still declared, and when they are due; forget those of nobody."""
        if time.monotonic() - self._touched < MAX_INTERVAL:
            return
        entries = [
            {"name": name, "version": self._versions[name], "next": due.isoformat()} for name, due in self._next.items()
        ]
        with self.app.store.bounded(PATIENCE_MS) as run:
            run("celery_beat_touch", app=self._app_name, entries=json.dumps(entries))
            run("celery_beat_forget", app=self._app_name, names=[*self.schedule])
        self._touched = time.monotonic()

    # ---------------------------------------------------------------- what is due

    def _look(self, entry: ScheduleEntry, row: Row, now: datetime) -> float:
        """Send the entry, if it is due. Returns the seconds until the next look at it."""
        with clock.at(now):
            last = row.last
            try:
                waits = last is None or (last > now and last - now > 2 * self._ask(entry, now)[1])
                if last is None or waits:
                    last = self._set_back(entry, row, now)
                is_due, wait = self._ask(entry, last)
            except SchedulingError as error:
                logger.error("beat: %s, and is asked again", error, exc_info=error)
                return self.max_interval
            self._next[entry.name] = now + wait
            if is_due and not self._take(entry, last, now):
                return AGAIN_SECONDS if entry.name in self._held else TAKEN_SECONDS
            return wait.total_seconds()

    def _ask(self, entry: ScheduleEntry, last: datetime) -> tuple[bool, timedelta]:
        """Whether it is due, and how long until it is to be asked again."""
        try:
            is_due, seconds = entry.is_due(last.astimezone(self.app.timezone))
            seconds = min(max(float(seconds), 0.0), FARTHEST) if seconds is not None else self.max_interval
        except Exception as error:
            raise SchedulingError(f"{entry.name}: its schedule does not say when it is due: {error}") from error
        return is_due, timedelta(seconds=seconds)

    def _set_back(self, entry: ScheduleEntry, row: Row, now: datetime) -> datetime:
        logger.warning("beat: %s was last sent at %s, which is ahead: it counts from now", entry.name, row.last)
        with self.app.store.bounded(BRIEF_MS) as run:
            run("celery_beat_set_back", app=self._app_name, name=entry.name, now=now)
        return now

    def _take(self, entry: ScheduleEntry, seen: datetime, now: datetime) -> bool:
        """Send the call, unless another does. Returns whether that is done; what cannot be sent counts as sent."""
        mark = {"app": self._app_name, "name": entry.name, "version": self._versions[entry.name], "seen": seen}
        told_of = {"now": now, "next": self._next[entry.name]}
        try:
            return self._send(entry, mark, {**told_of, "error": None})
        except Exception as error:
            if isinstance(error, (*ERRORS, QueueFull)):
                if entry.name not in self._held:
                    logger.info("beat: %s waits: %s", entry.name, _in_the_way(error))
                self._held.add(entry.name)
                return False
            if _of_database(error):
                raise
            logger.error("beat: %s", error, exc_info=error)
            return self._send(None, mark, {**told_of, "error": _text(error)})

    def _send(self, entry: ScheduleEntry | None, mark: dict[str, Any], new: dict[str, Any]) -> bool:
        """Mark it as sent, with its call; without an entry the mark alone."""
        patience = BRIEF_MS if mark["name"] in self._held else PATIENCE_MS
        began = time.monotonic()
        handle = None
        with self.app.store.bounded(patience) as run:
            if not run("celery_beat_take", **mark, patience=f"{HOLD_SECONDS}s"):
                return False
            once = {"app": mark["app"], "name": mark["name"]}
            if self.schedule[mark["name"]].one_off and not run("celery_beat_once", **once):
                return False
            if entry is not None:
                try:
                    handle = entry.send()
                finally:
                    if (took := time.monotonic() - began) > HOLD_SECONDS * 0.9:
                        most = f"at most {HOLD_SECONDS} s"
                        raise SchedulingError(f"{entry.name}: the call took {took:.0f} s to make: {most}")
            run("celery_beat_sent", **mark, **new)
        self._held.discard(mark["name"])
        if entry is not None:
            logger.info("beat: sent %s (%s)[%s]", entry.name, entry.task, getattr(handle, "id", None))
        return True


def _in_the_way(error: Exception) -> str:
    return str(error) if isinstance(error, QueueFull) else f"an open transaction is in the way: {told(error)}"


def _of_database(error: Exception) -> bool:
    """Whether the database is away, or somebody is in the way, and not the entry wrong."""
    if isinstance(error, SchedulingError):
        return False
    return isinstance(error, (*ERRORS, DatabaseUnavailable)) or is_lost(error)


def _text(error: Exception) -> str:
    return str(error).replace("\0", "\\0").encode(errors="replace").decode()[:500]
