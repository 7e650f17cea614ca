"""A workflow and its jobs are seen together, and forgotten together."""

from datetime import timedelta
from typing import Any

import pytest

import workrow
from tests.integration.test_worker import run
from workrow.maintenance.historian import Historian


@pytest.fixture
def flow_app(open_app: workrow.App) -> workrow.App:
    @open_app.task(name="add", on_failure="told")
    async def add(x: int, y: int = 1) -> int:
        if x < 0:
            raise ValueError("below 0")
        return x + y

    @open_app.task(name="total")
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    @open_app.task(name="note")
    async def note(what: Any = None) -> None: ...

    @open_app.task(name="told")
    async def told(failure: workrow.Failure) -> None: ...

    @open_app.task(name="caller")
    async def caller(ctx: workrow.JobContext) -> int:
        found: int = await ctx.call(add, 1)
        return found

    return open_app


def age(conn: Any) -> None:
    """All that is there was done long ago."""
    conn.execute("DROP TABLE workrow.history_past")
    conn.execute(
        """CREATE TABLE workrow.history_20260101 PARTITION OF workrow.history
           FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')"""
    )
    conn.execute("SET session_replication_role = replica")
    conn.execute("UPDATE workrow.history SET finished_at = '2026-01-01 12:00:00+00'")
    conn.execute("RESET session_replication_role")
    conn.execute("UPDATE workrow.flows SET created_at = created_at - interval '12 days'")


async def prune(app: workrow.App) -> None:
    async def declared() -> bool:
        return True

    await Historian(app.connector, timedelta(days=7), declared).run_once()


async def test_what_has_not_ended_keeps_its_jobs(flow_app: workrow.App, conn: Any) -> None:
    add, total = flow_app.tasks["add"], flow_app.tasks["total"]
    flow = workrow.chord([add.s(1), add.s(-1).if_failed("continue"), add.options(delay=60).s(2)], total.s())
    workflow = await flow.enqueue(None)
    plain = await add.enqueue(None, 5)
    await run(flow_app)
    kept = conn.execute("SELECT id, status FROM workrow.history WHERE workflow_id = %s", [workflow.id]).fetchall()
    assert len(kept) == 2
    told = conn.execute("SELECT count(*) FROM workrow.jobs WHERE task = 'told'").fetchone()
    age(conn)
    await prune(flow_app)
    await prune(flow_app)
    rows = conn.execute("SELECT id, status FROM workrow.history ORDER BY id").fetchall()
    assert rows == sorted(kept), "a plain job of that day is gone, and those of the workflow are not"
    assert plain.id not in dict(rows)
    # they have not ended a second time: what is told of failures is told once
    assert conn.execute("SELECT count(*) FROM workrow.jobs WHERE task = 'told'").fetchone() == (told[0] - 1,)

    conn.execute("UPDATE procrastinate_jobs SET scheduled_at = NULL")
    await run(flow_app)
    assert conn.execute("SELECT state, done FROM workrow.workflows").fetchone() == ("failed", 4)
    conn.execute("UPDATE workrow.flows SET ended_at = now() - interval '8 days'")
    await prune(flow_app)
    assert conn.execute("SELECT count(*) FROM workrow.flow_nodes").fetchone() == (0,)
    with pytest.raises(workrow.JobNotFound):
        await workflow.status()
    await prune(flow_app)
    assert not {each for each, _ in kept} & {each for (each,) in conn.execute("SELECT id FROM workrow.history")}


async def test_a_workflow_starts_with_its_first_job(flow_app: workrow.App, conn: Any) -> None:
    add = flow_app.tasks["add"]
    await workrow.chain(add.s(1), add.s(2)).enqueue(None)
    assert conn.execute("SELECT started_at, expected_end FROM workrow.workflows").fetchone() == (None, None)
    conn.execute("UPDATE workrow.flows SET created_at = created_at - interval '12 days'")
    await run(flow_app)
    started, ended, created = conn.execute("SELECT started_at, ended_at, created_at FROM workrow.workflows").fetchone()
    assert ended - started < timedelta(days=1) < ended - created


async def test_jobs_know_whom_they_follow(flow_app: workrow.App, conn: Any) -> None:
    add, total, note = (flow_app.tasks[name] for name in ("add", "total", "note"))
    first = add.s(1).on_success(note.si())
    flow = workrow.chain(first, workrow.group(add.s(), add.s()), workrow.group(total.s(), total.s()), note.si())
    workflow = await flow.enqueue(None)
    (start,) = conn.execute("SELECT id FROM procrastinate_jobs").fetchone()
    job = flow_app.job(start)
    assert (await job.children(), await job.parents()) == ([], [])
    await run(flow_app)
    rows = conn.execute(
        "SELECT node, job_id FROM workrow.workflow_nodes WHERE workflow_id = %s AND job_id IS NOT NULL ORDER BY node",
        [workflow.id],
    ).fetchall()
    first_id, note_id, one, two, three, four, last = (job_id for _, job_id in rows)

    async def ids(job_id: int, which: str) -> list[int]:
        return [each.id for each in await getattr(flow_app.job(job_id), which)()]

    assert sorted(await ids(first_id, "children")) == sorted([note_id, one, two])
    for each in (one, two):
        assert await ids(each, "parents") == [first_id]
        assert sorted(await ids(each, "children")) == sorted([three, four])
    assert sorted(await ids(last, "parents")) == sorted([three, four])
    assert sorted(await ids(note_id, "parents")) == [first_id]
    (parent,) = flow_app.job(one).parents_sync()
    assert (parent.task, await parent.result(timeout=5)) == ("add", 2)
    with pytest.raises(workrow.JobNotFound):
        await flow_app.job(987654321).children()


async def test_a_call_is_a_child(flow_app: workrow.App) -> None:
    caller = await flow_app.tasks["caller"].enqueue(None)
    plain = await flow_app.tasks["note"].enqueue(None)
    await run(flow_app)
    assert await caller.result(timeout=5) == 2
    (child,) = await caller.children()
    assert [each.id for each in await child.parents()] == [caller.id]
    assert (await plain.parents(), await plain.children()) == ([], [])
