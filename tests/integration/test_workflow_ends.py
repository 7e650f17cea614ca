"""Whoever ends a node's job, and however: what follows it is enqueued once, in the same transaction."""

import asyncio
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_trust import bury, rescue, status
from tests.integration.test_worker import run
from tests.integration.test_workflows import jobs

GOOD = {
    "a stock worker": "SELECT procrastinate_finish_job_v1(%(id)s, 'succeeded', false)",
    "a stock worker that deletes": "SELECT procrastinate_finish_job_v1(%(id)s, 'succeeded', true)",
    "procrastinate's first statements": "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = %(id)s",
}
BAD = {
    "a stock worker": "SELECT procrastinate_finish_job_v1(%(id)s, 'failed', false)",
    "a stock worker that deletes": "SELECT procrastinate_finish_job_v1(%(id)s, 'failed', true)",
    "procrastinate's first statements": "UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %(id)s",
    "a cancel": "SELECT workrow.cancel_job_v1(%(id)s)",
    "procrastinate's cancel": "SELECT procrastinate_cancel_job_v1(%(id)s, false, false)",
    "procrastinate's cancel that deletes": "SELECT procrastinate_cancel_job_v1(%(id)s, false, true)",
    "expiry": "UPDATE procrastinate_jobs SET expires_at = now() - INTERVAL '1 hour' WHERE id = %(id)s",
    "quarantine": "SELECT workrow.crash_job_v1(%(id)s, true, 1, 'killed') FROM procrastinate_jobs WHERE id = %(id)s",
    "somebody's DELETE": "DELETE FROM procrastinate_jobs WHERE id = %(id)s",
}
SWEEPS = """
SELECT
    workrow.sweep_workflows_v1(), workrow.sweep_finished_v1(), workrow.sweep_expired_v1(), workrow.sweep_workflows_v1()
"""


@pytest.fixture
def flow_app(open_app: workrow.App) -> workrow.App:
    @open_app.task(name="first")
    async def first(x: int = 0) -> int:
        return x

    @open_app.task(name="second")
    async def second(x: int = 0) -> int:
        return x + 1

    return open_app


@pytest.mark.parametrize("way", GOOD)
async def test_what_follows_runs_once_after_every_good_end(flow_app: workrow.App, conn: Any, way: str) -> None:
    first, second = flow_app.tasks["first"], flow_app.tasks["second"]
    workflow = await workrow.chain(first.si(1), second.si(5)).enqueue(None)
    needy = await workrow.chain(first.si(1), second.s()).enqueue(None)
    [one, other] = conn.execute("SELECT id FROM procrastinate_jobs ORDER BY id").fetchall()
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    for (job,) in (one, other):
        conn.execute(GOOD[way], {"id": job})
    for _ in range(2):
        conn.execute(SWEEPS)
        assert [each for each in jobs(conn) if each[0] == "second"] == [("second", {"x": 5}, "todo")]
    with pytest.raises(workrow.WorkflowFailed, match="a stock procrastinate worker ran it, which keeps no result"):
        await needy.result(timeout=1)
    await run(flow_app)
    assert await workflow.result(timeout=1) == 6


@pytest.mark.parametrize("way", BAD)
async def test_a_workflow_ends_with_every_bad_end(flow_app: workrow.App, conn: Any, way: str) -> None:
    first, second = flow_app.tasks["first"], flow_app.tasks["second"]
    workflow = await workrow.chain(first.si(1), second.s()).on_failure(second.si(9)).enqueue(None)
    [(job,)] = conn.execute("SELECT id FROM procrastinate_jobs").fetchall()
    if "cancel" not in way and way != "expiry":
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    conn.execute(BAD[way], {"id": job})
    for _ in range(2):
        conn.execute(SWEEPS)
        assert (await workflow.status()).state == "failed"
        assert [each for each in jobs(conn) if each[0] == "second"] == [("second", {"x": 9}, "todo")]
    with pytest.raises(workrow.WorkflowFailed):
        await workflow.result(timeout=1)


GONE = {
    "a cancel": "Cancelled: its job was cancelled",
    "procrastinate's cancel": "Cancelled: its job was cancelled",
    "procrastinate's cancel that deletes": "Cancelled: its job was cancelled",
    "expiry": "Expired: ",
    "somebody's DELETE": "Deleted: its job was deleted",
}


