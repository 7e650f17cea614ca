"""What every schedule knows: its app, its clock and its zone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from workrow.celery.current import current_app


class App(Protocol):
    """What a schedule asks of its app; of `conf`: `enable_utc` and `beat_cron_starting_deadline` (seconds, or None)."""

    conf: Any

    @property
    def timezone(self) -> tzinfo: ...

    def now(self) -> datetime: ...


class NoApp:
    """Stands in where there is no app yet."""

    conf: Any = SimpleNamespace(enable_utc=True, beat_cron_starting_deadline=None)
    timezone: tzinfo = UTC

    def now(self) -> datetime:
        return datetime.now(UTC)


class schedstate(NamedTuple):
    """The answer of `is_due`: due now, and the seconds after which to ask again."""

    is_due: bool
    next: float


class BaseSchedule:
    """A schedule of one's own defines `is_due` and `remaining_estimate`.

    Args:
        nowfun: tells the time instead of the app; a time without zone is taken for UTC.
        app: whose zone, clock and settings hold.
    """

    def __init__(self, nowfun: Callable[[], datetime] | None = None, app: App | None = None) -> None:
        self.nowfun = nowfun
        self._app = app

    def now(self) -> datetime:
        return (self.nowfun or self.app.now)()

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """The time from now until the run after `last_run_at`; negative where it is overdue."""
        raise NotImplementedError

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether the run after `last_run_at` is due, and the seconds after which to ask again."""
        raise NotImplementedError

    def maybe_make_aware(self, dt: datetime, naive_as_utc: bool = True) -> datetime:
        """A time that has a zone keeps it; one without is UTC, or the schedule's zone with `naive_as_utc=False`."""
        if dt.tzinfo is not None:
            return dt
        meant = dt.replace(tzinfo=UTC if naive_as_utc else self.tz, fold=0)
        return meant.astimezone(UTC).astimezone(self.tz)

    def to_local(self, dt: datetime) -> datetime:
        """With `enable_utc` off, a time without zone or in `ZoneInfo("UTC")` gets the machine's; others stay."""
        return dt.astimezone() if not self.utc_enabled and dt.tzinfo in (None, ZoneInfo("UTC")) else dt

    @property
    def app(self) -> App:
        """The app given; otherwise the current one; where there is none yet, UTC and no deadline."""
        if self._app is not None:
            return self._app
        try:
            app: App = current_app()
        except RuntimeError:
            return NoApp()
        return app

    @app.setter
    def app(self, app: App | None) -> None:
        self._app = app

    @cached_property
    def tz(self) -> tzinfo:
        return self.app.timezone

    @cached_property
    def utc_enabled(self) -> bool:
        return bool(self.app.conf.enable_utc)

    def _until(self, moment: datetime) -> timedelta:
        """The time that passes from now until `moment` (a difference within one zone would be one of wall clocks)."""
        return moment.astimezone(UTC) - self.maybe_make_aware(self.now()).astimezone(UTC)

    def __eq__(self, other: object) -> bool:
        return other.nowfun == self.nowfun if isinstance(other, BaseSchedule) else NotImplemented
