"""job.result(), status(), cancel(), retry(): what the caller hears of a job."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import UnboundTaskError
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import row, run
from workrow.errors import JobCancelled, JobFailed, JobNotFound, NoResult, ResultTimeout
from workrow.results import waiters
from workrow.results.results import LOOK_SECONDS


@asynccontextmanager
async def working(app: workrow.App, **options: Any) -> AsyncIterator[None]:
    """A worker beside the test."""
    worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False, **options))
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(10):
        while not (found := condition()):
            await asyncio.sleep(0.01)
    return found


async def test_the_result_is_what_the_task_returned(open_app: workrow.App) -> None:
    @open_app.task(name="add")
    async def add(a: int, b: int) -> int:
        return a + b

    async with working(open_app):
        job = await add.enqueue(None, 1, b=2)
        assert await job.result(timeout=10) == 3
        assert await job.status() == "succeeded"
        assert await job.result() == 3, "once more, from history"
        assert await open_app.job(job.id).result(timedelta(seconds=10)) == 3


async def test_the_sync_twins(open_app: workrow.App) -> None:
    @open_app.task(name="add")
    async def add(a: int, b: int) -> int:
        return a + b

    async with working(open_app):
        job = await add.enqueue(None, 1, 2)
        assert await asyncio.to_thread(job.result_sync, 10) == 3
    assert job.status_sync() == "succeeded"
    assert job.progress_sync() is None
    assert job.cancel_sync() is None
    assert job.retry_sync() is None


async def test_a_result_is_loaded_as_the_task_says(open_app: workrow.App, monkeypatch: pytest.MonkeyPatch) -> None:
    @open_app.task(name="when")
    async def when() -> timedelta:
        return timedelta(seconds=90)

    monkeypatch.setattr(when, "load_result", lambda json, codec: {"loaded": json}, raising=False)
    job = await when.enqueue(None)
    await run(open_app)
    assert await job.result(timeout=10) == {"loaded": "PT1M30S"}


async def test_a_failure_carries_the_last_attempts_error(open_app: workrow.App) -> None:
    @open_app.task(name="fail", retry=workrow.Retry(max_attempts=2, wait=0))
    async def fail(ctx: workrow.JobContext) -> None:
        raise KeyError(f"attempt {ctx.job.attempts + 1}")

    async with working(open_app):
        job = await fail.enqueue(None)
        with pytest.raises(
            JobFailed, match=rf"^fail\[{job.id}\] failed after 2 attempts: KeyError: 'attempt 2'$"
        ) as info:
            await job.result(timeout=10)
    error = info.value
    assert (error.job_id, error.task, error.attempts, error.error_type) == (job.id, "fail", 2, "KeyError")
    assert error.message == "'attempt 2'"
    assert error.traceback is not None
    assert "raise KeyError" in error.traceback


async def test_a_cancelled_job(open_app: workrow.App) -> None:
    @open_app.task(name="never")
    async def never() -> None: ...

    job = await never.enqueue(None)
    waits = asyncio.create_task(job.result(timeout=10))
    assert await job.cancel() == "cancelled"
    with pytest.raises(JobCancelled, match=rf"never\[{job.id}\] was cancelled"):
        await waits
    assert await job.cancel() is None
    assert await job.status() == "cancelled"


async def test_an_aborted_job(open_app: workrow.App) -> None:
    started = asyncio.Event()

    @open_app.task(name="long")
    async def long() -> None:
        started.set()
        await asyncio.Event().wait()

    async with working(open_app):
        job = await long.enqueue(None)
        await started.wait()
        assert await job.status() == "doing"
        assert await job.cancel() == "aborting"
        with pytest.raises(JobCancelled, match="aborted") as info:
            await job.result(timeout=10)
        assert info.value.status == "aborted"


async def test_no_time_at_all_is_enough_to_look_once(open_app: workrow.App, aconn: psycopg.AsyncConnection) -> None:
    @open_app.task(name="quick")
    async def quick() -> int:
        return 5

    job = await quick.enqueue(None)
    unseen = await quick.enqueue(aconn)
    began = asyncio.get_running_loop().time()
    with pytest.raises(ResultTimeout, match=f"job {job.id} has not ended yet"):
        await job.result(timeout=0)
    with pytest.raises(ResultTimeout, match="has not ended yet"):
        await asyncio.to_thread(job.result_sync, 0)
    with pytest.raises(ResultTimeout, match="could not be seen"):
        await unseen.result(timeout=timedelta(0))
    assert asyncio.get_running_loop().time() - began < LOOK_SECONDS
    await run(open_app)
    assert await job.result(timeout=0) == 5
    assert await asyncio.to_thread(job.result_sync, 0) == 5


async def test_a_timeout_says_what_is_the_matter(open_app: workrow.App, aconn: psycopg.AsyncConnection) -> None:
    @open_app.task(name="idle")
    async def idle() -> None: ...

    waiting_job = await idle.enqueue(None)
    with pytest.raises(ResultTimeout, match="has not ended within 2 s") as info:
        await waiting_job.result(timeout=2)
    assert isinstance(info.value, TimeoutError)

    uncommitted = await idle.enqueue(aconn)
    with pytest.raises(ResultTimeout, match="has not committed, or was rolled back"):
        await uncommitted.result(timeout=2)
    with pytest.raises(ResultTimeout, match="could not be seen"):
        await asyncio.to_thread(uncommitted.result_sync, 2)
    with pytest.raises(JobNotFound, match=f"there is no job {uncommitted.id}"):
        await uncommitted.status()
    await aconn.commit()
    assert await uncommitted.status() == "todo"


async def test_without_a_timeout_a_job_that_cannot_be_seen_is_not_waited_for_for_ever(
    open_app: workrow.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiters, "UNSEEN_SECONDS", 0.3)
    with pytest.raises(JobNotFound, match="job 123456789 cannot be seen"):
        await open_app.job(123456789).result()


async def test_a_job_that_is_deleted_when_it_ends(open_app: workrow.App) -> None:
    release = asyncio.Event()

    @open_app.task(name="gone")
    async def gone() -> None:
        await release.wait()

    async with working(open_app, delete_jobs="always"):
        job = await gone.enqueue(None)
        waits = asyncio.create_task(job.result(timeout=20))
        await until(lambda: open_app.results._waiters and open_app.results._waiters._watch._waiters)  # type: ignore[union-attr]
        await asyncio.sleep(0.1)
        release.set()
        with pytest.raises(JobNotFound, match="deleted when it ended"):
            await waits


@pytest.mark.parametrize("kind", ["plain", "context", "thread", "transactional"])
async def test_results_false_keeps_none(database_url: str, conn: Any, kind: str) -> None:
    app = workrow.App(database_url)

    async def plain() -> str:
        return "secret"

    async def context(ctx: workrow.JobContext) -> str:
        return "secret"

    def thread() -> str:
        return "secret"

    async def transactional(on: psycopg.AsyncConnection) -> str:
        return "secret"

    function: Any = {"plain": plain, "context": context, "thread": thread, "transactional": transactional}[kind]
    task = app.task(name="quiet", results=False, transactional=kind == "transactional")(function)
    async with app.open_async():
        job = await task.enqueue(None)
        await run(app)
        assert conn.execute("SELECT status, result FROM workrow.jobs").fetchall() == [("succeeded", None)]
        with pytest.raises(NoResult, match="results=False"):
            await job.result(timeout=10)


async def test_results_false_still_fails_and_retries(open_app: workrow.App) -> None:
    @open_app.task(name="quiet", results=False)
    async def quiet() -> str:
        raise ValueError("loud")

    job = await quiet.enqueue(None)
    await run(open_app)
    with pytest.raises(JobFailed, match="loud"):
        await job.result(timeout=10)


async def test_none_is_a_result(open_app: workrow.App) -> None:
    @open_app.task(name="nothing")
    async def nothing() -> None: ...

    job = await nothing.enqueue(None)
    await run(open_app)
    assert await job.result(timeout=10) is None


async def test_a_stock_worker_keeps_no_result(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="stock")
    async def stock() -> int:
        return 1

    job = await stock.enqueue(None)
    conn.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", [job.id])
    with pytest.raises(NoResult, match="stock procrastinate worker"):
        await job.result(timeout=10)


async def test_a_handle_from_a_transaction_works_after_its_commit(database_url: str, conn: Any) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    app = workrow.App(database_url)
    blueprint = workrow.Blueprint("late")

    @blueprint.task
    async def answer() -> int:
        return 42

    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    async with AsyncSession(engine) as session, session.begin():
        job = await answer.enqueue(session)
        with pytest.raises(UnboundTaskError, match="call app.include"):
            await job.status()
    await engine.dispose()
    app.include(blueprint)
    async with app.open_async(), working(app):
        assert await job.result(timeout=10) == 42


async def test_a_handle_without_an_app_says_so() -> None:
    with pytest.raises(UnboundTaskError, match=r"use app.job\(7\)"):
        await workrow.Job(7, "t", "q").status()


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True])
async def test_a_timeout_that_is_none(open_app: workrow.App, timeout: Any) -> None:
    with pytest.raises(workrow.OptionError, match="timeout="):
        await open_app.job(1).result(timeout)


async def test_retry_of_a_failed_job(open_app: workrow.App, conn: Any) -> None:
    broken = True

    @open_app.task(name="mend")
    async def mend() -> str:
        if broken:
            raise OSError("broken")
        return "mended"

    job = await mend.enqueue(None)
    assert await job.retry() is None, "it waits"
    await run(open_app)
    assert await job.status() == "failed"
    broken = False
    assert await job.retry() == "queued"
    assert await job.status() == "todo"
    await run(open_app)
    assert await job.result(timeout=10) == "mended"
    assert conn.execute("SELECT attempts, error FROM workrow.jobs").fetchall() == [(2, "broken")]
    assert await job.retry() is None, "it has succeeded"
    assert await open_app.job(10**9).retry() is None


async def test_retry_of_a_cancelled_job_and_of_one_that_is_blocked(open_app: workrow.App) -> None:
    @open_app.task(name="once", queueing_lock="once")
    async def once() -> str:
        return "done"

    job = await once.enqueue(None)
    await job.cancel()
    newer = await once.enqueue(None)
    assert await job.retry() == "blocked"
    assert await job.status() == "cancelled"
    await newer.cancel()
    assert await job.retry() == "queued"
    await run(open_app)
    assert await job.result(timeout=10) == "done"


async def test_a_waiter_is_notified_and_one_that_does_not_listen_polls(
    open_app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiters, "CHECK_SECONDS", 60.0)
    monkeypatch.setattr(waiters, "PAUSE_GROWTH", 1000.0)

    @open_app.task(name="end")
    async def end() -> int:
        return 1

    job = await end.enqueue(None)
    waits = asyncio.create_task(job.result(timeout=20))
    await until(lambda: conn.execute("SELECT listener FROM workrow.waiters").fetchall())
    watch = open_app.results._waiters._watch  # type: ignore[union-attr]
    assert watch is not None
    await until(lambda: watch._pause > 5)  # from here on, a poll would come too late
    await run(open_app)
    assert await waits == 1
    await open_app.close_async()
    assert conn.execute("SELECT listener FROM workrow.waiters").fetchall() == []


async def test_nobody_waits_and_nobody_is_notified(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="end")
    async def end() -> int:
        return 1

    conn.execute("LISTEN workrow_ended")
    await end.enqueue(None)
    await run(open_app)
    assert list(conn.notifies(timeout=0.1)) == []
    conn.execute("INSERT INTO workrow.waiters VALUES (gen_random_uuid(), now() - interval '1 second')")
    await end.enqueue(None)
    await run(open_app)
    assert list(conn.notifies(timeout=0.1)) == [], "one that died long ago"
    conn.execute("INSERT INTO workrow.waiters VALUES (gen_random_uuid(), now() + interval '1 minute')")
    await end.enqueue(None)
    await run(open_app)
    assert list(conn.notifies(timeout=5, stop_after=1))


async def test_many_waiters_share_two_connections(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="square")
    async def square(n: int) -> int:
        return n * n

    jobs = await square.enqueue_many(None, [{"n": n} for n in range(300)])
    waits = [asyncio.create_task(job.result(timeout=30)) for job in jobs]
    await until(lambda: conn.execute("SELECT listener FROM workrow.waiters").fetchall())
    threads = [thread for thread in threading.enumerate() if thread.name == "workrow-waiting"]
    assert len(threads) == 1
    connections = (
        "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'workrow_canary|absent AS MATERIALIZED|workrow.waiters'"
    )
    assert (
        conn.execute(f"{connections} AND datname = current_database() AND pid <> pg_backend_pid()").fetchone()[0] <= 2
    )
    await run(open_app)
    assert await asyncio.gather(*waits) == [n * n for n in range(300)]


async def test_closing_the_app_ends_the_waiting(open_app: workrow.App) -> None:
    @open_app.task(name="idle")
    async def idle() -> None: ...

    job = await idle.enqueue(None)
    waits = asyncio.create_task(job.result())
    await until(lambda: open_app.results._waiters)
    await open_app.close_async()
    with pytest.raises(Exception, match="the app was closed"):
        await waits
    assert not [thread for thread in threading.enumerate() if thread.name == "workrow-waiting"]


async def test_the_connections_die_and_come_back(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="end")
    async def end() -> int:
        return 7

    job = await end.enqueue(None)
    waits = asyncio.create_task(job.result(timeout=30))
    await until(lambda: conn.execute("SELECT listener FROM workrow.waiters").fetchall())
    conn.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE query ~ 'workrow_canary|absent AS MATERIALIZED|workrow.waiters' AND pid <> pg_backend_pid()
             AND datname = current_database()"""
    )
    await run(open_app)
    assert await waits == 7


