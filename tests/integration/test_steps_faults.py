"""Steps when things go wrong: a claim that was taken over, rows that are held, jobs that end while others wait."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_worker import row, run
from workrow import testing
from workrow.sql import load


def recorded(conn: Any) -> list[tuple[str, str]]:
    return conn.execute("SELECT name, state FROM workrow.steps ORDER BY job_id, name").fetchall()  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["step", "transactional", "call", "wait", "sleep", "sync"])
async def test_a_claim_that_was_taken_over_records_nothing(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any, how: str
) -> None:
    """It ends as lost, whatever the task catches, and whatever it did in its step's transaction is rolled back."""
    conn.execute("CREATE TABLE effects (what text)")

    def lose() -> None:
        conn.execute("UPDATE procrastinate_jobs SET claims = claims + 1, priority = 7")

    @workrow_app.task(name="child")
    async def child() -> None: ...

    async def effect(connection: psycopg.AsyncConnection) -> None:
        await connection.execute("INSERT INTO effects VALUES ('x')")
        lose()

    async def ask(ctx: workrow.JobContext) -> None:
        if how == "transactional":
            await ctx.transactional_step("it", effect)
        elif how == "step":
            await ctx.step("it", lose)
        else:
            await ctx.step("before", lambda: None)
            lose()
            await {"call": lambda: ctx.call(child), "wait": lambda: ctx.wait_for("x"), "sleep": lambda: ctx.sleep(1)}[
                how
            ]()

    async def stale(ctx: workrow.JobContext) -> str:
        try:
            await ask(ctx)
        except Exception:
            return "caught"
        return "done"

    def sync(ctx: workrow.SyncJobContext) -> None:
        ctx.step("it", lose)

    task: Any = workrow_app.task(name="stale")(sync if how == "sync" else stale)
    if how == "wait":
        conn.execute("INSERT INTO workrow.job_signals (job_id, name) VALUES (1, 'x')")
    job = await task.enqueue(None)
    (ran,) = await workrow_jobs.drain()
    assert ran.status == ("snoozed" if how == "sleep" else "lost")
    assert (row(conn, job)["status"], row(conn, job)["priority"]) == ("doing", 7)
    assert [name for name, _ in recorded(conn)] == (["before"] if how in ("call", "wait", "sleep") else [])
    assert conn.execute("SELECT FROM effects").fetchall() == []
    assert conn.execute("SELECT FROM workrow.jobs WHERE task = 'child'").fetchall() == []
    assert conn.execute("SELECT FROM workrow.job_signals WHERE taken_by IS NOT NULL").fetchall() == []


