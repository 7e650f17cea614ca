"""A task returns a workflow of another app's tasks: it fails at once, and none of those are enqueued."""

from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_worker import run
from workrow import testing

other = workrow.App("postgresql:///other")


@other.task(name="elsewhere")
async def elsewhere() -> None: ...


ERROR = (
    f"the chain that the task returned: elsewhere is a task of {__name__}:other, and the job is one of .*, which does "
    "not have it: declare it there, or on a blueprint that both include; or enqueue elsewhere apart"
)


@pytest.mark.parametrize("how", ["async", "sync", "transactional", "unkept"])
async def test_it_fails_in_the_worker(open_app: workrow.App, conn: Any, how: str) -> None:
    async def give() -> Any:
        return workrow.chain(elsewhere.s())

    def give_sync() -> Any:
        return workrow.chain(elsewhere.s())

    async def give_in_transaction(on: psycopg.AsyncConnection[Any]) -> Any:
        await on.execute("INSERT INTO written VALUES (1)")
        return workrow.chain(elsewhere.s())

    options: dict[str, Any] = {"transactional": {"transactional": True}, "unkept": {"results": False}}.get(how, {})
    functions: dict[str, Any] = {"sync": give_sync, "transactional": give_in_transaction}
    conn.execute("CREATE TABLE written (x int)")
    job = await open_app.task(name="give", **options)(functions.get(how, give)).enqueue(None)
    await run(open_app)
    with pytest.raises(workrow.JobFailed, match=ERROR):
        await job.result(timeout=5)
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    assert conn.execute("SELECT count(*) FROM written").fetchone() == (0,)


async def test_it_fails_inline(workrow_app: workrow.App) -> None:
    @workrow_app.task(name="give")
    async def give() -> Any:
        return workrow.chain(elsewhere.s())

    with testing.inline(), pytest.raises(workrow.WorkflowError, match=ERROR):
        await give.enqueue(None)


async def test_tasks_of_a_blueprint_that_the_app_includes_take_its_place(open_app: workrow.App) -> None:
    both = workrow.Blueprint("both")

    @both.task
    async def shared() -> int:
        return 1

    other_app = workrow.App("postgresql:///third")
    other_app.include(both)
    open_app.include(both)

    @open_app.task(name="give")
    async def give() -> Any:
        return workrow.chain(shared.si(), shared.si())

    flow = await workrow.chain(give.s(), shared.si()).enqueue(None)
    await run(open_app)
    assert await flow.result(timeout=5) == 1
