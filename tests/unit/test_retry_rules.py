"""Rules: what each kind of exception is, and what becomes of it."""

import pickle
import smtplib
import socket
import ssl
import urllib.error
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pydantic
import pytest
import sqlalchemy as sa
from procrastinate import RetryStrategy
from procrastinate.jobs import Job

import workrow
from workrow import Retry, RetryLater, Rule
from workrow.declare import retry_rules as retries
from workrow.declare.retry_policy import asked_seconds, later
from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded


def job(attempts: int = 0) -> Job:
    return Job(queue="q", lock=None, queueing_lock=None, task_name="t", attempts=attempts)


def decide(retry: Retry, attempts: int, error: BaseException) -> float | None:
    before = datetime.now(UTC)
    decision = retry.get_retry_decision(exception=error, job=job(attempts))
    return None if decision is None or decision.retry_at is None else (decision.retry_at - before).total_seconds()


def http(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "https://example.org")
    response = httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()}, request=request)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response.raise_for_status()
    return caught.value


def wrapped(error: Exception) -> sa.exc.DBAPIError:
    found = sa.exc.DBAPIError.instance("SELECT 1", {}, error, psycopg.Error)
    assert isinstance(found, sa.exc.DBAPIError)
    return found


class PersonValidation(pydantic.BaseModel):
    age: int


def invalid() -> pydantic.ValidationError:
    with pytest.raises(pydantic.ValidationError) as caught:
        PersonValidation(age="x")  # type: ignore[arg-type]
    return caught.value


class SlowDown(Exception):
    retry_after = 7


class DoesNotExist(Exception): ...


KINDS: list[tuple[BaseException, str | None]] = [
    (psycopg.OperationalError("connection refused"), "database"),
    (psycopg.errors.DeadlockDetected(), "database"),
    (psycopg.errors.QueryCanceled(), "database"),
    (wrapped(psycopg.errors.SerializationFailure()), "database"),
    (wrapped(psycopg.OperationalError("gone")), "database"),
    (sa.exc.TimeoutError("QueuePool limit"), "database"),
    (psycopg.errors.UniqueViolation(), None),
    (wrapped(psycopg.errors.NotNullViolation()), None),
    (psycopg.errors.SyntaxError(), None),
    (http(503), "external"),
    (http(429, retry_after="3"), "external"),
    (http(501), None),
    (http(403), None),
    (httpx.ConnectError("refused"), "external"),
    (httpx.RemoteProtocolError("gone"), "external"),
    (httpx.UnsupportedProtocol("ftp"), None),
    (ConnectionResetError(), "external"),
    (socket.gaierror(), "external"),
    (urllib.error.URLError("refused"), "external"),
    (urllib.error.URLError(ssl.SSLCertVerificationError()), None),
    (urllib.error.HTTPError("u", 502, "bad gateway", Message(), None), "external"),
    (urllib.error.HTTPError("u", 404, "not found", Message(), None), "not_found"),
    (smtplib.SMTPServerDisconnected(), "external"),
    (smtplib.SMTPDataError(451, "greylisted"), "external"),
    (smtplib.SMTPDataError(554, "no"), None),
    (SlowDown(), "external"),
    (invalid(), "validation"),
    (workrow.ArgumentError("x"), "validation"),
    (http(422), "validation"),
    (http(404), "not_found"),
    (sa.exc.NoResultFound(), "not_found"),
    (FileNotFoundError(), "not_found"),
    (DoesNotExist(), "not_found"),
    (TimeoutError(), "timeout"),
    (TimeoutError(), "timeout"),
    (httpx.ReadTimeout("slow"), "timeout"),
    (TimeLimitExceeded("x"), "timeout"),
    (SoftTimeLimitExceeded("x"), "timeout"),
    (KeyError("x"), None),
    (ValueError("x"), None),
    (ExceptionGroup("group", [ConnectionResetError()]), "external"),
    (ExceptionGroup("group", [ConnectionResetError(), KeyError()]), None),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda value: repr(value)[:60])
def test_the_usual_rules_know(error: BaseException, kind: str | None) -> None:
    known = {id(getattr(retries, name)): name for name in retries.__all__}
    found = next((known[id(rule)] for rule in retries.usual if rule.fits(error)), None)
    assert found == kind