@pytest.mark.parametrize("way", GONE)
async def test_a_job_that_is_cancelled_or_deleted_by_itself_counts_as_failed(
    flow_app: workrow.App, conn: Any, way: str
) -> None:
    first, second = flow_app.tasks["first"], flow_app.tasks["second"]
    workflow = await workrow.chain(workrow.group(first.s(1), first.s(2)), second.si()).enqueue(None)
    [(job,), _] = conn.execute("SELECT id FROM procrastinate_jobs ORDER BY id").fetchall()
    conn.execute('UPDATE procrastinate_jobs SET errors = \'[{"type": "ValueError", "message": "before"}]\'')
    conn.execute(BAD[way], {"id": job})
    conn.execute(SWEEPS)
    assert (await workflow.status()).failed == 1
    assert conn.execute("SELECT state, failed FROM workrow.workflows").fetchall() == [("failed", 1)]
    with pytest.raises(workrow.WorkflowFailed, match=GONE[way]):
        await workflow.result(timeout=1)


async def test_a_retry_names_the_job_that_was_deleted(flow_app: workrow.App, conn: Any) -> None:
    workflow = await workrow.chain(flow_app.tasks["first"].s(1), flow_app.tasks["second"].s()).enqueue(None)
    [(job,)] = conn.execute("DELETE FROM procrastinate_jobs RETURNING id").fetchall()
    conn.execute(SWEEPS)
    for call in (workflow.retry(), asyncio.to_thread(workflow.retry_sync)):
        with pytest.raises(
            workrow.WorkflowError, match=rf"cannot be retried: its job {job} \(first, node 0\) was deleted"
        ):
            await call
    assert (await workflow.status()).state == "failed"


async def test_a_cancel_of_the_whole_counts_no_failure(flow_app: workrow.App, conn: Any) -> None:
    workflow = await workrow.chain(flow_app.tasks["first"].s(1), flow_app.tasks["second"].s()).enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    assert await workflow.cancel() == "cancelling"
    conn.execute("SELECT procrastinate_finish_job_v1(id, 'aborted', false) FROM procrastinate_jobs")
    status = await workflow.status()
    assert (status.state, status.failed) == ("cancelled", 0)


async def test_what_an_older_worker_ends_is_found_by_the_sweep(flow_app: workrow.App, conn: Any) -> None:
    """Its statement knows nothing of workflows: history has the result, and no node."""
    workflow = await workrow.chain(flow_app.tasks["first"].si(1), flow_app.tasks["second"].s()).enqueue(None)
    [(job,)] = conn.execute("SELECT id FROM procrastinate_jobs").fetchall()
    conn.execute(
        """WITH ended AS (DELETE FROM procrastinate_jobs WHERE id = %s RETURNING *)
           INSERT INTO workrow.history
               (id, queue_name, task_name, priority, args, status, attempts, finished_at, result)
           SELECT id, queue_name, task_name, priority, args, 'succeeded', 1, now(), '41' FROM ended""",
        [job],
    )
    assert jobs(conn)[-1][2] == "succeeded"
    for _ in range(2):
        conn.execute(SWEEPS)
        assert jobs(conn)[1:] == [("second", {"x": 41}, "todo")]
    await run(flow_app)
    assert await workflow.result(timeout=1) == 42


async def test_a_rescued_job_and_its_late_first_worker_unblock_once(open_app: workrow.App, conn: Any) -> None:
    go = asyncio.Event()
    attempts: list[int] = []

    @open_app.task(name="slow")
    async def slow() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            await go.wait()
        return len(attempts)

    @open_app.task(name="after")
    async def after(x: int) -> int:
        return x

    workflow = await workrow.chain(slow.s(), after.s()).enqueue(None)
    [(job_id,)] = conn.execute("SELECT id FROM procrastinate_jobs").fetchall()
    job = open_app.job(job_id)
    async with Running(open_app, update_heartbeat_interval=3600):
        await until(lambda: status(conn, job) == "doing")
        bury(conn)
        assert rescue(conn) == [(job_id, "queued")]
        conn.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', claims = claims + 1, worker_id = NULL WHERE id = %s",
            [job_id],
        )
        go.set()
        await until(lambda: len(attempts) >= 1)
        conn.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", [job_id])
    # the stock end keeps no result, which the second step needs; and the late finish was refused
    assert (await workflow.status()).state == "failed"
    assert [task for task, _, _ in jobs(conn)] == ["slow"]


