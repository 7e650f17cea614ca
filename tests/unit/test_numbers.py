"""Any number, in any option of anything: taken, or refused in one line that names it."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from procrastinate.testing import InMemoryConnector

import workrow
from workrow.cli.worker import read_queues
from workrow.context import JobContext
from workrow.declare.schedule import Schedule
from workrow.errors import WorkrowError

ODD: list[Any] = [
    *(10**400, -(10**400), 10**5000, -(10**5000), 2**63, 1e300, 5e-324, float("nan"), float("inf"), -float("inf")),
    *(True, "1", b"1", None, -1, 0, 1.5, [], timedelta.max, timedelta.min),
]
APP = "postgresql://h/d"


def task(**options: Any) -> Any:
    app = workrow.App(connector=InMemoryConnector())

    @app.task(name="t", **options)
    def function() -> None: ...

    return function


def call(**options: Any) -> None:
    task().apply_async(**options, queue="")  # which is refused, if nothing else is


def schedule(**options: Any) -> Schedule:
    return Schedule(**{"every": timedelta(days=1), "missed": "all", **options})


def worker_of(**options: Any) -> Any:
    return workrow.App(APP)._worker(**options)


def progress(**said: Any) -> None:
    context: Any = JobContext(start_timestamp=0, app=None, job=None, abort_reason=lambda: None)  # type: ignore[arg-type]
    context.progress(**{"done": 0, **said})


def wait(timeout: Any) -> None:
    from workrow.results.results import seconds_of

    seconds_of(timeout)


def each(shown: str, take: Callable[[str, Any], object], names: str) -> dict[str, Callable[[Any], object]]:
    return {shown.format(name): partial(take, name) for name in names.split()}


DECLARED = "priority soft_time_limit time_limit max_result max_payload version expires debounce retry throttle every"
WORKERS = (
    "concurrency priority_ageing max_jobs max_memory slow_callback_duration fetch_job_polling_interval "
    "abort_job_polling_interval shutdown_graceful_timeout update_heartbeat_interval stalled_worker_timeout"
)
APPS = "lease max_crashes max_payload max_result keep_history"
OPTIONS: dict[str, Callable[[Any], object]] = {
    **each("task({}=)", lambda name, value: task(**{name: value}), DECLARED),
    "task(max_memory=)": lambda value: task(run_in="process", max_memory=value),
    **each("options({}=)", lambda name, value: task().options(**{name: value}), "delay priority expires debounce at"),
    **each("apply_async({}=)", lambda name, value: call(**{name: value}), "countdown expires priority eta"),
    "Unique(within=)": lambda value: workrow.Unique(within=value),
    "Debounce(seconds=)": lambda value: workrow.Debounce(value),
    "Debounce(max_wait=)": lambda value: workrow.Debounce(1, max_wait=value),
    "Throttle(limit=)": lambda value: workrow.Throttle(value, per=1),
    "Throttle(per=)": lambda value: workrow.Throttle(1, per=value),
    "Limit()": lambda value: workrow.Limit(value),
    "Rate()": lambda value: workrow.Rate(value),
    "Rate(burst=)": lambda value: workrow.Rate("1/s", burst=value),
    "Schedule(priority=)": lambda value: task(schedule=Schedule(every=timedelta(days=1), priority=value)),
    **each("Schedule({}=)", lambda name, value: schedule(**{name: value}), "every catch_up max_late jitter"),
    "Retry(wait=)": lambda value: workrow.Retry(wait=value),
    "Retry(max_attempts=)": lambda value: workrow.Retry(max_attempts=value),
    "Rule(wait=)": lambda value: workrow.Rule(OSError, wait=value),
    "a wait returns": lambda value: workrow.Rule(OSError, wait=lambda _: value).seconds(1, OSError()),
    "fixed()": lambda value: workrow.fixed(value)(1),
    "linear()": lambda value: workrow.linear(value)(1000),
    "linear(cap=)": lambda value: workrow.linear(1, cap=value)(1000),
    "exponential()": lambda value: workrow.exponential(value)(1000),
    "exponential(factor=)": lambda value: workrow.exponential(1, factor=value)(1000),
    "exponential(cap=)": lambda value: workrow.exponential(1, cap=value)(1000),
    "RetryLater(in_=)": lambda value: workrow.RetryLater(in_=value),
    "Snooze(in_=)": lambda value: workrow.Snooze(in_=value),
    "RateLimited(retry_after=)": lambda value: workrow.RateLimited(retry_after=value),
    **each("App({}=)", lambda name, value: workrow.App(APP, **{name: value}), APPS),
    "App(max_delay=)": lambda value: workrow.App(APP, periodic_defaults={"max_delay": value})._worker(),
    "queue(max_depth=)": lambda value: workrow.App(APP).queue("q", max_depth=value),
    "job()": lambda value: workrow.App(APP).job(value),
    **each("worker({}=)", lambda name, value: worker_of(**{name: value}), WORKERS),
    "worker(queue_concurrency=)": lambda value: worker_of(queue_concurrency={"q": value}),
    "result(timeout=)": wait,
    **each("progress({}=)", lambda name, value: progress(**{name: value}), "done total"),
    "defer(schedule_in=)": lambda value: task().configure(schedule_in={"seconds": value}),
}


@pytest.mark.parametrize("option", OPTIONS)
async def test_any_number(option: str) -> None:
    for value in ODD:
        with contextlib.suppress(WorkrowError):
            OPTIONS[option](value)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("value", [10**400, 10**5000, -(10**400)], ids=["400 digits", "5,000 digits", "negative"])
async def test_huge_numbers_are_refused(option: str, value: int) -> None:
    if option in ("task(retry=)", "Retry(max_attempts=)") and value > 0:
        pytest.skip("so many attempts are as good as no limit")
    with pytest.raises(WorkrowError, match=r"^[^\n]{10,400}$"):
        OPTIONS[option](value)


@pytest.mark.parametrize("slots", ["9" * 5000, "0", "-1", "1e3", "²", "٣"])
def test_slots_of_the_command_line(slots: str) -> None:
    with pytest.raises(workrow.OptionError, match="write name or name:slots"):
        read_queues(f"emails:{slots}")


@pytest.mark.parametrize("rate", ["9" * 5000 + "/s", "1/" + "9" * 5000 + "s", "1/9999999999d", "1/0s"])
def test_rates(rate: str) -> None:
    with pytest.raises(workrow.OptionError, match=r"^Rate\('.{1,81}: must be a count and a period"):
        workrow.Rate(rate)


@pytest.mark.parametrize("attempts", [1, 2, 70, 2000, 2**31])
def test_backoff_ends_at_its_cap(attempts: int) -> None:
    for factor in (1, 2, 1e3, 10**9):
        assert workrow.exponential(0, factor=factor, jitter=False)(attempts) == 0
        span = workrow.exponential(1, factor=factor, cap=60, jitter=False)(attempts)
        assert span == (1 if attempts == 1 or factor == 1 else 2 if (attempts, factor) == (2, 2) else 60)


@pytest.mark.parametrize("asked", [0, 1e-9, 0.999, timedelta(microseconds=1), 5e-324])
def test_nobody_comes_back_at_once_to_who_said_stop(asked: Any) -> None:
    assert workrow.RateLimited(retry_after=asked).seconds == 1
    assert workrow.RateLimited(at=datetime.now(UTC) + timedelta(milliseconds=5)).seconds == 1


@pytest.mark.parametrize("late", [timedelta(days=365, microseconds=1), timedelta(days=366), 365 * 86400 + 1])
def test_a_year_has_365_days(late: Any) -> None:
    assert workrow.RateLimited(retry_after=timedelta(days=365)).seconds == 365 * 86400
    with pytest.raises(workrow.OptionError, match=r"^RateLimited\(retry_after=.* up to a year \(365 days\)"):
        workrow.RateLimited(retry_after=late)
    with pytest.raises(workrow.OptionError, match=r"within a year \(365 days\) from now"):
        workrow.RateLimited(at=datetime.now(UTC) + timedelta(days=365, hours=1))
