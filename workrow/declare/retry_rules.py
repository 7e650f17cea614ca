"""Ready-made rules for what goes wrong in every project: ``@task(retry=workrow.retries.usual)``.

They know the exceptions of drivers and HTTP clients by name or by shape, and import none of them.
"""

from collections.abc import Callable

import psycopg

from workrow.declare.backoff import exponential
from workrow.declare.retry_policy import Rule, asked_seconds
from workrow.errors import ArgumentError, SoftTimeLimitExceeded, TimeLimitExceeded

__all__ = ["database", "external", "not_found", "timeout", "usual", "validation"]

PASSING_STATES = ("08", "40001", "40P01", "53", "55P03", "57014", "57P")
"""SQLSTATE prefixes of what passes: no connection, serialization failure, deadlock, no resources, a lock not available,
a statement cancelled, a server that stops. https://www.postgresql.org/docs/current/errcodes-appendix.html"""
DRIVERS = frozenset({("asyncpg", "InterfaceError"), ("psycopg2", "OperationalError"), ("psycopg2", "InterfaceError")})
"""Package and class of a driver's exceptions that come without a SQLSTATE when the connection is gone."""

BUSY_STATUSES = frozenset({408, 421, 423, 425, 429})
"""HTTP statuses of a request that may succeed later, besides all from 500 on."""
NEVER_STATUSES = frozenset({501, 505})
INVALID_STATUSES = frozenset({400, 422})
GONE_STATUSES = frozenset({404, 410})

CONNECTION_ERRORS = frozenset(
    {
        ("aiohttp", "ClientConnectionError"),
        ("aiohttp", "ClientPayloadError"),
        ("aiosmtplib", "SMTPConnectError"),
        ("aiosmtplib", "SMTPServerDisconnected"),
        ("botocore", "HTTPClientError"),
        ("http", "HTTPException"),
        ("httpcore", "NetworkError"),
        ("httpcore", "ProtocolError"),
        ("httpx", "TransportError"),
        ("redis", "ConnectionError"),
        ("requests", "ChunkedEncodingError"),
        ("requests", "ConnectionError"),
        ("smtplib", "SMTPConnectError"),
        ("smtplib", "SMTPServerDisconnected"),
        ("socket", "gaierror"),
        ("urllib", "URLError"),
        ("urllib3", "HTTPError"),
    }
)
NEVER_PASSING = frozenset({("httpx", "UnsupportedProtocol"), ("ssl", "SSLCertVerificationError")})
TIMEOUTS = frozenset(
    {
        ("httpcore", "TimeoutException"),
        ("httpx", "TimeoutException"),
        ("redis", "TimeoutError"),
        ("requests", "Timeout"),
        ("urllib3", "TimeoutError"),
    }
)
INVALID_NAMES = frozenset({"ValidationError", "RequestValidationError"})
MISSING_NAMES = frozenset({"DoesNotExist", "NoResultFound", "NotFound", "NotFoundError"})


def _is_database(error: BaseException) -> bool:
    from sqlalchemy import exc as sa_exc

    if isinstance(error, sa_exc.TimeoutError):  # no free connection in the pool
        return True
    if isinstance(error, sa_exc.DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        return state.startswith(PASSING_STATES)
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) or _is_any(error, DRIVERS)


def _is_external(error: BaseException) -> bool:
    status = _status(error)
    if status is not None:
        return status in BUSY_STATUSES or (status >= 500 and status not in NEVER_STATUSES)
    if _is_any(error, NEVER_PASSING) or _is_any(_cause(error), NEVER_PASSING):
        return False
    code = getattr(error, "smtp_code", None)
    if isinstance(code, int):
        return 400 <= code < 500  # RFC 5321, 4.2.1: a transient negative reply
    return isinstance(error, ConnectionError) or _is_any(error, CONNECTION_ERRORS) or asked_seconds(error) is not None


def _is_validation(error: BaseException) -> bool:
    if isinstance(error, ArgumentError) or _status(error) in INVALID_STATUSES:
        return True
    return any(each.__name__ in INVALID_NAMES for each in type(error).__mro__)


def _is_not_found(error: BaseException) -> bool:
    status = _status(error)
    if status is not None:
        return status in GONE_STATUSES
    return isinstance(error, FileNotFoundError) or any(each.__name__ in MISSING_NAMES for each in type(error).__mro__)


def _is_timeout(error: BaseException) -> bool:
    ours = isinstance(error, TimeoutError | TimeLimitExceeded | SoftTimeLimitExceeded)
    return ours or _is_any(error, TIMEOUTS)


def _status(error: BaseException) -> int | None:
    """The HTTP status that the exception stands for: of httpx and requests, of aiohttp, of urllib."""
    response = getattr(error, "response", None)
    found = (
        *(getattr(response, "status_code", None), getattr(response, "status", None)),
        *(getattr(error, "status_code", None), getattr(error, "status", None)),
        getattr(error, "code", None) if hasattr(error, "headers") else None,
    )
    return next((each for each in found if isinstance(each, int) and 100 <= each < 600), None)


def _is_any(error: BaseException | None, known: frozenset[tuple[str, str]]) -> bool:
    return any((each.__module__.partition(".")[0].lstrip("_"), each.__name__) in known for each in type(error).__mro__)


def _cause(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)  # urllib's
    return reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__


def _rule(on: Callable[[BaseException], bool], max_attempts: int, base: float, cap: float, **more: bool) -> Rule:
    return Rule(on, max_attempts=max_attempts, wait=exponential(base, cap=cap), **more)


database = _rule(_is_database, 10, 1, 120)
"""The database is away, full or busy; a deadlock, a serialization failure, a lock or statement timeout. Up to 10
attempts, a random time up to 1 s, 2 s, 4 s, … 2 min apart. Constraints that are violated are not meant."""

external = _rule(_is_external, 8, 5, 1800, retry_after=True)
"""Another service is away or busy: connection errors, HTTP 408, 421, 423, 425, 429 and 5xx, SMTP 4xx, and whatever has
a ``retry_after``. Up to 8 attempts, a random time up to 5 s, 10 s, 20 s, … 30 min apart, and no sooner than the service
says (Retry-After, a day at most)."""

validation = Rule(_is_validation, discard=True)
"""The data is wrong, and will be: pydantic's ValidationError and others of that name, HTTP 400 and 422. Discarded."""

not_found = _rule(_is_not_found, 3, 10, 60)
"""It is not there (yet): SQLAlchemy's NoResultFound, Django's DoesNotExist, FileNotFoundError, HTTP 404 and 410. 3
attempts; ``not_found.changed(discard=True)`` never tries again."""

timeout = _rule(_is_timeout, 5, 30, 900)
"""It took too long: TimeoutError, those of HTTP clients, the task's own limits. Up to 5 attempts, a random time up to
30 s, 60 s, … 15 min apart."""

usual = (validation, not_found, timeout, database, external)
"""All five. What fits none of them is not retried: most likely it is a mistake in the code."""