def test_the_first_rule_that_fits_decides() -> None:
    retry = Retry(
        rules=(
            Rule(ConnectionError, max_attempts=2, wait=workrow.fixed(7)),
            Rule((OSError, EOFError), max_attempts=None, wait=workrow.linear(10, cap=25)),
            Rule(lambda error: "permanent" in str(error), discard=True),
        ),
        wait=100,
        max_attempts=4,
    )
    assert decide(retry, 0, ConnectionResetError()) == pytest.approx(7, abs=1)
    assert decide(retry, 1, ConnectionResetError()) is None
    assert [decide(retry, n, EOFError()) for n in range(3)] == [pytest.approx(s, abs=1) for s in (10, 20, 25)]
    assert decide(retry, 0, KeyError("permanent")) is None
    assert retry.discards(KeyError("permanent"))
    assert decide(retry, 2, KeyError("x")) == pytest.approx(100, abs=1)
    assert decide(retry, 3, KeyError("x")) is None
    assert not retry.discards(KeyError("x"))


def test_discard_on_wins_over_rules() -> None:
    retry = Retry(rules=retries.usual, discard_on=(ConnectionResetError,))
    assert decide(retry, 0, ConnectionResetError()) is None
    assert retry.discards(ConnectionResetError())
    assert decide(retry, 0, ConnectionAbortedError()) is not None


def test_a_tuple_of_rules_retries_nothing_else() -> None:
    @workrow.Blueprint("b").task(retry=retries.usual)
    def task() -> None: ...

    policy = task.retry_strategy
    assert isinstance(policy, Retry)
    assert decide(policy, 0, ConnectionResetError()) is not None
    assert decide(policy, 0, KeyError()) is None
    assert not policy.discards(KeyError())
    assert policy.discards(invalid())


def test_one_rule_is_enough() -> None:
    @workrow.Blueprint("b").task(retry=Rule(OSError, wait=3), discard_on=(ConnectionError,))
    def task() -> None: ...

    policy = task.retry_strategy
    assert isinstance(policy, Retry)
    assert decide(policy, 0, OSError()) == pytest.approx(3, abs=1)
    assert policy.discards(ConnectionResetError())


def test_procrastinates_own_values_still_work() -> None:
    blueprint = workrow.Blueprint("b")
    strategy = RetryStrategy(max_attempts=3, wait=5)
    for number, value in enumerate((strategy, 2, True)):

        @blueprint.task(name=f"t{number}", retry=value)
        def task() -> None: ...

        assert isinstance(task.retry_strategy, RetryStrategy)


def test_waits() -> None:
    assert [workrow.linear(10, cap=25)(n) for n in (1, 2, 3)] == [10, 20, 25]
    assert workrow.fixed(30)(1) == workrow.fixed(30)(99) == 30
    assert 0 <= min(workrow.fixed(30, jitter=True)(1) for _ in range(100)) < 15


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (http(503, retry_after="120"), 120),
        (http(503, retry_after="soon"), None),
        (http(503, retry_after="-5"), None),
        (http(503), None),
        (SlowDown(), 7),
        (SimpleNamespace(retry_after=timedelta(minutes=2)), 120),
        (SimpleNamespace(retry_after="9.5"), 9.5),
        (SimpleNamespace(retry_after=float("nan")), None),
        (SimpleNamespace(headers={"Retry-After": "11"}), 11),
        (http(503, retry_after=format_datetime(in_seconds(-60), usegmt=True)), 0),
    ],
)
def test_what_the_other_side_asks_for(error: Any, seconds: float | None) -> None:
    assert asked_seconds(error) == (None if seconds is None else pytest.approx(seconds, abs=2))


def test_the_other_side_may_name_a_time() -> None:
    assert asked_seconds(http(429, retry_after=format_datetime(in_seconds(60), usegmt=True))) == pytest.approx(
        60, abs=2
    )
    assert asked_seconds(SimpleNamespace(retry_after=in_seconds(30))) == pytest.approx(30, abs=2)  # type: ignore[arg-type]


