"""Durable steps: what ran once is remembered, and what a job waits for holds no slot."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

import workrow
from workrow import testing


@dataclass
class Receipt:
    number: int


def steps(conn: Any, job_id: int) -> list[tuple[str, str, str]]:
    query = "SELECT name, kind, state FROM workrow.steps WHERE job_id = %s ORDER BY noted_at, name"
    return conn.execute(query, [job_id]).fetchall()  # type: ignore[no-any-return]


async def test_a_step_runs_once_and_is_remembered(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    ran: list[str] = []

    async def charge(amount: int) -> Receipt:
        ran.append("charge")
        return Receipt(amount)

    def mail(receipt: Receipt) -> None:
        ran.append("mail")

    @workrow_app.task(name="order", retry=workrow.Retry(max_attempts=3, wait=0))
    async def order(ctx: workrow.JobContext, amount: int) -> int:
        receipt = await ctx.step("charge", charge, amount)
        if ctx.attempt < 3:
            raise OSError(f"attempt {ctx.attempt}")
        await ctx.step("mail", mail, receipt)
        return receipt.number

    job = await order.enqueue(None, 7)
    attempts = await workrow_jobs.drain(raise_on_failure=False)
    assert [each.status for each in attempts] == ["todo", "todo", "succeeded"]
    assert (ran, attempts[-1].result) == (["charge", "mail"], 7)
    assert steps(conn, job.id) == [("charge", "step", "done"), ("mail", "step", "done")]


async def test_a_sleep_gives_the_slot_away_and_counts_no_attempt(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, conn: Any
) -> None:
    seen: list[tuple[int, Any]] = []

    @workrow_app.task(name="remind")
    async def remind(ctx: workrow.JobContext) -> str:
        for _ in range(2):
            await ctx.sleep(timedelta(days=3))
        seen.append((ctx.attempt, workrow_clock.now()))
        return "done"

    with workrow_clock.at("2027-01-01") as clock:
        start = clock.now()
        job = await remind.enqueue(None)
        (first,) = await workrow_jobs.drain()
        assert (first.status, first.error) == ("snoozed", None)
        assert await job.status() == "todo"
        assert steps(conn, job.id) == [("sleep", "sleep", "waiting")]
        ran = await clock.run_for(days=7)
    assert [each.status for each in ran] == ["snoozed", "succeeded"]
    assert seen == [(1, start + timedelta(days=6))]


async def test_a_signal_wakes_who_waits_for_it(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    @workrow_app.task(name="approve")
    async def approve(ctx: workrow.JobContext) -> Any:
        return [await ctx.wait_for("approved"), await ctx.wait_for("approved", name="again")]

    job = await approve.enqueue(None)
    await workrow_jobs.drain()
    await workrow.signal(None, job, "other", 0)
    assert await workrow_jobs.drain() == []
    await workrow.signal(None, job, "approved", {"by": "ann"})
    (woken,) = await workrow_jobs.drain()
    assert woken.status == "snoozed"
    await workrow.signal(None, job, "approved", "bob")
    (woken,) = await workrow_jobs.drain()
    assert woken.result == [{"by": "ann"}, "bob"]


async def test_a_call_waits_for_a_child_without_a_slot(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    @workrow_app.task(name="child")
    async def child(n: int) -> Receipt:
        return Receipt(n * 2)

    @workrow_app.task(name="parent")
    async def parent(ctx: workrow.JobContext) -> int:
        first = await ctx.call(child, 1)
        both = await asyncio.gather(ctx.call(child, 10), ctx.call(child.options(priority=3), 100))
        return first.number + sum(each.number for each in both)

    await parent.enqueue(None)
    ran = await workrow_jobs.drain()
    assert [each.task for each in ran if each.task == "child"] == ["child"] * 3
    assert ran[-1].result == 222


async def test_sync_tasks_do_the_same(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, conn: Any
) -> None:
    ran: list[int] = []

    @workrow_app.task(name="child")
    def child(n: int) -> Receipt:
        return Receipt(n)

    def count(n: int) -> Receipt:
        ran.append(n)
        return Receipt(n)

    @workrow_app.task(name="sync")
    def sync(ctx: workrow.SyncJobContext) -> list[Any]:
        first = ctx.step("count", count, 1)
        ctx.sleep(60)
        with pytest.raises(workrow.SignalTimeout):
            ctx.wait_for("late", timeout=60)
        return [first.number, ctx.wait_for("soon"), ctx.call(child, 3).number]

    with workrow_clock.at("2027-01-01") as clock:
        job = await sync.enqueue(None)
        await clock.run_for(minutes=3)
        await workrow.signal(None, job, "soon", "x")
        await clock.run_for(minutes=1)
        assert steps(conn, job.id) == [
            ("count", "step", "done"),
            ("sleep", "sleep", "done"),
            ("late", "wait", "timed out"),
            ("soon", "wait", "done"),
            ("call child", "call", "done"),
        ]
    assert await job.result(timeout=0) == [1, "x", 3]
    assert ran == [1]


async def test_branches_run_beside_each_other_and_wait_together(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, conn: Any
) -> None:
    ran: list[str] = []

    async def work(what: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        ran.append(what)

    @workrow_app.task(name="branches")
    async def branches(ctx: workrow.JobContext) -> list[Any]:
        async def first() -> Any:
            await ctx.sleep(60, name="short")
            await ctx.step("after short", work, "after short", 0)
            return await ctx.wait_for("go")

        async def second() -> None:
            await ctx.step("slow", work, "slow", 0.05)
            await ctx.step("after slow", work, "after slow", 0)
            await ctx.sleep(3600, name="long")

        async with asyncio.TaskGroup() as group:
            both = [group.create_task(first()), group.create_task(second())]
        return [each.result() for each in both]

    with workrow_clock.at("2027-01-01") as clock:
        job = await branches.enqueue(None)
        await workrow_jobs.drain()
        # the first sleeps, and does not end the attempt under the second
        assert ran == ["slow", "after slow"]
        await clock.run_for(minutes=2)
        assert ran == ["slow", "after slow", "after short"]
        await workrow.signal(None, job, "go", 1)
        await clock.run_for(hours=1)
    assert await job.result(timeout=0) == [1, None]
    assert len(ran) == 3


async def test_a_failed_step_is_not_recorded_and_what_stood_in_for_it_is_no_new_one(
    workrow_jobs: testing.Harness, workrow_app: workrow.App
) -> None:
    ran: list[str] = []

    async def first() -> str:
        ran.append("first")
        raise ConnectionError

    async def other() -> str:
        ran.append("other")
        return "other"

    @workrow_app.task(name="fallback", retry=workrow.Retry(max_attempts=2, wait=0))
    async def fallback(ctx: workrow.JobContext) -> str:
        try:
            answer = await ctx.step("first", first)
        except ConnectionError:
            answer = await ctx.step("other", other)
        if ctx.attempt == 1:
            raise OSError
        return answer

    await fallback.enqueue(None)
    ran_jobs = await workrow_jobs.drain(raise_on_failure=False)
    assert ran_jobs[-1].result == "other"
    assert ran == ["first", "other", "first"]


async def test_a_result_that_cannot_be_kept_is_an_error_and_the_step_does_not_run_again(
    workrow_jobs: testing.Harness, workrow_app: workrow.App
) -> None:
    ran: list[str] = []

    async def opaque() -> object:
        ran.append("opaque")
        return object()

    async def much() -> str:
        ran.append("much")
        return "x" * 200

    @workrow_app.task(name="unkept", retry=workrow.Retry(max_attempts=2, wait=0), max_result=100)
    async def unkept(ctx: workrow.JobContext, which: str) -> None:
        await ctx.step("it", {"opaque": opaque, "much": much}[which])

    for which in ("opaque", "much"):
        await unkept.enqueue(None, which)
    attempts = await workrow_jobs.drain(raise_on_failure=False)
    assert [each.error["type"] for each in attempts if each.error] == ["workrow.errors.NoResult"] * 4
    assert "step 'it' has run, and will not run again" in str(attempts[0].error)
    assert sorted(ran) == ["much", "opaque"]


async def test_a_child_that_fails_or_is_cancelled_is_an_error_of_the_caller(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    @workrow_app.task(name="child")
    async def child(how: str) -> None:
        raise ValueError(how)

    @workrow_app.task(name="parent")
    async def parent(ctx: workrow.JobContext) -> list[str]:
        told = []
        for _ in range(2):
            try:
                await ctx.call(child, "no")
            except (workrow.JobFailed, workrow.JobCancelled) as error:
                told.append(str(error))
        return told

    await parent.enqueue(None)
    ran = await workrow_jobs.drain(raise_on_failure=False, limit=3)
    (waiting,) = await workrow_jobs.assert_enqueued(child, count=1)
    assert await workrow_app.cancel_async(waiting.id) == "cancelled"
    ran = await workrow_jobs.drain()
    failed, cancelled = ran[-1].result
    assert failed.endswith("failed after 1 attempt: ValueError: no")
    assert cancelled == f"child[{waiting.id}] was cancelled"


async def test_branches_get_what_they_have_called_in_whatever_order_they_come_to_it(
    workrow_jobs: testing.Harness, workrow_app: workrow.App
) -> None:
    first_may_go_on = asyncio.Event()

    async def load(number: int) -> int:
        if number == 0:
            await first_may_go_on.wait()
        return number

    @workrow_app.task(name="double")
    async def double(x: int) -> int:
        return 2 * x

    @workrow_app.task(name="branches")
    async def branches(ctx: workrow.JobContext) -> list[int]:
        async def branch(number: int) -> int:
            loaded = await ctx.step(f"load {number}", load, number)
            if loaded == 1:
                asyncio.get_running_loop().call_later(0.1, first_may_go_on.set)
            return await ctx.call(double, loaded) + await ctx.call(double, x=loaded)

        return await asyncio.gather(branch(0), branch(1))

    job = await branches.enqueue(None)
    await workrow_jobs.drain()
    assert await job.result() == [0, 4]
