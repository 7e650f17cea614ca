"""What a process says of a database that is away: once when it begins, and once when it is over."""

import logging
import threading
import time
import weakref

import psycopg

from workrow.logs import get_logger

logger = get_logger(__name__)

LOST = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction, OSError)
"""What says that the database is away, or this connection to it, or that it is no primary any more. A statement that
takes too long is a TimeoutError, which is an OSError."""


AWAY = ("08", "25006", "28", "3D", "53", "57P", "58")
"""How the SQLSTATEs begin of a database that is away, full, or not to be entered; none at all says so too."""
PASSING = ("40001", "40P01", "55P03", "57014")
"""Another transaction was in the way: the connection is well, and the same statement may work in a moment."""


CONFLICTS = ("40001", "40P01")
"""A serialization failure or a deadlock is nobody's fault: the whole transaction is repeated.
https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html"""
CHECK_VIOLATION = "23514"
DEFAULT_PARTITION = "history_default"


class Refused(psycopg.DatabaseError):
    """The server answers, and refuses this statement: what psycopg calls an OperationalError as it does an outage."""

    sqlstate: str | None = None


def judged(error: BaseException) -> BaseException:
    """The error; or `Refused`, where its SQLSTATE says that the database is there."""
    state = getattr(error, "sqlstate", None)
    if not isinstance(error, psycopg.OperationalError) or state is None or state.startswith(AWAY) or state in PASSING:
        return error
    refused = Refused(told(error))
    refused.sqlstate = state
    return refused


def is_conflict(state: str | None, message: str) -> bool:
    """Whether the same transaction may work when it is repeated, as far as its error's SQLSTATE and message say.

    So does one whose row was on its way into the history's default partition while that of its day was attached.
    """
    return state in CONFLICTS or (state == CHECK_VIOLATION and DEFAULT_PARTITION in message)


def is_passing(error: BaseException) -> bool:
    """Whether only another transaction was in the way."""
    return getattr(error, "sqlstate", None) in PASSING


def is_lost(error: BaseException) -> bool:
    """Whether an error, or what procrastinate has wrapped in its own, is one of these."""
    return any(isinstance(judged(each), LOST) for each in (error, error.__cause__) if each is not None)


def told(error: BaseException) -> str:
    """An error's message in one line."""
    return " ".join(str(error).split()) or type(error).__name__


class Outage:
    """The database as one loop, or one connection, sees it.

    A process says once that the database is away: whoever notices it first, and the last to whom it answers again says
    that it is over. What the others see is logged at DEBUG, and so is what an outage leaves behind: a connection that
    broke in it and is used for the first time when the others are back.

    Args:
        what: it does there.
        apart: it asks another server than the rest of the process does.

    Attributes:
        lasting: the database was away when it was last asked.
    """

    def __init__(self, what: str, *, apart: bool = False) -> None:
        self._what = what
        self._away = _Away() if apart else _everybody
        self.lasting = False

    def noted(self, error: BaseException, pause: float | None = None) -> None:
        """The database did not answer. ``pause``: seconds until it is asked again, if that is known."""
        again = "" if pause is None else f"; trying again in {pause:.1f} s"
        if is_passing(error):
            logger.info("%s: another transaction was in the way (%s)%s", self._what, told(error), again)
            return
        self.lasting = True
        level = logging.WARNING if self._away.add(self) else logging.DEBUG
        logger.log(level, "%s: the database is away (%s); trying again until it is back", self._what, told(error))

    def over(self) -> None:
        """It did."""
        if self.lasting:
            self.lasting = False
            seconds, last = self._away.remove(self)
            level = logging.WARNING if last else logging.DEBUG
            logger.log(level, "%s: the database is back, after %.1f s", self._what, seconds)

    def forget(self) -> None:
        """Nobody asks here any more."""
        self.lasting = False
        self._away.remove(self)


AFTERMATH = 60.0
"""Seconds after an outage in which a loop's first error is taken for a connection that broke in it."""


class _Away:
    """To whom in this process a database does not answer. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: weakref.WeakSet[Outage] = weakref.WeakSet()  # who is gone has nothing to wait for
        self._since = self._until = 0.0
        self._ended = float("-inf")
        self._said = False

    def add(self, one: Outage) -> bool:
        """Whether it is to be said: once an outage, and right after one only if the database is away for long."""
        now = time.monotonic()
        with self._lock:
            if not len(self._members):
                self._since, self._said = now, False
            again = one in self._members
            self._members.add(one)
            self._until = 0.0
            news = not self._said and (again or now - self._ended > AFTERMATH)
            self._said = self._said or news
            return news

    def remove(self, one: Outage) -> tuple[float, bool]:
        """How long the database was away, in seconds; whether that is to be said: by the last."""
        with self._lock:
            if one not in self._members:
                return 0.0, False
            self._members.discard(one)
            self._until = self._until or time.monotonic()
            last = not len(self._members)
            if last:
                self._ended = self._until
            return self._until - self._since, last and self._said


_everybody = _Away()
