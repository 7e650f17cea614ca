"""When a periodic task is due, and what becomes of due times that nobody could keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Self, TypedDict, get_args
from zoneinfo import ZoneInfo

from workrow.errors import OptionError, brief, check_names_known, is_whole

Missed = Literal["skip", "once", "all"]
Overlap = Literal["allow", "skip", "queue"]

CATCH_UP_MOST = 1000
JITTER_MOST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """Due as a crontab line says, in a time zone.

    Args:
        expression: five fields (minute, hour, day of month, month, day of week) or six with seconds first, as
            https://github.com/cuu508/cronsim reads them, ``@daily`` and the like, ranges such as ``mon-sun``; see
            `workrow.declare.crontab`. Daylight-saving changes: see `workrow.declare.walltime`.
        timezone: a name of the IANA database.

    Raises:
        OptionError: at declaration, for an expression or a zone that does not exist, or one that is never due, or that
            ``@app.periodic`` would read as other times.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        from workrow.declare import crontab

        try:
            ZoneInfo(self.timezone)
        except (ValueError, OSError, KeyError, TypeError):  # KeyError: ZoneInfoNotFoundError
            raise OptionError(
                f"timezone={self.timezone!r}: no such time zone; use a name such as 'Europe/Berlin' or 'UTC'"
            ) from None
        crontab.check(self.expression, "cron=")

    def latest(self, now: datetime) -> datetime | None:
        """The last due time at or before ``now``."""
        from workrow.declare import crontab, walltime

        return walltime.latest(crontab.plain(self.expression), self.timezone, now)

    def following(self, now: datetime) -> datetime | None:
        """The first due time after ``now``."""
        from workrow.declare import crontab, walltime

        return walltime.following(crontab.plain(self.expression), self.timezone, now)


# checking one costs more than all else of a tick
_cron = lru_cache(maxsize=4096, typed=True)(Cron)


