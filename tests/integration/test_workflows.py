"""Workflows end as they say: each node once, with what it follows, whoever ends their jobs."""

import asyncio
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_worker import run

Rows = list[tuple[Any, ...]]


@pytest.fixture
def flow_app(open_app: workrow.App) -> workrow.App:
    @open_app.task(name="add")
    async def add(x: int, y: int = 1) -> int:
        return x + y

    @open_app.task(name="total")
    async def total(numbers: list[Any]) -> Any:
        return sum(each for each in numbers if each is not None)

    @open_app.task(name="wrap")
    async def wrap(value: Any) -> Any:
        return [value]

    @open_app.task(name="fail")
    async def fail(x: Any = None) -> int:
        raise ValueError(f"no {x}")

    @open_app.task(name="note")
    async def note(what: Any = None) -> None: ...

    return open_app


def states(conn: Any, workflow: workrow.Workflow[Any]) -> dict[str, str]:
    rows = conn.execute(
        "SELECT coalesce(name, kind) || ' ' || node, state FROM workrow.workflow_nodes WHERE workflow_id = %s",
        [workflow.id],
    )
    return dict(rows.fetchall())


def jobs(conn: Any) -> Rows:
    found: Rows = conn.execute("SELECT task, args, status FROM workrow.jobs ORDER BY id").fetchall()
    return found


async def test_shapes_come_to_what_they_say(flow_app: workrow.App) -> None:
    add, total, wrap = (flow_app.tasks[name] for name in ("add", "total", "wrap"))
    shapes: list[tuple[Any, Any]] = [
        (workrow.chain(add.s(1), add.s(10), wrap.s()), [12]),
        (workrow.group(add.s(1), add.s(2)), [2, 3]),
        (workrow.group(), []),
        (workrow.chord([add.s(1), add.s(2)], total.s()), 5),
        (workrow.chord([], total.s()), 0),
        (workrow.chain(add.s(1), workrow.group(add.s(), add.s(5)), total.s(), add.s()), 11),
        (workrow.chain(add.si(1), add.si(2)), 3),
        (
            workrow.group(
                workrow.chain(add.s(1), workrow.chord([add.s(), add.s(2)], total.s())), workrow.group(), add.s(7)
            ),
            [7, [], 8],
        ),
        (workrow.chain(workrow.group(add.s(1)), workrow.group(total.s(), wrap.s())), [2, [[2]]]),
        (workrow.chain(add.s(3), workrow.chain(), wrap.s()), [4]),
        (workrow.chain(workrow.chain(workrow.chain()), wrap.s(7), add.si(3)), 4),
        (workrow.chain(workrow.graph({}), wrap.s()), [{}]),
        (workrow.graph({"a": workrow.graph({}), "b": wrap.s()}, after={"b": "a"}), {"b": [{}]}),
        (workrow.map(add, [1, 2]), [2, 3]),
        (workrow.starmap(add, [(1, 1), (2, 2)]), [2, 4]),
        (workrow.chunks(add, [(1, 1), (2, 2), (3, 3)], 2), [[2, 4], [6]]),
        (workrow.graph({"x": add.s(1), "y": add.s(2), "sum": add.s()}, after={"sum": ["x", "y"]}), {"sum": 5}),
        (
            workrow.graph({"a": add.s(1), "b": wrap.s(), "c": total.s()}, after={"b": "a", "c": {"numbers": "b"}}),
            {"c": 2},
        ),
    ]
    empty = workrow.group()
    with pytest.raises(workrow.WorkflowError, match="without a task"):
        await empty.enqueue(None)
    shapes = [each for each in shapes if each[0] != empty]
    started = [await shape.enqueue(None) for shape, _ in shapes]
    await run(flow_app)
    for workflow, (shape, expected) in zip(started, shapes, strict=True):
        assert await workflow.result(timeout=5) == expected, shape
        status = await workflow.status()
        assert (status.state, status.done, status.failed) == ("succeeded", status.size, 0), shape


