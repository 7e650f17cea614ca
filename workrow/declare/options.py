"""What can be said about one job when it is enqueued."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Self, TypedDict

from workrow.database import clock
from workrow.declare.unique import (
    Debounce,
    Rule,
    Throttle,
    Unique,
    as_debounce,
    as_throttle,
    as_unique,
    check_seconds,
)
from workrow.errors import INT4_MAX, OptionError, brief, check_names_known, check_time, is_whole, seconds_in

NAME_MAX = 128
"""Characters in a queue's or a task's name: procrastinate's columns are ``varchar(128)``."""
LOCK_MAX = 2600
"""Bytes of a lock: an entry of an index takes 2,704, with the other columns and what the server adds.
https://www.postgresql.org/docs/current/btree.html"""
WORD_MAX = 200
WORD = f"text of 1 to {WORD_MAX} characters, without NUL and lone surrogates"
"""What a step, a signal, a workflow and a part of one are called."""

RULES = ("unique", "debounce", "throttle")


class EnqueueOptions(TypedDict, total=False):
    """The keyword arguments of ``task.options()``."""

    delay: float | timedelta | None
    at: datetime | None
    priority: int
    queue: str
    lock: str | None
    queueing_lock: str | None
    unique: Unique | tuple[str, ...] | None
    debounce: Debounce | float | timedelta | None
    throttle: Throttle | None
    expires: float | timedelta | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one job is enqueued. Immutable; checked when made.

    Args:
        queue: the queue's name, at most 128 characters.
        priority: a higher one runs first; a 32-bit integer, 0 by default.
        lock: jobs with the same lock never run at the same time, and start in order. At most 2,600 bytes.
        queueing_lock: at most one job with this key waits at any time; a second enqueue raises ``AlreadyEnqueued``. At
            most 2,600 bytes.
        delay: start no sooner than this long from now, by the database's clock: a timedelta, or seconds.
        at: start no sooner than this; a datetime with a time zone, within 100 years. Not together with ``delay``.
        unique: at most one job with the same values of these arguments waits or runs: a tuple of their names, or a
            `Unique`.
        debounce: run the last call of a burst only: seconds of quiet, a timedelta, or a `Debounce`.
        throttle: at most so many jobs in a window of time: a `Throttle`.
        expires: never start later than this: seconds or a timedelta from when it may start, or a datetime with a time
            zone. A job that has not started by then ends as cancelled.

    Raises:
        OptionError: an unknown option, a wrong type, a value out of range.
    """

    queue: str = "default"
    priority: int = 0
    lock: str | None = None
    queueing_lock: str | None = None
    delay: float | timedelta | None = None
    at: datetime | None = None
    unique: Unique | tuple[str, ...] | None = None
    debounce: Debounce | float | timedelta | None = None
    throttle: Throttle | None = None
    expires: float | timedelta | datetime | None = None

    def __post_init__(self) -> None:
        check_name("queue", self.queue)
        for key in ("lock", "queueing_lock"):
            value = getattr(self, key)
            if value is not None:
                check_lock(key, value)
        if not is_whole(self.priority, -INT4_MAX):
            raise OptionError(f"priority={brief(self.priority)}: must be a whole number within ±{INT4_MAX}")
        if self.delay is not None and self.at is not None:
            raise OptionError(f"delay={brief(self.delay)} and at={brief(self.at)}: give one of the two")
        if self.delay is not None:
            check_delay("delay", self.delay)
        if self.at is not None:
            check_time(f"at={brief(self.at)}", self.at)
        if self.expires is not None:
            self._check_expires(self.expires)
        object.__setattr__(self, "unique", as_unique(self.unique))
        object.__setattr__(self, "debounce", as_debounce(self.debounce))
        object.__setattr__(self, "throttle", as_throttle(self.throttle))
        self._check_rule()

    def _check_rule(self) -> None:
        given = [f"{name}={getattr(self, name)!r}" for name in RULES if getattr(self, name) is not None]
        if len(given) > 1:
            raise OptionError(f"{' and '.join(given)}: give one of them")
        if given and self.queueing_lock is not None:
            raise OptionError(f"{given[0]} and queueing_lock={self.queueing_lock!r}: give one of the two")
        if self.debounce is not None and (self.delay is not None or self.at is not None):
            raise OptionError(f"{given[0]} sets the time itself: leave delay and at away, countdown and eta too")

    @staticmethod
    def _check_expires(expires: float | timedelta | datetime) -> None:
        if isinstance(expires, datetime):
            check_time(f"expires={brief(expires)}", expires)
        else:
            check_seconds("expires", expires)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with some options changed; ``delay`` and ``at`` replace each other, and so do the rules."""
        check_names_known("option", changes, [field.name for field in fields(self)])
        reset: dict[str, Any] = {"delay": None, "at": None} if changes.keys() & {"delay", "at"} else {}
        if changes.keys() & set(RULES):
            reset |= dict.fromkeys(RULES)
        return replace(self, **{**reset, **changes})

    @property
    def rule(self) -> Rule | None:
        """What a second call with the same key does, if anything special."""
        return self.unique or self.debounce or self.throttle  # type: ignore[return-value]

    @property
    def conditional(self) -> bool:
        """Whether there is more to a job than a row."""
        return self.expires is not None or self.rule is not None

    @property
    def scheduled_at(self) -> datetime | None:
        """When the job may start, a `Later` if a delay was given; None for at once."""
        if self.delay is None:
            return self.at
        seconds = self.delay.total_seconds() if isinstance(self.delay, timedelta) else float(self.delay)
        return clock.Later.after(seconds) if seconds else None