@dataclass(frozen=True, slots=True)
class Every:
    """Due at each whole multiple of an interval since 1970, the same moments for every worker.

    Raises:
        OptionError: at declaration, for an interval below one second.
    """

    interval: timedelta

    def __post_init__(self) -> None:
        if not isinstance(self.interval, timedelta) or self.interval < timedelta(seconds=1):
            raise OptionError(f"every={brief(self.interval)}: must be a timedelta of at least one second")

    def latest(self, now: datetime) -> datetime:
        """The last due time at or before ``now``."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return epoch + (now - epoch) // self.interval * self.interval

    def following(self, now: datetime) -> datetime:
        """The first due time after ``now``."""
        return self.latest(now) + self.interval


class ScheduleOptions(TypedDict, total=False):
    """The keyword arguments of `Schedule`."""

    cron: str | None
    every: timedelta | None
    timezone: str
    args: Mapping[str, Any]
    queue: str | None
    priority: int | None
    missed: Missed
    catch_up: int | None
    max_late: timedelta | None
    overlap: Overlap
    jitter: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a task is enqueued, with which arguments, and what becomes of due times that could not be kept.

    Args:
        cron: due at these times: five fields, or six with the seconds first.
        every: due once in each such interval, counted from 1970; at least a second. Instead of ``cron``.
        timezone: the zone that ``cron`` is read in.
        args: the arguments of its jobs. A parameter ``due_at`` or ``timestamp`` that is not among them gets the due
            time: a datetime, and seconds since 1970.
        name: tells it from other schedules of the same task.
        queue: the queue of its jobs instead of the task's.
        priority: the priority of its jobs instead of the task's.
        missed: due times that passed while no worker ran: "skip" them; make up for the latest, "once"; for "all".
        catch_up: with ``missed="all"``, how many of them at most, the latest ones: 1 to 1000, 100 by default.
        max_late: how late a due time may still be made up for. By default ``App(periodic_defaults=…)``'s, which is
            ten minutes; with ``missed="all"`` there is no limit.
        overlap: while the job of the former due time waits or runs: "allow" another, "skip" the due time, or "queue":
            the jobs run one after the other.
        jitter: jobs start up to so long after the due time, each schedule at another moment; at most a day.

    Raises:
        OptionError: an option cannot work, or two contradict each other.
    """

    cron: str | None = None
    every: timedelta | None = None
    timezone: str = "UTC"
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    name: str | None = None
    queue: str | None = None
    priority: int | None = None
    missed: Missed = "once"
    catch_up: int | None = None
    max_late: timedelta | None = None
    overlap: Overlap = "allow"
    jitter: timedelta | None = None

    def __post_init__(self) -> None:
        if self.cron is not None and self.every is not None:
            raise OptionError(f"cron={self.cron!r} and every={brief(self.every)}: give one of the two")
        if self.cron is None and self.every is None:
            raise OptionError("a schedule needs cron='…' or every=timedelta(…)")
        if self.cron is None and self.timezone != "UTC":
            raise OptionError(f"timezone={self.timezone!r} says nothing without cron=…")
        _ = self.timing
        if not isinstance(self.args, Mapping) or not all(isinstance(name, str) for name in self.args):
            raise OptionError(f"args={brief(self.args)}: must be a mapping of the task's arguments by name")
        if self.name is not None and (not isinstance(self.name, str) or not self.name or "\x00" in self.name):
            raise OptionError(f"name={self.name!r}: must be a non-empty string without NUL characters")
        for option, allowed in (("missed", get_args(Missed)), ("overlap", get_args(Overlap))):
            if (value := getattr(self, option)) not in allowed:
                raise OptionError(f"{option}={value!r}: must be one of {', '.join(map(repr, allowed))}")
        self._check_missed()
        self._check_jitter()

    @property
    def timing(self) -> Cron | Every:
        """When it is due."""
        if self.cron is None:
            return Every(self.every)  # type: ignore[arg-type]
        known = isinstance(self.cron, str) and isinstance(self.timezone, str)
        return (_cron if known else Cron)(self.cron, self.timezone)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with some options changed; ``cron`` and ``every`` replace each other.

        Raises:
            OptionError: as for a new one; or an option is unknown.
        """
        check_names_known("option", changes, [each.name for each in fields(self)])
        reset: dict[str, Any] = {}
        if changes.get("cron") is not None:
            reset = {"every": None}
        elif changes.get("every") is not None:
            reset = {"cron": None, "timezone": "UTC"}
        if "missed" in changes and changes["missed"] != self.missed:
            reset |= {"catch_up": None, "max_late": None}
        return replace(self, **{**reset, **changes})

    def _check_missed(self) -> None:
        if self.catch_up is not None:
            if self.missed != "all":
                raise OptionError(
                    f"catch_up={brief(self.catch_up)} says nothing with missed={self.missed!r}; use missed='all'"
                )
            if not is_whole(self.catch_up, 1, CATCH_UP_MOST):
                raise OptionError(f"catch_up={brief(self.catch_up)}: must be a whole number from 1 to {CATCH_UP_MOST}")
        if self.max_late is not None:
            if self.missed == "skip":
                raise OptionError(f"max_late={brief(self.max_late)} and missed='skip' contradict each other; drop one")
            if not isinstance(self.max_late, timedelta) or self.max_late <= timedelta(0):
                raise OptionError(f"max_late={brief(self.max_late)}: must be a timedelta above zero")
        if self.missed == "all" and self.overlap == "skip":
            raise OptionError(
                "missed='all' and overlap='skip' contradict each other: only the first of the missed ones would be "
                "enqueued; use overlap='queue'"
            )

    def _check_jitter(self) -> None:
        if self.jitter is None:
            return
        if not isinstance(self.jitter, timedelta) or not timedelta(0) < self.jitter <= JITTER_MOST:
            raise OptionError(f"jitter={brief(self.jitter)}: must be a timedelta above zero, at most a day")
        if self.every is not None and self.jitter > self.every:
            raise OptionError(
                f"jitter={brief(self.jitter)} is above every={brief(self.every)}: jobs would overtake each other"
            )
