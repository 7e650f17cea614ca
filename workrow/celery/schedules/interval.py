"""Every so often."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from workrow.celery.schedules.base import App, BaseSchedule, schedstate

Other = TypeVar("Other")

UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


class schedule(BaseSchedule):
    """Due when `run_every` has passed since the last run.

    Args:
        run_every: seconds or a timedelta.
        relative: runs fall on the full day, hour, minute or second, whichever of these `run_every` reaches, in the
            zone of the last run.
        nowfun, app: see `BaseSchedule`.
    """

    run_every: timedelta

    def __init__(
        self,
        run_every: float | timedelta | None = None,
        relative: bool = False,
        nowfun: Callable[[], datetime] | None = None,
        app: App | None = None,
    ) -> None:
        # None is for a subclass that sets it itself
        self.run_every = timedelta(seconds=run_every) if isinstance(run_every, int | float) else run_every  # type: ignore[assignment]
        self.relative = relative
        super().__init__(nowfun=nowfun, app=app)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        return self._until(self._after(self.maybe_make_aware(last_run_at)))

    def is_due(self, last_run_at: datetime) -> schedstate:
        left = self.remaining_estimate(last_run_at).total_seconds()
        if left > 0:
            return schedstate(is_due=False, next=left)
        if not self.relative:
            return schedstate(is_due=True, next=self.seconds)
        now = self.maybe_make_aware(self.now()).astimezone(self.maybe_make_aware(last_run_at).tzinfo)
        left = self.remaining_estimate(now).total_seconds()
        return schedstate(is_due=True, next=left if left > 0 else self.seconds)

    @property
    def seconds(self) -> float:
        return max(self.run_every.total_seconds(), 0)

    @property
    def human_seconds(self) -> str:
        for unit, length in UNITS.items():
            if (count := round(self.seconds, 2) / length) >= 1:
                return f"{count:.2f} {unit}{'s' if count > 1 else ''}"
        return "now"

    def _after(self, last: datetime) -> datetime:
        run = (last.astimezone(UTC) + self.run_every).astimezone(last.tzinfo)
        if not self.relative:
            return run
        if self.run_every >= timedelta(days=1):
            # days of the calendar, not of 24 hours: on the wall clock
            return (last + self.run_every).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.run_every >= timedelta(hours=1):
            return run.replace(minute=0, second=0, microsecond=0)
        if self.run_every >= timedelta(minutes=1):
            return run.replace(second=0, microsecond=0)
        return run.replace(microsecond=0)

    def __repr__(self) -> str:
        return f"<freq: {self.human_seconds}>"

    def __eq__(self, other: object) -> bool:
        return self.run_every == (other.run_every if isinstance(other, schedule) else other)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, (self.run_every, self.relative, self.nowfun)


def maybe_schedule(s: Other, relative: bool = False, app: App | None = None) -> schedule | Other:
    """A `schedule` of seconds or of a timedelta; a schedule gets the app; None stays None."""
    if isinstance(s, int | float | timedelta):
        return schedule(s, relative=relative, app=app)
    if s is not None:
        s.app = app  # type: ignore[attr-defined]
    return s