async def test_an_idle_thread_ends(open_app: workrow.App, monkeypatch: pytest.MonkeyPatch, conn: Any) -> None:
    monkeypatch.setattr(waiters, "IDLE_SECONDS", 0.05)

    @open_app.task(name="end")
    async def end() -> int:
        return 7

    job = await end.enqueue(None)
    await run(open_app)
    for _ in range(2):
        assert await job.result(timeout=10) == 7
        await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "workrow-waiting"])
    assert conn.execute("SELECT listener FROM workrow.waiters").fetchall() == []


async def test_a_handle_is_a_plain_value(open_app: workrow.App) -> None:
    import dataclasses
    import pickle

    @open_app.task(name="end")
    async def end() -> int:
        return 7

    job = await end.enqueue(None)
    assert job == workrow.Job(job.id, "end", "default")
    assert dataclasses.asdict(job) == {"id": job.id, "task": "end", "queue": "default", "created": True}
    assert pickle.loads(pickle.dumps(job)) == job
    assert repr(job) == f"Job(id={job.id}, task='end', queue='default')"


async def test_behind_a_pooler_it_polls_and_asks_for_no_notification(
    open_app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pooled(_: Any) -> bool:
        return True

    monkeypatch.setattr("workrow.database.listener.is_pooled", pooled)

    @open_app.task(name="end")
    async def end(n: int) -> int:
        return n

    jobs = await end.enqueue_many(None, [{"n": n} for n in range(20)])
    waits = [asyncio.create_task(job.result(timeout=20)) for job in jobs]
    await until(lambda: open_app.results._waiters and open_app.results._waiters._watch._pause >= waiters.POLL_SECONDS)  # type: ignore[union-attr]
    assert conn.execute("SELECT listener FROM workrow.waiters").fetchall() == []
    await run(open_app)
    assert await asyncio.gather(*waits) == list(range(20))


async def test_retry_of_a_job_under_a_limit_and_of_a_unique_one(open_app: workrow.App) -> None:
    broken = True

    @open_app.task(name="limited", limits=workrow.Limit(1), unique=("n",))
    async def limited(n: int) -> int:
        if broken:
            raise OSError("broken")
        return n

    job = await limited.enqueue(None, n=1)
    await run(open_app)
    assert await job.status() == "failed"
    newer = await limited.enqueue(None, n=1)
    assert await job.retry() == "blocked"
    await newer.cancel()
    broken = False
    assert await job.retry() == "queued"
    await run(open_app)
    assert await job.result(timeout=10) == 1


FORKED = """
import asyncio, os, sys
import workrow

app = workrow.App(sys.argv[1])
job = app.job(int(sys.argv[2]))
assert job.result_sync(10) == 7
child = os.fork()
if child == 0:
    assert job.result_sync(10) == 7
    os._exit(42)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
assert job.result_sync(10) == 7
assert asyncio.run(job.result(10)) == 7
"""


async def test_a_fork_waits_for_itself(open_app: workrow.App, database_url: str) -> None:
    @open_app.task(name="end")
    async def end() -> int:
        return 7

    job = await end.enqueue(None)
    await run(open_app)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKED, database_url, str(job.id))
    assert await process.wait() == 0