async def test_a_handle_comes_back_from_the_id(flow_app: workrow.App) -> None:
    add = flow_app.tasks["add"]
    started = await workrow.chain(add.s(1), add.s()).enqueue(None)
    assert started.id is not None
    found = flow_app.workflow(started.id)
    assert found == started
    assert (await found.pause(), await found.resume()) == ("paused", "running")
    await run(flow_app)
    assert await found.result(timeout=5) == 3
    with pytest.raises(workrow.JobNotFound, match=f"there is no workflow {started.id + 1}"):
        await flow_app.workflow(started.id + 1).status()
    with pytest.raises(workrow.OptionError, match="workflow_id='7': must be the id of a workflow"):
        flow_app.workflow("7")  # type: ignore[arg-type]


async def test_a_failure_cancels_the_rest(flow_app: workrow.App, conn: Any) -> None:
    add, total, fail = (flow_app.tasks[name] for name in ("add", "total", "fail"))
    later = add.options(delay=3600).s(3)
    workflow = await workrow.chord([add.s(1), fail.s(7), later], total.s()).enqueue(None)
    await run(flow_app)
    with pytest.raises(workrow.WorkflowFailed, match=r"fail\[\d+\]: ValueError: no 7") as caught:
        await workflow.result(timeout=5)
    assert (caught.value.task, caught.value.error_type, caught.value.message) == ("fail", "ValueError", "no 7")
    assert states(conn, workflow) == {
        "add 0": "succeeded",
        "fail 1": "failed",
        "add 2": "cancelled",
        "gather 3": "cancelled",
        "total 4": "cancelled",
    }
    assert conn.execute("SELECT state, size, done, failed FROM workrow.workflows").fetchall() == [("failed", 4, 3, 1)]


async def test_others_go_on_after_a_failure_that_is_to_be_continued(flow_app: workrow.App, conn: Any) -> None:
    add, wrap, fail = (flow_app.tasks[name] for name in ("add", "wrap", "fail"))
    whole = await workrow.chord([add.s(1), fail.s()], wrap.s()).if_failed("continue").enqueue(None)
    node = await workrow.chain(fail.s().if_failed("continue"), wrap.s()).enqueue(None)
    other = await workrow.group(fail.s().if_failed("continue"), workrow.chain(fail.s(), add.s())).enqueue(None)
    await run(flow_app)
    for workflow, value in ((whole, [[2, None]]), (node, [None])):
        assert conn.execute(
            "SELECT result FROM workrow.flow_nodes JOIN workrow.flows ON id = flow_id AND root = number WHERE id = %s",
            [workflow.id],
        ).fetchone() == (value,)
    for workflow in (whole, node, other):
        with pytest.raises(workrow.WorkflowFailed, match="ValueError: no None"):
            await workflow.result(timeout=5)
    assert states(conn, other)["add 2"] == "cancelled"


async def test_callbacks_are_called_once_and_told_what_they_ask_for(flow_app: workrow.App, conn: Any) -> None:
    add, fail, note = (flow_app.tasks[name] for name in ("add", "fail", "note"))

    @flow_app.task(name="told")
    async def told(failure: workrow.Failure) -> str:
        return f"{failure.task}: {failure.error_type}: {failure.error_message}"

    @flow_app.task(name="ended")
    async def ended(end: dict[str, Any]) -> str:
        return str(end["state"])

    @flow_app.task(name="got")
    async def got(value: Any) -> Any:
        return value

    def called(flow: Any) -> Any:
        return flow.on_success(got.s()).on_failure(told.s()).on_complete(ended.s())

    good = await called(workrow.chain(add.s(1).link(got.s()).link_error(told.s()), add.s(2))).enqueue(None)
    bad = await called(
        workrow.chain(add.s(3), fail.s().link(got.s()).link_error(told.s()).link_error(note.si("x")))
    ).enqueue(None)
    alone = await add.s(8).on_success(got.s()).enqueue(None)
    assert alone.id is not None
    await run(flow_app)
    assert await good.result(timeout=5) == 4
    rows = conn.execute(
        """SELECT node.workflow_id, job.task, job.args, job.result FROM workrow.workflow_nodes AS node
           INNER JOIN workrow.jobs AS job ON job.id = node.job_id WHERE node.fires IS NOT NULL ORDER BY 1, 2, job.id"""
    ).fetchall()
    assert [(workflow, task, result) for workflow, task, _, result in rows] == [
        (good.id, "ended", "succeeded"),
        (good.id, "got", 2),
        (good.id, "got", 4),
        (bad.id, "ended", "failed"),
        (bad.id, "note", None),
        (bad.id, "told", "fail: ValueError: no 4"),
        (bad.id, "told", "fail: ValueError: no 4"),
        (alone.id, "got", 9),
    ]


