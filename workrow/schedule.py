"""When a periodic task is due."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from workrow.errors import OptionError


@dataclass(frozen=True, slots=True)
class Cron:
    """Due as a crontab line says, in a time zone.

    Args:
        expression: five fields (minute, hour, day of month, month, day of week) or six with seconds first, as
            https://github.com/cuu508/cronsim reads them, which follows Debian's cron across daylight-saving changes.
        timezone: a name of the IANA database.

    Raises:
        OptionError: at declaration, for an expression or a zone that does not exist.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            zone = ZoneInfo(self.timezone)
        except (ValueError, OSError, KeyError, TypeError):  # KeyError: ZoneInfoNotFoundError
            raise OptionError(
                f"timezone={self.timezone!r}: no such time zone; use a name such as 'Europe/Berlin' or 'UTC'"
            ) from None
        try:
            CronSim(self.expression, datetime.now(zone))
        except (CronSimError, AttributeError) as error:
            raise OptionError(
                f"cron={self.expression!r}: {error}; "
                "write minute hour day-of-month month day-of-week, such as '0 9 * * mon'"
            ) from None

    def latest(self, now: datetime) -> datetime | None:
        """The last due time at or before ``now``."""
        # CronSim looks strictly before the moment it is given, in whole seconds
        start = (now + timedelta(seconds=1)).replace(microsecond=0)
        return self._first(start, reverse=True)

    def following(self, now: datetime) -> datetime | None:
        """The first due time after ``now``."""
        return self._first(now, reverse=False)

    def _first(self, start: datetime, *, reverse: bool) -> datetime | None:
        due = next(CronSim(self.expression, start.astimezone(ZoneInfo(self.timezone)), reverse=reverse), None)
        return None if due is None else due.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Every:
    """Due at each whole multiple of an interval since 1970, the same moments for every worker.

    Raises:
        OptionError: at declaration, for an interval below one second.
    """

    interval: timedelta

    def __post_init__(self) -> None:
        if not isinstance(self.interval, timedelta) or self.interval < timedelta(seconds=1):
            raise OptionError(f"every={self.interval!r}: must be a timedelta of at least one second")

    def latest(self, now: datetime) -> datetime:
        """The last due time at or before ``now``."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return epoch + (now - epoch) // self.interval * self.interval

    def following(self, now: datetime) -> datetime:
        """The first due time after ``now``."""
        return self.latest(now) + self.interval
