"""An entry of ``beat_schedule``: what is sent, and when."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg

from workrow.celery.canvas.signature import Signature
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.schedules import crontab, maybe_schedule
from workrow.celery.schedules.base import schedstate
from workrow.errors import QueueFull

CLEANUP = "celery.backend_cleanup"
"""The entry that is there by itself where results expire, and the task that it sends."""
FIELDS = {"task", "schedule", "args", "kwargs", "options", "relative"}
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class SchedulingError(Exception):
    """An entry that is due was not sent."""


class BeatLazyFunc:
    """An argument of an entry that is made each time it is sent: ``BeatLazyFunc(datetime.now)``.

    Args:
        func: makes it, in less than 30 s.
        *args, **kwargs: are given to it.
    """

    def __init__(self, func: Any, *args: Any, **kwargs: Any) -> None:
        self._func = func
        self._args, self._kwargs = args, kwargs

    def __call__(self) -> Any:
        return self._func(*self._args, **self._kwargs)

    delay = __call__


class ScheduleEntry:
    """One entry.

    Args:
        app: the app of the door.
        name: of the entry.
        task: the name of a task, whether this app has it or not.
        schedule: seconds, a timedelta, or a schedule.
        args, kwargs: of the call.
        options: of ``apply_async``.
        relative: an interval counts from the full day, hour, minute or second.

    Attributes:
        one_off: it is sent once.
        counts_from: when it was sent last, if beat has not sent it yet; None: now.

    Raises:
        ImproperlyConfigured: it has no task or no schedule.
    """

    def __init__(
        self,
        app: Any,
        name: Any,
        task: Any = None,
        schedule: Any = None,
        args: Any = (),
        kwargs: Any = None,
        options: Any = None,
        relative: bool = False,
    ) -> None:
        if not _is_word(name):
            raise ImproperlyConfigured(f"beat_schedule[{name!r}]: the name of an entry must be text, without NUL")
        if not _is_word(task) or not task:
            raise ImproperlyConfigured(f"beat_schedule[{name!r}]: 'task' must be the name of a task, not {task!r}")
        try:
            found = maybe_schedule(schedule, relative, app=app)
        except (AttributeError, TypeError):
            found = None
        if not callable(getattr(found, "is_due", None)):
            raise ImproperlyConfigured(
                f"beat_schedule[{name!r}]: 'schedule' must be seconds, a timedelta or a schedule, not {schedule!r}"
            )
        self.app = app
        self.name: str = name
        self.task: str = task
        self.schedule: Any = found
        self.args = args or ()
        self.kwargs = kwargs or {}
        self.options = options or {}
        self.relative = relative
        self.one_off = False
        self.counts_from: datetime | None = None

    def is_due(self, last_run_at: datetime) -> schedstate:
        """What its schedule says: whether it is to be sent, and the seconds after which to ask again."""
        state: schedstate = self.schedule.is_due(last_run_at)
        return state

    def send(self) -> Any:
        """Send the call.

        Raises:
            SchedulingError: it cannot be made.
            QueueFull: its queue has no room.
            psycopg.Error: it cannot be written.
        """
        try:
            args = [_made(value) for value in self.args]
            kwargs = {name: _made(value) for name, value in self.kwargs.items()}
        except Exception as error:
            raise self._unsent(error) from error
        try:
            return self._sent(args, kwargs)
        except (QueueFull, psycopg.Error):
            raise
        except Exception as error:
            raise self._unsent(error) from error

    def _sent(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        headers = {**(self.options.get("headers") or {}), "celery_beat_task": True}
        options = {**self.options, "headers": headers}
        kind = self.task.removeprefix("celery.")
        if self.task != kind and kind in Signature.TYPES:
            parts = {"task": self.task, "args": args, "kwargs": kwargs, "options": {}, "subtask_type": kind}
            return Signature.from_dict({**parts, "immutable": False}, app=self.app).apply_async(**options)
        task = self.app.tasks.get(self.task)
        if task is not None:
            return task.apply_async(args, kwargs, **options)
        return self.app.send_task(self.task, args, kwargs, **options)

    def _unsent(self, error: Exception) -> SchedulingError:
        return SchedulingError(f"Couldn't apply scheduled task {self.name}: {error}")

    @property
    def zone(self) -> str | None:
        """The time zone, if one was set: when it is another, the entry begins anew."""
        conf = self.app.conf
        return str(conf.get("timezone") or "") or ("local" if conf.get("enable_utc") is False else None)

    @property
    def version(self) -> str:
        """The same in all processes that declare it in the same way."""
        every = str(getattr(self.schedule, "run_every", None))  # its text is rounded
        told = [self.task, self.args, self.kwargs, self.options, str(self), every, self.relative, self.zone]
        return hashlib.sha256(json.dumps(_plain(told)).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """The schedule, for people."""
        return str(_plain(self.schedule))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name} {self.task} {self.schedule}>"


def entries_of(app: Any) -> dict[str, ScheduleEntry]:
    """The entries of an app, by their names.

    Raises:
        ImproperlyConfigured: ``beat_schedule`` cannot be read.
    """
    declared = app.conf.get("beat_schedule") or {}
    if not isinstance(declared, Mapping):
        raise ImproperlyConfigured(f"beat_schedule={declared!r:.80}: must be a dict of entries by their names")
    found = {}
    for name, entry in declared.items():
        if not isinstance(entry, Mapping) or entry.keys() - FIELDS:
            odd = sorted(map(str, entry.keys() - FIELDS)) if isinstance(entry, Mapping) else repr(entry)
            raise ImproperlyConfigured(
                f"beat_schedule[{name!r}]: must be a dict of {', '.join(sorted(FIELDS))}; there is {odd}"
            )
        found[name] = ScheduleEntry(app, name, **entry)
    if app.conf.get("result_expires") and CLEANUP not in found:
        at_night = crontab(minute="0", hour="4", app=app)
        found[CLEANUP] = ScheduleEntry(app, CLEANUP, CLEANUP, at_night, options={"expires": 12 * 3600})
    return found


def _is_word(value: Any) -> bool:
    """Whether the database can hold it as text."""
    return isinstance(value, str) and "\0" not in value and value.encode(errors="ignore").decode() == value


def _made(value: Any) -> Any:
    return value() if isinstance(value, BeatLazyFunc) else value


def _plain(value: Any) -> Any:
    """A value as JSON that is the same in each process: no addresses, no order of sets."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return ADDRESS.sub("", repr(value))
