"""Members of a batch that append: the batch ends, in whichever order they and what they have appended end."""

import asyncio
from typing import Any

import pytest

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_worker import run


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("first", ["the member", "what it appended"])
async def test_one_ends_before_the_other(open_app: workrow.App, conn: Any, first: str, fails: bool) -> None:
    ends, broken = asyncio.Event(), fails

    @open_app.task(name="added")
    async def added() -> None:
        if first == "the member":
            await ends.wait()
        if broken:
            raise ValueError("broken")

    @open_app.task(name="adds")
    async def adds(ctx: workrow.JobContext) -> None:
        await added.s().append(None, ctx)
        if first != "the member":
            await ends.wait()

    @open_app.task(name="over")
    async def over() -> None: ...

    async with workrow.batch(None, on_complete=over.si()) as batch:
        await adds.enqueue(None)
    done = "SELECT count(*) FROM workrow.history"
    async with Running(open_app, concurrency=2):
        await until(lambda: conn.execute(done).fetchone() == (1,))
        ends.set()
        await until(lambda: conn.execute(done).fetchone() == (3,))
    assert (await batch.status()).state == ("failed" if fails else "succeeded")
    if fails:
        broken = False
        assert await batch.retry() == "running"
        await run(open_app)
        assert await batch.result(timeout=5) == {"workflow_id": batch.id, "state": "succeeded"}
        tasks = "SELECT task_name FROM workrow.history ORDER BY 1"
        assert [task for (task,) in conn.execute(tasks)] == ["added", "adds", "over", "over"]


@pytest.mark.parametrize("end", ["succeeded", "failed"])
async def test_both_end_in_one_statement(open_app: workrow.App, conn: Any, end: str) -> None:
    @open_app.task(name="added", queue="other")
    async def added() -> None: ...

    @open_app.task(name="adds")
    async def adds(ctx: workrow.JobContext) -> None:
        await added.s().append(None, ctx)
        await added.s().append(None, ctx)
        raise workrow.Snooze("later", in_=3600)

    async with workrow.batch(None, on_complete=added.si()) as batch:
        await adds.enqueue(None)
    waiting = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'"
    async with Running(open_app, queues=["default"]):
        await until(lambda: conn.execute(waiting).fetchone() == (3,))
    conn.execute(
        """SELECT workrow.end_nodes_v1(
               array_agg(flow_id), array_agg(number),
               array_agg(CASE WHEN number = -1 THEN 'succeeded' ELSE %s END), NULL, NULL
           )
           FROM workrow.flow_nodes WHERE state = 'enqueued'""",
        [end],
    )
    assert (await batch.status()).state == end