async def test_a_step_is_recorded_though_somebody_holds_the_jobs_row(
    app: workrow.App, database_url: str, conn: Any
) -> None:
    """A signal's transaction is not in the way; an uncommitted cancel is, and the step waits for it."""
    done = asyncio.Event()

    @app.task(name="held")
    async def held(ctx: workrow.JobContext) -> int:
        await ctx.step("one", done.wait)
        return 1

    async with app.open_async(), await psycopg.AsyncConnection.connect(database_url) as user:
        job = await held.enqueue(None)
        async with Running(app, concurrency=2):
            await until(lambda: row(conn, job)["status"] == "doing")
            await workrow.signal(user, job, "later")
            done.set()
            await until(lambda: recorded(conn) == [("one", "done")])
            await user.rollback()
            assert await job.result(timeout=10) == 1

            done.clear()
            job = await held.enqueue(None)
            await until(lambda: row(conn, job)["status"] == "doing")
            await user.execute("UPDATE procrastinate_jobs SET priority = 1 WHERE id = %s", [job.id])
            done.set()
            await until(lambda: conn.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%check_claim%%'"))
            assert recorded(conn) == [("one", "done")]
            await user.rollback()
            assert await job.result(timeout=10) == 1


async def test_the_end_of_a_call_does_not_wait_for_who_holds_its_caller(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_database: str, conn: Any
) -> None:
    @workrow_app.task(name="child")
    async def child() -> int:
        return 5

    @workrow_app.task(name="parent")
    async def parent(ctx: workrow.JobContext) -> int:
        return await ctx.call(child)

    job = await parent.enqueue(None)
    await workrow_jobs.run_next()
    with psycopg.connect(workrow_database) as user:
        user.execute("SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE", [job.id])
        (ran,) = await workrow_jobs.drain()
        assert (ran.task, ran.status) == ("child", "succeeded")
        assert recorded(conn) == [("call child", "done")]
    (ran,) = await workrow_jobs.drain()  # looks for those that were not woken first
    assert ran.result == 5


async def test_a_call_that_ends_while_the_caller_gives_its_slot_away_is_not_missed(
    app: workrow.App, database_url: str, conn: Any
) -> None:
    """Its end is not committed when the caller gives its slot away, and the caller still runs when it is written."""
    done = asyncio.Event()

    @app.task(name="child", queue="other")
    async def child() -> None: ...

    @app.task(name="parent")
    async def parent(ctx: workrow.JobContext) -> None:
        await asyncio.gather(ctx.call(child), ctx.step("slow", done.wait))

    async with app.open_async(), await psycopg.AsyncConnection.connect(database_url) as user:
        job = await parent.enqueue(None)
        async with Running(app, queues=["default"], concurrency=1):
            await until(lambda: recorded(conn) == [("call child", "waiting")])
            ((child_id,),) = conn.execute("SELECT child_id FROM workrow.steps").fetchall()
            await user.execute("SELECT workrow.cancel_job_v1(%s)", [child_id])
            done.set()
            await until(lambda: conn.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())
            assert row(conn, job)["status"] == "doing"
            await user.commit()
            with pytest.raises(workrow.JobFailed, match=r"was cancelled"):
                await job.result(timeout=20)


async def test_a_failed_attempt_waits_for_its_time_though_a_call_of_it_ends(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    @workrow_app.task(name="child")
    async def child() -> int:
        return 5

    @workrow_app.task(name="parent", retry=workrow.Retry(max_attempts=2, wait=3600))
    async def parent(ctx: workrow.JobContext) -> None:
        async def fails() -> None:
            raise OSError

        await asyncio.gather(ctx.call(child), ctx.step("fails", fails))

    job = await parent.enqueue(None)
    ran = await workrow_jobs.drain(raise_on_failure=False)
    assert [(each.task, each.status) for each in ran] == [("parent", "todo"), ("child", "succeeded")]
    assert row(conn, job)["scheduled_at"] > row(conn, job)["started_at"] + timedelta(minutes=50)


async def test_jobs_that_are_deleted_take_their_steps_with_them(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    """The result of a call is there for its caller all the same."""

    @workrow_app.task(name="child")
    async def child(n: int) -> int:
        return n

    @workrow_app.task(name="parent")
    async def parent(ctx: workrow.JobContext, fails: bool) -> int:
        await ctx.step("a", lambda: None)
        n = await ctx.call(child, 5)
        if fails:
            raise ValueError(n)
        return n

    @workrow_app.task(name="plain")
    async def plain() -> None: ...

    jobs = [await parent.enqueue(None, fails=fails) for fails in (False, True)]
    await plain.enqueue(None)
    await workrow.signal(None, jobs[0], "left")
    for _ in range(2):
        await run(workrow_app, delete_jobs="always")
    assert conn.execute("SELECT task, result FROM workrow.jobs").fetchall() == [("child", 5), ("child", 5)]
    assert conn.execute("SELECT FROM workrow.job_steps").fetchall() == []
    assert conn.execute("SELECT FROM workrow.job_signals").fetchall() == []


async def test_steps_go_with_their_history_and_a_failed_job_that_is_retried_has_them_still(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    ran: list[str] = []
    broken = [True]

    @workrow_app.task(name="fails")
    async def fails(ctx: workrow.JobContext) -> str:
        await ctx.step("a", ran.append, "a")
        if broken:
            raise ValueError
        return "well"

    job = await fails.enqueue(None)
    await workrow_jobs.drain(raise_on_failure=False)
    broken.clear()
    assert await job.retry() == "queued"
    (attempt,) = await workrow_jobs.drain()
    assert (attempt.result, ran, recorded(conn)) == ("well", ["a"], [("a", "done")])

    conn.execute(load("prune_steps"), {"keep": timedelta(0)})
    assert recorded(conn) == [("a", "done")]
    conn.execute("DELETE FROM workrow.history")
    assert recorded(conn) == []
    conn.execute(load("prune_steps"), {"keep": timedelta(0)})
    assert conn.execute("SELECT FROM workrow.job_steps").fetchall() == []


async def test_a_child_that_was_deleted_by_hand_is_an_error_of_its_caller(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    @workrow_app.task(name="child")
    async def child() -> None: ...

    @workrow_app.task(name="parent")
    async def parent(ctx: workrow.JobContext) -> None:
        await ctx.call(child)

    await parent.enqueue(None)
    await workrow_jobs.run_next()
    conn.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'child'")
    conn.execute("UPDATE workrow.job_steps SET noted_at = noted_at - interval '1 hour'")
    conn.execute(load("sweep_calls"))
    (ran,) = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.error is not None
    assert ran.error["type"] == "workrow.errors.JobNotFound"


async def test_who_waits_can_be_cancelled_and_who_was_asked_to_abort_does_not_wait(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    @workrow_app.task(name="sleepy")
    def sleepy(ctx: workrow.SyncJobContext, late: bool) -> None:
        if late:
            conn.execute("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = %s", [ctx.job.id])
        ctx.sleep(60)

    jobs = [await sleepy.enqueue(None, late=late) for late in (False, True)]
    await workrow_jobs.drain()
    assert await jobs[0].cancel() == "cancelled"
    assert [await job.status() for job in jobs] == ["cancelled", "aborted"]
    assert recorded(conn) == [("sleep", "left")]


async def test_a_job_that_waits_holds_no_limit_and_no_lock_and_does_not_expire(app: workrow.App, conn: Any) -> None:
    @app.task(name="limited", limits=workrow.Limit(1), lock="one")
    async def limited(ctx: workrow.JobContext, n: int) -> Any:
        return await ctx.wait_for("go") if n == 0 else n

    async with app.open_async(), Running(app, concurrency=3):
        first = await limited.options(expires=timedelta(seconds=30)).enqueue(None, 0)
        await until(lambda: recorded(conn) == [("go", "waiting")])
        second = await limited.enqueue(None, 1)
        assert await second.result(timeout=20) == 1
        assert row(conn, first)["expires_at"] is None
        await workrow.signal(None, first, "go", "woken")
        assert await first.result(timeout=20) == "woken"


async def test_a_task_that_asks_for_no_step_pays_for_none(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    @workrow_app.task(name="plain", retry=workrow.Retry(max_attempts=2, wait=0))
    async def plain(ctx: workrow.JobContext) -> int:
        if ctx.attempt == 1:
            raise OSError
        return 1

    await plain.enqueue(None)
    conn.execute("ALTER TABLE workrow.job_steps RENAME TO away")
    ran = await workrow_jobs.run_ready()
    conn.execute("ALTER TABLE workrow.away RENAME TO job_steps")
    assert ran[-1].result == 1