def test_retry_after_is_honoured_and_bounded() -> None:
    retry = Retry(rules=(retries.external,))
    asked = [decide(retry, 0, http(503, retry_after="200")) for _ in range(50)]
    assert all(seconds is not None and 199 < seconds < 221 for seconds in asked)
    assert len({round(seconds or 0, 3) for seconds in asked}) > 10, "all who were refused come back together"
    century = decide(retry, 0, http(503, retry_after="3153600000"))
    assert century is not None
    assert century < 1.2 * 86_400
    plain = Retry(rules=(Rule(httpx.HTTPError, wait=3),))
    assert decide(plain, 0, http(503, retry_after="200")) == pytest.approx(3, abs=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rule("OSError"),  # type: ignore[arg-type]
        lambda: Rule((OSError, "x")),  # type: ignore[arg-type]
        lambda: Rule(int),  # type: ignore[arg-type]
        lambda: Rule(OSError, max_attempts=0),
        lambda: Rule(OSError, max_attempts=True),
        lambda: Rule(OSError, wait=-1),
        lambda: Rule(OSError, discard=True, max_attempts=5),
        lambda: Retry(rules=(OSError,)),  # type: ignore[arg-type]
        lambda: workrow.fixed(-1),
        lambda: workrow.linear(-1),
        lambda: workrow.linear(1, cap=float("nan")),
        lambda: RetryLater(),
        lambda: RetryLater(in_=1, at=datetime.now(UTC)),
        lambda: RetryLater(in_=-1),
        lambda: RetryLater(in_=float("inf")),
        lambda: RetryLater(at=datetime(2026, 1, 1)),
        lambda: workrow.Snooze(in_=0),
        lambda: workrow.Blueprint("b").task(retry="often")(print),  # type: ignore[call-overload]
        lambda: workrow.Blueprint("b").task(retry=-1)(print),
        lambda: workrow.Blueprint("b").task(retry=())(print),
    ],
)
def test_what_cannot_work_is_refused_at_declaration(make: Callable[[], object]) -> None:
    with pytest.raises(workrow.OptionError):
        make()


def test_a_rule_can_be_changed() -> None:
    assert retries.external.changed(max_attempts=20).max_attempts == 20
    assert retries.not_found.changed(discard=True).discard


@pytest.mark.parametrize(
    "error",
    [
        RetryLater("busy", in_=timedelta(minutes=1)),
        RetryLater(at=datetime(2027, 1, 1, tzinfo=UTC)),
        workrow.Snooze("closed", in_=5),
        workrow.RateLimited("429", retry_after=5, limit="vendor"),
        workrow.Discard("no such user"),
    ],
)
def test_directives_come_out_of_child_processes(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert again.__dict__ == error.__dict__
    assert str(again) == str(error)


def test_a_directive_can_be_pickled() -> None:
    told = pickle.loads(pickle.dumps(RetryLater("why", in_=60)))
    assert (type(told), told.reason, told.seconds, str(told)) == (RetryLater, "why", 60, "why: again in 60 s")


def test_a_stock_worker_does_what_comes_closest() -> None:
    retry = Retry(max_attempts=2, retry_on=())
    minute = pytest.approx(60, abs=1)
    assert decide(retry, 0, RetryLater(in_=60)) == minute
    assert decide(retry, 1, RetryLater(in_=60)) is None
    assert decide(retry, 9, workrow.Snooze(in_=60)) == minute
    assert decide(retry, 0, workrow.Discard("gone")) is None
    assert decide(retry, 0, ExceptionGroup("group", [RetryLater(in_=60)])) == minute


def seconds_later(strategy: Any, told: RetryLater, attempts: int) -> float | None:
    found = later(strategy, told, job(attempts))
    if found is None:
        return None
    assert found.retry_at is not None
    return (found.retry_at - datetime.now(UTC)).total_seconds()


def test_retry_later_holds_to_max_attempts_of_every_kind_of_policy() -> None:
    told = RetryLater(in_=60)
    minute = pytest.approx(60, abs=1)
    assert [seconds_later(Retry(max_attempts=2, retry_on=()), told, n) for n in range(3)] == [minute, None, None]
    # procrastinate counts retries
    assert [seconds_later(RetryStrategy(max_attempts=2), told, n) for n in range(4)] == [minute, minute, None, None]
    strict = RetryStrategy(retry_exceptions=[OSError])
    assert seconds_later(strict, told, 99) == minute
    assert [seconds_later(None, told, n) for n in range(4)] == [minute, minute, None, None]


def test_retry_later_from_an_error_takes_that_ones_rule() -> None:
    retry = Retry(rules=(Rule(OSError, max_attempts=9),), max_attempts=1)
    told = RetryLater(in_=60)
    assert seconds_later(retry, told, 5) is None
    told.__cause__ = ConnectionResetError()
    assert seconds_later(retry, told, 5) == pytest.approx(60, abs=1)
