"""A node whose key is taken is skipped wherever it stands: it comes to None, and what follows goes on."""

from typing import Any

import pytest

import workrow
from tests.integration.test_worker import run

KEYS: dict[str, tuple[str, dict[str, Any]]] = {
    "unique": ("one", {"unique": ("x",)}),
    "queueing lock": ("one", {"queueing_lock": "q"}),
    "unique, under a limit": ("limited", {"unique": ("x",)}),
}


@pytest.fixture
def flow_app(open_app: workrow.App) -> workrow.App:
    @open_app.task(name="one")
    async def one(x: int) -> int:
        return x

    @open_app.task(name="limited", limits=workrow.Limit(5))
    async def limited(x: int) -> int:
        return x

    @open_app.task(name="same")
    async def same(value: Any) -> Any:
        return [value]

    return open_app


def shapes(one: Any, same: Any) -> list[Any]:
    """Workflows with nodes that start at once, and whose key is taken."""
    return [
        workrow.chain(one.s(1), same.s()),
        workrow.group(one.s(1), one.s(1)),
        workrow.group(one.s(1), same.s(2)),
        workrow.chord([one.s(1) for _ in range(3)], same.s()),
        workrow.graph({"a": one.s(1), "b": same.s()}, after={"b": ["a"]}),
    ]


VALUES: list[Any] = [[None], [None, None], [None, [2]], [[None] * 3], {"b": [None]}]


@pytest.mark.parametrize("key", KEYS)
async def test_a_key_that_is_taken_at_the_start(flow_app: workrow.App, key: str) -> None:
    name, options = KEYS[key]
    one, same = flow_app.tasks[name].options(**options), flow_app.tasks["same"]
    holder = await one.options(delay=3600).enqueue(None, 1)
    flows = [await flow.on_success(same.s()).enqueue(None) for flow in shapes(one, same)]
    await run(flow_app)
    assert [await flow.result(timeout=1) for flow in flows] == VALUES
    assert [(await flow.status()).state for flow in flows] == ["succeeded"] * len(flows)
    assert await holder.status() == "todo"


async def test_two_with_one_key_in_one_workflow(flow_app: workrow.App) -> None:
    one, same = flow_app.tasks["one"].options(unique=("x",)), flow_app.tasks["same"]
    pair = await workrow.chain(workrow.group(one.s(1), one.s(1)), same.s()).enqueue(None)
    await run(flow_app)
    assert await pair.result(timeout=1) == [[1, None]]


@pytest.mark.parametrize("number", range(len(VALUES)))
async def test_a_key_that_is_taken_in_what_is_appended_or_takes_a_place(
    flow_app: workrow.App, conn: Any, number: int
) -> None:
    one, same = flow_app.tasks["one"].options(unique=("x",)), flow_app.tasks["same"]
    await one.options(delay=3600).enqueue(None, 1)
    flow = shapes(one, same)[number]

    @flow_app.task(name="adds")
    async def adds(ctx: workrow.JobContext) -> int:
        await flow.append(None, ctx)
        return 5

    @flow_app.task(name="becomes")
    async def becomes() -> Any:
        return flow

    appended = await workrow.chain(adds.s(), same.s()).enqueue(None)
    replaced = await workrow.chain(becomes.s(), same.s()).enqueue(None)
    alone = await becomes.enqueue(None)
    await run(flow_app)
    assert await appended.result(timeout=1) == [5]
    assert await replaced.result(timeout=1) == [VALUES[number]]
    begun: Any = await alone.result(timeout=1)
    found = conn.execute("SELECT state FROM workrow.workflows WHERE id = %(workflow_id)s", begun).fetchall()
    assert found == [("succeeded",)]


@pytest.mark.parametrize("limits", [{}, {"limits": [workrow.Limit(2, name="two")]}], ids=["plain", "limited"])
async def test_a_call_that_moves_a_job_of_a_paused_workflow_moves_it_to_after_the_pause(
    open_app: workrow.App, conn: Any, limits: dict[str, Any]
) -> None:
    @open_app.task(name="seven", **limits)
    async def seven(n: int) -> int:
        return 7

    moving = seven.options(unique=workrow.Unique(by=("n",), on_conflict="reschedule"))
    workflow = await workrow.chain(seven.options(unique=("n",)).s(1), seven.si(2)).enqueue(None)
    assert await workflow.pause() == "paused"
    assert not (await moving.options(delay=3600).enqueue(None, 1)).created
    at = "CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END"
    query = f"SELECT {at} > now() + interval '100 years', {at} > now() + interval '59 min' FROM procrastinate_jobs"
    assert conn.execute(query).fetchall() == [(True, True)]
    assert await workflow.resume() == "running"
    assert conn.execute(query).fetchall() == [(False, True)]
    await moving.enqueue(None, 1)
    await run(open_app)
    assert await workflow.result(timeout=5) == 7