async def test_compensation_undoes_what_has_succeeded_the_last_first(flow_app: workrow.App, conn: Any) -> None:
    add, fail = (flow_app.tasks[name] for name in ("add", "fail"))
    undone: list[Any] = []

    @flow_app.task(name="undo")
    async def undo(what: Any) -> None:
        undone.append(what)
        if what == 2:
            raise ValueError("cannot")

    steps = [
        add.s(1).compensate(undo.s()),
        add.s().compensate(undo.s()),
        add.s().compensate(undo.si("own")),
        fail.s().compensate(undo.s()),
    ]
    workflow = await workrow.chain(steps).enqueue(None)
    await run(flow_app)
    assert undone == ["own", 3, 2]
    with pytest.raises(workrow.WorkflowFailed, match="fail"):
        await workflow.result(timeout=5)
    assert await workflow.retry() is None
    assert states(conn, workflow)["undo 7"] == "skipped"


async def test_cancel_pause_resume_and_retry(flow_app: workrow.App, conn: Any) -> None:
    add, total = flow_app.tasks["add"], flow_app.tasks["total"]
    broken = True

    @flow_app.task(name="shaky")
    async def shaky(x: int) -> int:
        if broken:
            raise ValueError("broken")
        return x * 10

    workflow = await workrow.chord([add.s(1), workrow.chain(add.s(2), shaky.s()), add.s(5)], total.s()).enqueue(None)
    assert await workflow.pause() == "paused"
    assert (await workflow.status()).state == "paused"
    await run(flow_app)
    assert (await workflow.status()).done == 0
    assert await workflow.resume() == "running"
    assert await workflow.resume() is None
    await run(flow_app)
    assert (await workflow.status()).state == "failed"
    broken = False
    assert await workflow.retry() == "running"
    assert await workflow.retry() is None
    await run(flow_app)
    assert await workflow.result(timeout=5) == 2 + 30 + 6
    assert conn.execute("SELECT count(*) FROM workrow.jobs").fetchone() == (5,)

    other = await workrow.chain(add.s(1), add.s()).enqueue(None)
    assert await other.cancel() == "cancelled"
    assert await other.cancel() is None
    with pytest.raises(workrow.WorkflowCancelled):
        await other.result(timeout=5)
    assert await other.retry() == "running"
    await run(flow_app)
    assert await other.result(timeout=5) == 3


@pytest.mark.parametrize("call", ["status", "result", "cancel", "retry", "pause", "resume"])
async def test_a_workflow_that_is_not_there_can_be_asked_nothing(
    flow_app: workrow.App, database_url: str, call: str
) -> None:
    add = flow_app.tasks["add"]
    async with await psycopg.AsyncConnection.connect(database_url) as session:
        workflow = await workrow.chain(add.s(1), add.s()).enqueue(session)
        await session.rollback()
    with pytest.raises(workrow.JobNotFound, match=f"there is no workflow {workflow.id}: .* was rolled back"):
        await getattr(workflow, call)()
    with pytest.raises(workrow.JobNotFound, match=f"there is no workflow {workflow.id}: .* was rolled back"):
        await asyncio.to_thread(getattr(workflow, f"{call}_sync"))


