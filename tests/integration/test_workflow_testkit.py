"""The test kit knows workflows."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

import workrow
from workrow.testing import Harness, TestingError


@pytest.fixture
def tasks(open_app: workrow.App) -> Any:
    @open_app.task(name="add")
    async def add(x: int, y: int = 1) -> int:
        return x + y

    @open_app.task(name="approve")
    async def approve(ctx: workrow.JobContext, x: int) -> Any:
        await ctx.sleep(timedelta(hours=8))
        try:
            return await ctx.wait_for("approved", timeout=timedelta(days=2))
        except workrow.SignalTimeout:
            return x

    @open_app.task(name="pay", hide=["card"])
    async def pay(x: int, card: str) -> int:
        return x

    return open_app.tasks


async def test_what_was_enqueued(open_app: workrow.App, tasks: Any, aconn: psycopg.AsyncConnection) -> None:
    add, pay = tasks["add"], tasks["pay"]
    flow = workrow.chain(add.s(1), workrow.group(add.s(5), add.s(6)), pay.si(1, card="4111-s3cret"))
    async with Harness(open_app) as jobs:
        with pytest.raises(AssertionError, match=r"expected chain\(add.* but no job is waiting at all"):
            await jobs.assert_enqueued(flow)
        await jobs.refute_enqueued(flow)
        workflow = await flow.enqueue(aconn)
        assert len(await jobs.assert_enqueued(flow, on=aconn, count=1)) == 4
        with pytest.raises(AssertionError, match=rf"expected no chain\(add.* but workflow {workflow.id} is; "):
            await jobs.refute_enqueued(flow, on=aconn)
        with pytest.raises(TestingError, match="queue='mails': a workflow has its arguments in itself; ask for one"):
            await jobs.assert_enqueued(flow, queue="mails")
        with pytest.raises(TestingError, match="args={'x': 1}: a workflow has"):
            await jobs.refute_enqueued(flow, args={"x": 1})
        await jobs.refute_enqueued(add)
        await aconn.commit()
        await jobs.assert_enqueued(add, args={"x": 1}, within=timedelta(0), count=1)
        await jobs.assert_enqueued(add, args={"y": 6}, count=1)
        await jobs.refute_enqueued(pay, within=timedelta(days=1))
        other = workrow.chain(add.s(1), workrow.group(add.s(5), add.s(7)), pay.si(1, card="4111-s3cret"))
        for wanted in (other, flow.named("other"), workrow.chain(add.s(1), add.s(5))):
            with pytest.raises(AssertionError) as failure:
                await jobs.assert_enqueued(wanted)
            said = str(failure.value)
            assert f"add(x=1) in queue default, of workflow {workflow.id}\n" in said
            assert f"pay(x=1, card='***') in queue default, of workflow {workflow.id}, whose turn has not come" in said
            assert "s3cret" not in said
        with pytest.raises(TestingError, match="one task alone"):
            await jobs.assert_enqueued(add.s(1))
        ran = await jobs.drain()
        assert [each.task for each in ran] == ["add", "add", "add", "pay"]
        assert await workflow.result(timeout=0) == 1
        assert await jobs.assert_enqueued(flow) == []


async def test_time_moves_delays_sleeps_waits_and_timeouts(open_app: workrow.App, tasks: Any) -> None:
    add, approve = tasks["add"], tasks["approve"]
    async with Harness(open_app) as jobs:
        with jobs.clock.at("2027-03-28 00:59", "Europe/Berlin") as clock:
            workflow = await workrow.chain(
                add.options(delay=3600).s(1), approve.s(), add.options(delay=60).s()
            ).enqueue(None)
            assert await jobs.drain() == []
            await clock.run_for(hours=2)
            assert (await workflow.status()).done == 1
            await clock.run_for(days=1)
            assert (await workflow.status()).done == 1
            ran = await clock.run_for(days=2)
            assert [each.task for each in ran][-1] == "add"
            assert (await workflow.status()).state == "succeeded"
            assert await workflow.result(timeout=0) == 3
