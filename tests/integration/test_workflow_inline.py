"""Workflows in inline mode come to what they would by way of the database."""

from typing import Any

import psycopg
import pytest

import workrow
from workrow.testing import inline


@pytest.fixture
def tasks(open_app: workrow.App) -> Any:
    said: list[Any] = []

    @open_app.task(name="add")
    async def add(x: int, y: int = 1) -> int:
        said.append(("add", x, y))
        return x + y

    @open_app.task(name="total")
    def total(numbers: list[Any]) -> Any:
        return sum(each or 0 for each in numbers)

    @open_app.task(name="fail")
    async def fail(x: Any = None) -> int:
        raise ValueError(f"no {x}")

    @open_app.task(name="note")
    async def note(what: Any) -> None:
        said.append(("note", what))

    @open_app.task(name="told")
    async def told(failure: workrow.Failure) -> None:
        said.append(("told", failure.task, failure.error_message))

    @open_app.task(name="more")
    async def more(ctx: workrow.JobContext, many: int) -> Any:
        await add.s(100).append(None, ctx)
        return workrow.group(add.s(each) for each in range(many))

    return {**{name: open_app.tasks[name] for name in ("add", "total", "fail", "note", "told", "more")}, "said": said}


async def test_inline_runs_workflows(tasks: Any, conn: psycopg.Connection) -> None:
    add, total, note, more = (tasks[name] for name in ("add", "total", "note", "more"))
    shapes: list[tuple[Any, Any]] = [
        (workrow.chain(add.s(1), add.s(10)), 12),
        (workrow.chord([add.s(1), add.s(2)], total.s()), 5),
        (workrow.chord([], total.s()), 0),
        (workrow.chain(workrow.group(add.s(1), workrow.chain(add.s(1), add.s(1))), total.s(), add.s()), 6),
        (workrow.graph({"x": add.s(1), "y": add.s(2), "sum": add.s()}, after={"sum": ["x", "y"]}), {"sum": 5}),
        (workrow.chain(more.s(3), total.s()), 6),
    ]
    with inline() as ran:
        for shape, expected in shapes:
            workflow = await shape.enqueue(None)
            assert await workflow.result(timeout=0) == expected, shape
            assert ((await workflow.status()).state, await workflow.cancel()) == ("succeeded", None)
        assert workrow.chain(add.s(1), add.s()).enqueue(conn).result_sync() == 3
        tasks["said"].clear()
        flow = workrow.chain(add.s(1).link(note.s()), add.s()).on_complete(note.s()).on_failure(note.si("never"))
        number = (await flow.enqueue(None)).id
        assert tasks["said"][1:] == [
            ("note", 2),
            ("add", 2, 1),
            ("note", {"workflow_id": number, "state": "succeeded"}),
        ]
        job = await more.enqueue(None, 1)
        assert set(await job.result(timeout=0)) == {"workflow_id"}
    assert ran[0].task == "add"
    assert conn.execute("SELECT count(*) FROM workrow.flows").fetchone() == (0,)


async def test_a_failure_is_raised_when_all_has_ended(tasks: Any) -> None:
    add, total, note, fail, told = (tasks[name] for name in ("add", "total", "note", "fail", "told"))
    with inline() as ran:
        first = add.s(1).compensate(note.s())
        with pytest.raises(ValueError, match="no 2"):
            await workrow.chain(first, fail.s().link_error(told.s()), add.s()).enqueue(None)
        assert tasks["said"] == [("add", 1, 1), ("told", "fail", "no 2"), ("note", 2)]
        tasks["said"].clear()
        with pytest.raises(ValueError, match="no None"):
            await workrow.chord([fail.s(), add.s(1)], total.s()).if_failed("continue").enqueue(None)
    assert [each.task for each in ran[-2:]] == ["add", "total"]
    assert ran[-1].result == 2