async def test_a_task_returns_a_workflow_that_takes_its_place(flow_app: workrow.App, conn: Any) -> None:
    add, total, wrap = (flow_app.tasks[name] for name in ("add", "total", "wrap"))

    @flow_app.task(name="split")
    async def split(x: int) -> Any:
        return workrow.chain(workrow.group(add.s(each) for each in range(x)), total.s())

    @flow_app.task(name="again")
    async def again(x: int) -> Any:
        return again.s(x - 1) if x else "done"

    @flow_app.task(name="inside", transactional=True)
    async def inside(on: psycopg.AsyncConnection[Any], x: int) -> Any:
        return workrow.chain(add.s(x), wrap.s()).on_success(add.si(0))

    @flow_app.task(name="wrong")
    async def wrong() -> Any:
        return workrow.chain(add.s("no number"))

    @flow_app.task(name="nothing")
    async def nothing() -> Any:
        return workrow.chord([], wrap.s())

    @flow_app.task(name="none_today")
    async def none_today() -> Any:
        return workrow.map(add, [])

    @flow_app.task(name="no_steps")
    async def no_steps() -> Any:
        return workrow.chain()

    empty = await workrow.chord([none_today.s(), no_steps.s()], wrap.s()).enqueue(None)
    last = await workrow.chain(add.s(1), none_today.si()).enqueue(None)
    header = await workrow.chord([split.s(3), add.s(1), inside.s(5), nothing.s()], wrap.s()).enqueue(None)
    nested = await workrow.chain(again.s(4), wrap.s()).enqueue(None)
    bad = await workrow.chain(wrong.s(), wrap.s()).enqueue(None)
    alone = await split.enqueue(None, 2)
    await run(flow_app)
    assert await header.result(timeout=5) == [[6, 2, [6], [[]]]]
    assert await nested.result(timeout=5) == ["done"]
    assert await empty.result(timeout=5) == [[[], None]]
    assert await last.result(timeout=5) == []
    with pytest.raises(workrow.WorkflowFailed, match=r"ArgumentError: add: argument x='no number'"):
        await bad.result(timeout=5)
    started = await alone.result(timeout=5)
    assert conn.execute(
        "SELECT state, size FROM workrow.workflows WHERE id = %s", [started["workflow_id"]]
    ).fetchone() == ("succeeded", 3)


async def test_a_running_task_appends_to_its_workflow(flow_app: workrow.App, conn: Any) -> None:
    add = flow_app.tasks["add"]
    order: list[str] = []

    @flow_app.task(name="later")
    async def later(what: str) -> None:
        order.append(what)

    @flow_app.task(name="pages")
    async def pages(ctx: workrow.JobContext, count: int) -> int:
        for page in range(count):
            await workrow.chain(later.si(f"page {page}"), later.si("stored")).append(None, ctx)
        return count

    @flow_app.task(name="inside", transactional=True)
    async def inside(on: psycopg.AsyncConnection[Any], ctx: workrow.JobContext) -> int:
        await workrow.group(later.s("in"), later.s("out")).append(on, ctx)
        return 7

    workflow = await workrow.chain(pages.s(2), add.s(), inside.si(), later.si("last")).enqueue(None)
    await run(flow_app)
    assert (await workflow.status()).state == "succeeded"
    assert sorted(order[:4]) == ["page 0", "page 1", "stored", "stored"]
    assert (sorted(order[4:6]), order[6:]) == (["in", "out"], ["last"])
    alone = await pages.enqueue(None, count=1)
    await run(flow_app)
    assert conn.execute("SELECT error FROM workrow.jobs WHERE id = %s", [alone.id]).fetchone() == (
        f"append: job {alone.id} runs as no part of a workflow; nothing was enqueued; enqueue() begins one",
    )


async def test_what_is_appended_is_of_the_app_that_runs(flow_app: workrow.App, database_url: str, conn: Any) -> None:
    other = workrow.App(database_url)

    @other.task(name="elsewhere")
    async def elsewhere() -> None: ...

    @flow_app.task(name="appends")
    async def appends(ctx: workrow.JobContext) -> None:
        await elsewhere.s().append(None, ctx)

    add = flow_app.tasks["add"]
    await workrow.chain(appends.s(), add.si(1)).enqueue(None)
    await run(flow_app)
    ((error,),) = conn.execute("SELECT error FROM workrow.jobs WHERE task = 'appends'").fetchall()
    assert error.startswith("append: elsewhere is a task of <workrow.app.App object at 0x")
    assert error.endswith("or enqueue elsewhere apart")