class TestInsideOfATask:
    @pytest.mark.parametrize("where", ["loop", "limited", "thread", "process"])
    async def test_waiting_is_refused_and_can_be_allowed(
        self, open_app: workrow.App, conn: Any, database_url: str, where: str
    ) -> None:
        @open_app.task(name="other")
        async def other() -> int:
            return 7

        async def on_the_loop(url: str, job_id: int, within_task: bool) -> Any:
            async with asyncio.TaskGroup() as group:  # what the task starts is inside as well
                waiting = group.create_task(open_app.job(job_id).result(within_task=within_task))
            return waiting.result()

        def in_a_thread(url: str, job_id: int, within_task: bool) -> Any:
            return open_app.job(job_id).result_sync(within_task=within_task)

        tasks: dict[str, Any] = {
            "loop": open_app.task(name="loop")(on_the_loop),
            "limited": open_app.task(name="limited", time_limit=60)(on_the_loop),
            "thread": open_app.task(name="thread")(in_a_thread),
            "process": open_app.task(name="process", run_in="process")(process_tasks.wait_for),
        }
        job = await other.enqueue(None)
        refused = await tasks[where].enqueue(None, database_url, job.id, False)
        allowed = await tasks[where].enqueue(None, database_url, job.id, True)
        await run(open_app, concurrency=3)
        found = row(conn, refused)
        assert found["status"] == "failed"
        assert f"{where}[{refused.id}] would wait for job {job.id}: " in str(found["errors"])
        assert row(conn, allowed)["result"] == 7
        assert await job.result() == 7, "nothing of it is left outside"

    async def test_a_look_is_allowed(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="look")
        async def look(job_id: int) -> Any:
            return await open_app.job(job_id).result(timeout=0)

        done = await look.enqueue(None, 0)
        await run(open_app)
        job = await look.enqueue(None, done.id)
        await run(open_app)
        assert row(conn, done)["error_type"] == "workrow.errors.OptionError"
        assert row(conn, job)["error_type"] == "workrow.errors.JobFailed"
