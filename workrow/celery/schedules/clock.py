"""At times of the clock."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Self
from zoneinfo import ZoneInfo

from workrow.celery.schedules.base import BaseSchedule, schedstate
from workrow.celery.schedules.fields import Cronspec, ever, expanded

# 29 February on a given day of the week comes again after 40 years at most (2072, 2112: 2100 is no leap year).
DAYS_AHEAD = 41 * 366

FIELDS = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")


class crontab(BaseSchedule):
    """Due when the clock of the app's zone comes to a minute that every field fits.

    A time that the clock skips in spring is due as much later as the clock jumps; one that it shows twice in autumn is
    due at the first.

    Args:
        minute, hour, day_of_week, day_of_month, month_of_year: a number, several in a list or set, or text: `*`,
            `*/15`, `8-17`, `22-2/2`, `mon,wed`, `jan`. Sunday is 0; 7 is refused.
        nowfun, app: see `BaseSchedule`.

    Raises:
        ValueError, ParseException: a field that cannot be read or that is out of range, or a day that is in none of
            the months.
        TypeError: a field that is neither a number nor text nor several.
    """

    def __init__(
        self,
        minute: Cronspec = "*",
        hour: Cronspec = "*",
        day_of_week: Cronspec = "*",
        day_of_month: Cronspec = "*",
        month_of_year: Cronspec = "*",
        **kwargs: Any,
    ) -> None:
        self._orig_minute = minute
        self._orig_hour = hour
        self._orig_day_of_week = day_of_week
        self._orig_day_of_month = day_of_month
        self._orig_month_of_year = month_of_year
        self._orig_kwargs = kwargs
        self.hour = expanded(hour, 24)
        self.minute = expanded(minute, 60)
        self.day_of_week = expanded(day_of_week, 7)
        self.day_of_month = expanded(day_of_month, 31, 1)
        self.month_of_year = expanded(month_of_year, 12, 1)
        if not ever(self.day_of_month, self.month_of_year):
            raise ValueError(
                f"Invalid crontab: day_of_month {day_of_month!r} never occurs in month_of_year {month_of_year!r}."
            )
        super().__init__(**kwargs)

    @classmethod
    def from_string(cls, crontab: str) -> Self:
        """Of the five fields of a Unix crontab: minute, hour, day of month, month, day of week, one space between."""
        minute, hour, day_of_month, month_of_year, day_of_week = crontab.split(" ")
        return cls(minute, hour, day_of_week, day_of_month, month_of_year)

    def remaining_delta(
        self,
        last_run_at: datetime,
        tz: tzinfo | str | None = None,
        ffwd: Callable[..., Any] | None = None,
    ) -> tuple[datetime, Any, datetime]:
        """The last run, what to add to its wall clock to come to the next, and now.

        Args:
            last_run_at: without zone: UTC.
            tz: the zone of the clock; None: the app's.
            ffwd: a class that makes what is added, given the fields of the next run as dateutil's `relativedelta`
                takes them; None: a timedelta.

        Raises RuntimeError where there is no next run.
        """
        zone = ZoneInfo(tz) if isinstance(tz, str) else tz or self.tz
        last = self.maybe_make_aware(last_run_at).astimezone(zone)
        now = self.maybe_make_aware(self.now()).astimezone(zone)
        run = self._next(last.replace(tzinfo=None, fold=0))
        if ffwd is None:
            return last, run - last.replace(tzinfo=None), now
        fields = {name: getattr(run, name) for name in ("year", "month", "day", "hour", "minute")}
        return last, ffwd(**fields, second=0, microsecond=0), now

    def remaining_estimate(self, last_run_at: datetime, ffwd: Callable[..., Any] | None = None) -> timedelta:
        last, delta, now = self.remaining_delta(last_run_at, ffwd=ffwd)
        moment: datetime = last + delta
        return moment.astimezone(UTC) - now.astimezone(UTC)

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether the run after `last_run_at` is due, and the seconds after which to ask again.

        Runs that were missed are made up for by one. With `beat_cron_starting_deadline` (seconds) only where one of
        them was to be within that time before now.
        """
        left = self.remaining_estimate(last_run_at)
        if left > timedelta(0):
            return schedstate(is_due=False, next=left.total_seconds())
        ahead = self.remaining_estimate(self.now())
        return schedstate(is_due=self._in_time(left), next=max(ahead.total_seconds(), 0))

    def _in_time(self, left: timedelta) -> bool:
        """Whether the run that is overdue by `-left`, or a later one that is, is not older than the deadline."""
        seconds = self.app.conf.beat_cron_starting_deadline
        if seconds is None or left >= -timedelta(seconds=seconds):
            return True
        # a run just at the deadline counts, and the runs of a time are those after it
        earliest = self.maybe_make_aware(self.now()).astimezone(UTC) - timedelta(seconds=seconds, microseconds=1)
        return self.remaining_estimate(earliest) <= timedelta(0)

    def _next(self, last: datetime) -> datetime:
        """The first time of the wall clock after `last` that every field fits."""
        if self._has_day(last.date()):
            if last.hour in self.hour and (minutes := [m for m in self.minute if m > last.minute]):
                return last.replace(minute=min(minutes), second=0, microsecond=0)
            if hours := [h for h in self.hour if h > last.hour]:
                return last.replace(hour=min(hours), minute=min(self.minute), second=0, microsecond=0)
        for ordinal in range(last.toordinal() + 1, min(last.toordinal() + DAYS_AHEAD, date.max.toordinal() + 1)):
            if self._has_day(day := date.fromordinal(ordinal)):
                return datetime.combine(day, time(min(self.hour), min(self.minute)))
        raise RuntimeError("unable to rollover, time specification is probably invalid")

    def _has_day(self, day: date) -> bool:
        return (
            day.month in self.month_of_year
            and day.day in self.day_of_month
            and day.isoweekday() % 7 in self.day_of_week
        )

    def __repr__(self) -> str:
        return (
            f"<crontab: {self._orig_minute} {self._orig_hour} {self._orig_day_of_month}"
            f" {self._orig_month_of_year} {self._orig_day_of_week} (m/h/dM/MY/d)>"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, crontab):
            return NotImplemented
        return super().__eq__(other) and all(getattr(self, field) == getattr(other, field) for field in FIELDS)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, tuple(getattr(self, f"_orig_{field}") for field in FIELDS), self._orig_kwargs

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._orig_kwargs = dict(state)
        super().__init__(**state)
