"""Time travel: a clock that the SQL of a test database reads, and Python's `workrow.database.clock` with it."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import psycopg

from workrow.database import clock as engine_clock
from workrow.declare.loud import loud
from workrow.testing.databases import TestingError
from workrow.testing.sql import load

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Moment = datetime | str


class DatabaseClock:
    """The clock of one test database. It stands still inside `at`, and is the real one outside.

    Everybody connected to the database sees it, at once.

    Args:
        url: returns the database's libpq URL when it is first needed.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._zone: str | None = None

    @loud
    @contextlib.contextmanager
    def at(self, moment: Moment | None = None, timezone: str | None = None) -> Iterator[Self]:
        """Inside the block it is ``moment``, and stays so until the test moves on.

        Schedules count from that moment, as if they had been declared then. At the end, time is what it was before.

        Args:
            moment: a datetime, or text such as "2027-03-28 00:59"; None for now.
            timezone: the zone of a moment that names none, here and in the calls inside; UTC by default.

        Raises:
            TestingError: the database was not made by the test kit, or the moment cannot be read.
        """
        before, zone_before = self._frozen(), self._zone
        self._zone = self._zone if timezone is None else _checked_zone(timezone)
        try:
            target = self.now() if moment is None else self.read(moment)
        except TestingError:
            self._zone = zone_before
            raise
        reading = engine_clock.move(self.now)
        try:
            self.set(target)
            self._run("reset_schedules")
            yield self
        finally:
            engine_clock.move(reading)
            self._zone = zone_before
            self._run("set_clock", frozen=before)
            self._run("reset_schedules")

    def now(self) -> datetime:
        """What time it is in the database."""
        now: datetime = self._run("read_time")[0][0]
        return now.astimezone(ZoneInfo(self._zone or "UTC"))

    def jump(self, **by: float) -> None:
        """Move on as if nobody had worked meanwhile: nothing is ticked and nothing runs.

        Args:
            **by: what ``timedelta`` takes: ``days=``, ``hours=``, ``minutes=``, ``seconds=`` …
        """
        moment = self.later(by)
        if moment < self.now():
            raise TestingError(f"jump({_shown(by)}) is a jump back: time only goes on; use clock.at()")
        self.set(moment)

    def later(self, by: dict[str, float]) -> datetime:
        """The moment that is so much later, in UTC: an hour is an hour, in the night of a change too.

        Raises:
            TestingError: it is no time that ``timedelta`` knows.
        """
        try:
            return self.now().astimezone(UTC) + timedelta(**by)
        except (TypeError, ValueError, OverflowError) as error:
            raise TestingError(f"{_shown(by)}: {error}; say days=, hours=, minutes= or seconds=") from None

    def set(self, moment: datetime) -> None:
        """Let it be this moment; only inside `at`."""
        self._run("set_clock", frozen=(moment - EPOCH) // MICROSECOND)

    def read(self, moment: Moment) -> datetime:
        """A moment with a time zone.

        Raises:
            TestingError: it cannot be read.
        """
        try:
            parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
            return parsed if parsed.utcoffset() is not None else parsed.replace(tzinfo=ZoneInfo(self._zone or "UTC"))
        except (ValueError, AttributeError) as error:
            raise TestingError(
                f"moment={moment!r}, timezone={self._zone!r}: {error}; "
                "give a datetime, or text such as '2027-03-28 00:59' and a zone such as 'Europe/Berlin'"
            ) from None

    def results(self, ids: list[int]) -> dict[int, Any]:
        """What the jobs with these ids have returned."""
        return dict(self._run("read_results", ids=ids))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _frozen(self) -> int | None:
        try:
            frozen: int | None = self._run("read_clock")[0][0]
        except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable):
            raise TestingError(
                "this database's clock cannot be set: take the database of the fixture workrow_database, "
                "or call workrow.testing.install_clock(url) on an empty one before its schema is installed"
            ) from None
        return frozen

    def _run(self, statement: str, **params: Any) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url(), autocommit=True)
            self._connection.execute("SET DateStyle = ISO")  # psycopg reads times in no other style
        cursor = self._connection.execute(load(statement), params)
        return cursor.fetchall() if cursor.description else []


def _checked_zone(timezone: str) -> str:
    try:
        ZoneInfo(timezone)
    except (TypeError, ValueError, OSError, KeyError) as error:
        raise TestingError(
            f"timezone={timezone!r} is no time zone ({error}); give its name, such as 'Europe/Berlin'"
        ) from None
    return timezone


def _shown(by: dict[str, float]) -> str:
    return ", ".join(f"{unit}={value!r}" for unit, value in by.items())
