"""Whatever a task raises in a child process, its job goes on as if it had run in a thread."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration import awkward_errors
from tests.integration.awkward_errors import AWKWARD, BadCard
from tests.integration.test_processes import Pool
from tests.integration.test_worker import run
from workrow.declare import retry_policy, retry_rules
from workrow.worker.job_logs import message_of

POLICIES = {
    "usual": workrow.Retry(
        rules=[rule if rule.discard else rule.changed(wait=120) for rule in workrow.retries.usual], retry_on=()
    ),
    "discards": workrow.Retry(discard_on=(BadCard,), wait=107),
    "retries": workrow.Retry(retry_on=(awkward_errors.ApiError, OSError, LookupError), wait=108),
    "asks": workrow.Retry(rules=(workrow.Rule(lambda error: "5" in str(error.args), wait=109),), retry_on=()),
    "looks": workrow.Retry(
        rules=(workrow.Rule(lambda error: getattr(error, "code", None) == 429, wait=1010),), retry_on=()
    ),
    "behind": workrow.Retry(
        rules=(workrow.Rule(lambda error: isinstance(error.__cause__, BadCard), wait=1011),), retry_on=()
    ),
}


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    await pool.processes.close()


async def raised(awaitable: Any) -> BaseException:
    try:
        await awaitable
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def looks(error: BaseException) -> Any:
    """What a rule or a hook may look at."""
    members = [looks(each) for each in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    causes = [each.__cause__ and type(each.__cause__).__qualname__ for each in retry_policy.sole(error)]
    names = [(each.__module__, each.__qualname__) for each in type(error).__mro__]
    notes = [note for note in getattr(error, "__notes__", []) if "In the child process" not in note]
    known = (retry_rules._status(error), retry_policy.asked_seconds(error), retry_rules._is_database(error))
    return names, message_of(error)[:1000], causes, notes, known, members


async def test_all_that_a_policy_may_look_at_is_as_in_a_thread(pool: Pool) -> None:
    for kind in AWKWARD:
        here = await raised(asyncio.to_thread(awkward_errors.fail, kind)) if kind != "StopIteration" else RuntimeError()
        there = await raised(pool(awkward_errors.fail, kind=kind))
        if kind == "StopIteration":
            assert (type(there), type(there.__cause__)) == (RuntimeError, StopIteration)
        else:
            assert (kind, looks(there)) == (kind, looks(here))


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_job_goes_on_as_in_a_thread(
    open_app: workrow.App, conn: psycopg.Connection[Any], policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "RETRY_AFTER_JITTER", 0)
    tasks = {
        where: open_app.task(name=where, retry=POLICIES[policy], run_in=run_in)(awkward_errors.fail)  # type: ignore[call-overload]
        for where, run_in in (("thread", None), ("process", "process"))
    }
    for task in tasks.values():
        await task.enqueue_many(None, [{"kind": kind} for kind in AWKWARD])
    await run(open_app, concurrency=2)

    def ends(task: str) -> dict[str, Any]:
        found = conn.execute(
            """SELECT args->>'kind', status, discarded, attempts, error_type, left(error, 1000), quarantine,
                      round(EXTRACT(epoch FROM scheduled_at - CAST(errors->0->>'at' AS timestamptz))),
                      scheduled_at IS NULL, errors->0->>'traceback'
               FROM workrow.jobs WHERE task = %s""",
            [task],
        ).fetchall()
        assert [row[0] for row in found if row[-1] is not None and "in fail\n" not in row[-1]] == []
        here = {row[0] for row in found if "children/answer.py" in (row[-1] or "")}
        assert here <= {"StopIteration"}  # which no coroutine can raise
        return {kind: rest for kind, *rest, _ in found}

    thread, process = ends("thread"), ends("process")
    assert len(thread) == len(AWKWARD)
    assert process == thread