def check_delay(name: str, delay: object) -> None:
    """Raise OptionError unless a job may start so much later; ``name``: what the caller calls it."""
    if seconds_in(delay) is None:
        raise OptionError(f"{name}={brief(delay)}: must be a timedelta or a number of seconds, between 0 and 100 years")


def _check_text(key: str, value: object) -> None:
    if not isinstance(value, str) or not value or "\x00" in value:
        raise OptionError(f"{key}={value!r}: must be a non-empty string without NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{key}={value!r}: {value[error.start]!r} at position {error.start} is half of a character, which "
            "PostgreSQL cannot store; was it decoded with errors='surrogateescape'?"
        ) from None


def check_lock(key: str, value: object) -> None:
    """Raise OptionError unless ``value`` fits the index of locks; ``key`` is the option."""
    _check_text(key, value)
    if (size := len(str(value).encode())) > LOCK_MAX:
        raise OptionError(
            f"{key}={value!r:.80}: has {size:,} bytes, at most {LOCK_MAX:,} fit its index; use a hash of it"
        )


def check_name(key: str, value: object) -> None:
    """Raise OptionError unless ``value`` fits procrastinate's columns for names; ``key`` is what it names."""
    _check_text(key, value)
    if len(str(value)) > NAME_MAX:
        raise OptionError(f"{key}={value!r}: has {len(str(value))} characters, at most {NAME_MAX} fit")


def is_word(value: object) -> bool:
    """Whether it is a `WORD`."""
    if not isinstance(value, str) or not 0 < len(value) <= WORD_MAX or "\x00" in value:
        return False
    return value.encode(errors="replace").decode() == value


def check_task_name(name: object) -> None:
    """Raise OptionError unless ``name`` fits procrastinate's column for task names."""
    check_name("name", name)


def check_aliases(aliases: object) -> None:
    """Raise OptionError unless they are former names of a task, or None."""
    if aliases is None:
        return
    if not isinstance(aliases, list | tuple | set | frozenset):
        example = [aliases] if isinstance(aliases, str) else ["old.name"]
        raise OptionError(f"aliases={aliases!r}: must be a list of names, such as {example!r}")
    for alias in aliases:
        check_name("alias", alias)
