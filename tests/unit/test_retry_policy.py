"""When an attempt is followed by another, and how much later."""

from datetime import UTC, datetime
from typing import Any

import pytest
from procrastinate.jobs import Job

import workrow


def job(attempts: int) -> Job:
    return Job(queue="q", lock=None, queueing_lock=None, task_name="t", attempts=attempts)


def decide(retry: workrow.Retry, attempts: int, error: BaseException) -> float | None:
    before = datetime.now(UTC)
    decision = retry.get_retry_decision(exception=error, job=job(attempts))
    return None if decision is None or decision.retry_at is None else (decision.retry_at - before).total_seconds()


def test_exponential_grows_to_its_cap() -> None:
    wait = workrow.exponential(5, cap=300, jitter=False)
    assert [wait(n) for n in range(1, 9)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert wait(10_000) == 300


def test_full_jitter_covers_the_whole_span() -> None:
    waits = [workrow.exponential(8, cap=1000)(3) for _ in range(2000)]
    assert 0 <= min(waits) < 2
    assert 30 < max(waits) <= 32
    assert 15 < sum(waits) / len(waits) < 17


def test_max_attempts_counts_the_first_one() -> None:
    retry = workrow.Retry(max_attempts=3, wait=60)
    assert [decide(retry, n, OSError()) is not None for n in range(4)] == [True, True, False, False]
    assert decide(workrow.Retry(max_attempts=None, wait=60), 10_000, OSError()) == pytest.approx(60, abs=1)


def test_fractions_of_a_second_are_kept() -> None:
    seconds = decide(workrow.Retry(wait=0.25), 0, OSError())
    assert seconds is not None
    assert 0.2 < seconds < 0.3


def test_exceptions_decide() -> None:
    retry = workrow.Retry(retry_on=(OSError,), discard_on=(ConnectionError,))
    assert decide(retry, 0, FileNotFoundError()) is not None
    assert decide(retry, 0, ConnectionResetError()) is None
    assert decide(retry, 0, KeyError()) is None
    assert retry.discards(ConnectionResetError())
    assert not retry.discards(KeyError())


@pytest.mark.parametrize(
    "make",
    [
        lambda: workrow.Retry(max_attempts=0),
        lambda: workrow.Retry(wait=-1),
        lambda: workrow.Retry(wait=float("nan")),
        lambda: workrow.Retry(retry_on=OSError),  # type: ignore[arg-type]
        lambda: workrow.Retry(discard_on=("x",)),  # type: ignore[arg-type]
        lambda: workrow.exponential(-1),
        lambda: workrow.exponential(1, factor=0.5),
        lambda: workrow.exponential(1, cap=float("inf")),
    ],
)
def test_what_cannot_work_is_refused_at_declaration(make: Any) -> None:
    with pytest.raises(workrow.OptionError):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: workrow.exponential(5, jitter="no"), r"exponential\(jitter='no'\): must be True or False"),  # type: ignore[arg-type]
        (lambda: workrow.fixed(5, jitter=1), r"fixed\(jitter=1\): must be True or False"),  # type: ignore[arg-type]
        (lambda: workrow.linear(5, jitter=None), r"linear\(jitter=None\): must be"),  # type: ignore[arg-type]
        (lambda: workrow.exponential(50, cap=10), r"exponential\(base=50, cap=10\): .* use fixed\(10\)"),
        (lambda: workrow.linear(50, cap=10), r"linear\(step=50, cap=10\): the cap is below the step"),
        (lambda: workrow.Rule(OSError, discard=1), r"Rule\(discard=1\): must be True or False"),  # type: ignore[arg-type]
        (lambda: workrow.Rule(OSError, retry_after="x"), r"Rule\(retry_after='x'\): must be"),  # type: ignore[arg-type]
        (
            lambda: workrow.Retry(retry_on=(OSError, ValueError), discard_on=(ValueError,)),
            "retry_on and discard_on contradict each other: ValueError is in both; take it out of one of them",
        ),
        (
            lambda: workrow.Retry(retry_on=(KeyError,), discard_on=(LookupError,)),
            "KeyError is a LookupError, which is never retried",
        ),
        (
            lambda: workrow.Retry(discard_on=(LookupError,)).narrowed((KeyError,), None),
            "KeyError is a LookupError, which is never retried",
        ),
    ],
)
def test_contradictions_are_named(make: Any, message: str) -> None:
    with pytest.raises(workrow.OptionError, match=message):
        make()


def test_part_of_what_is_retried_may_be_given_up() -> None:
    retry = workrow.Retry(retry_on=(LookupError,), discard_on=(KeyError,), wait=1)
    assert decide(retry, 0, IndexError()) == pytest.approx(1, abs=0.1)
    assert decide(retry, 0, KeyError()) is None
    everything = workrow.Retry(discard_on=(Exception,))
    assert decide(everything, 0, OSError()) is None


def test_a_task_may_take_out_of_what_it_inherits() -> None:
    retry = workrow.Retry(retry_on=(LookupError, OSError), wait=1).narrowed(None, (LookupError,))
    assert decide(retry, 0, OSError()) == pytest.approx(1, abs=0.1)
    assert decide(retry, 0, KeyError()) is None
    assert retry.discards(KeyError())