async def test_a_workflow_that_is_held_by_somebody_keeps_no_other_from_ending(
    flow_app: workrow.App, conn: Any, database_url: str
) -> None:
    first, second = flow_app.tasks["first"], flow_app.tasks["second"]
    held = await workrow.chain(first.si(1), second.s()).enqueue(None)
    free = await workrow.chain(first.si(2), second.s()).enqueue(None)
    plain = await first.enqueue(None, 7)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM workrow.flows WHERE id = %s FOR UPDATE", [held.id])
        async with Running(flow_app):
            assert await free.result(timeout=10) == 3
            assert await plain.result(timeout=10) == 7
            assert (await held.status()).done == 0
            holder.rollback()
            assert await held.result(timeout=10) == 2


async def test_jobs_that_are_not_to_be_kept_hand_their_results_on(flow_app: workrow.App) -> None:
    workflow = await workrow.chain(flow_app.tasks["first"].s(1), flow_app.tasks["second"].s()).enqueue(None)
    await run(flow_app, delete_jobs="always")
    assert await workflow.result(timeout=1) == 2


async def test_transactional_ends_unblock_in_the_tasks_own_transaction(open_app: workrow.App, conn: Any) -> None:
    seen: list[Any] = []

    @open_app.task(name="write", transactional=True)
    async def write(on: psycopg.AsyncConnection[Any], x: int) -> int:
        return x

    @open_app.task(name="roll_back", transactional=True)
    async def roll_back(on: psycopg.AsyncConnection[Any], x: int) -> int:
        raise ValueError(x)

    @open_app.task(name="sum")
    async def add_up(numbers: list[int]) -> int:
        seen.append(numbers)
        return sum(numbers)

    workflow = await workrow.chord([write.s(number) for number in range(20)], add_up.s()).enqueue(None)
    bad = await workrow.chord([write.s(1), roll_back.s(2)], add_up.s()).enqueue(None)
    await run(open_app, concurrency=10)
    assert await workflow.result(timeout=5) == 190
    with pytest.raises(workrow.WorkflowFailed, match="roll_back"):
        await bad.result(timeout=5)
    assert seen == [list(range(20))]


async def test_a_workflow_that_cannot_go_on_fails_alone(flow_app: workrow.App, conn: Any) -> None:
    first, second = flow_app.tasks["first"], flow_app.tasks["second"]
    odd, healthy = [await workrow.chain(first.si(1), second.si(5)).enqueue(None) for _ in range(2)]
    called = await workrow.group(first.si(1), first.si(2)).on_complete(second.si(5)).enqueue(None)
    conn.execute("UPDATE workrow.flow_nodes SET spec = NULL WHERE flow_id = %s AND state = 'waiting'", [odd.id])
    conn.execute("UPDATE workrow.flow_nodes SET spec = NULL WHERE flow_id = %s AND fires = 'end'", [called.id])
    await run(flow_app)
    ends = conn.execute("SELECT id, state, error FROM workrow.workflows ORDER BY id").fetchall()
    assert [(id, state) for id, state, _ in ends] == [
        (odd.id, "failed"),
        (healthy.id, "succeeded"),
        (called.id, "failed"),
    ]
    assert "the workflow cannot go on after it" in ends[0][2]
    told = "SELECT count(*) FILTER (WHERE status = 'succeeded'), count(*) FROM workrow.jobs"
    assert conn.execute(told).fetchone() == (5, 5), "each job's own end is what it was"


async def test_the_sweep_goes_on_after_a_workflow_that_cannot(flow_app: workrow.App, conn: Any) -> None:
    first, second = flow_app.tasks["first"], flow_app.tasks["second"]
    flows = [await workrow.chain(first.si(1), second.si(5)).enqueue(None) for _ in range(2)]
    conn.execute("UPDATE workrow.flow_nodes SET on_failure = 'continue'")
    conn.execute("UPDATE workrow.flow_nodes SET spec = NULL WHERE flow_id = %s AND state = 'waiting'", [flows[0].id])
    conn.execute("DELETE FROM procrastinate_jobs")
    conn.execute(SWEEPS)
    assert (await flows[0].status()).state == "failed"
    assert jobs(conn) == [("second", {"x": 5}, "todo")]


async def test_a_worker_looks_at_once_for_what_its_job_has_unblocked(
    flow_app: workrow.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("FIRST_PAUSE", "DEAF_POLL_SECONDS"):
        monkeypatch.setattr(f"workrow.worker.lane.{pause}", 60)
    flow = await workrow.chain(flow_app.tasks["first"].si(n) for n in range(5)).enqueue(None)  # type: ignore[attr-defined]
    worker = asyncio.create_task(
        flow_app.run_worker_async(
            install_signal_handlers=False, listen_notify=False, fetch_job_polling_interval=60, concurrency=1
        )
    )
    try:
        assert await flow.result(timeout=30) == 4
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
