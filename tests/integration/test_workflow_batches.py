"""A batch has one end, told once, whatever its jobs add to it and however they end."""

import random
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_trust import bury, rescue
from tests.integration.test_worker import run
from tests.integration.test_workflow_ends import BAD, GOOD, SWEEPS


@pytest.fixture
def batch_app(open_app: workrow.App) -> workrow.App:
    @open_app.task(name="work")
    async def work(n: int = 0) -> int:
        return n

    @open_app.task(name="fail")
    async def fail(n: int = 0) -> None:
        raise ValueError(n)

    @open_app.task(name="spread")
    async def spread(depth: int) -> None:
        if depth:
            await open_app.tasks["spread"].enqueue_many(None, [{"depth": depth - 1}] * 2)

    @open_app.task(name="note")
    async def note(what: Any) -> None: ...

    return open_app


def rows(conn: Any, task: str = "note") -> list[Any]:
    query = "SELECT args, status FROM workrow.all_jobs WHERE task_name = %s ORDER BY id"
    return [*conn.execute(query, [task]).fetchall()]


def notes(conn: Any) -> list[Any]:
    return sorted((args["what"] for args, _ in rows(conn)), key=str)


async def test_callbacks_come_when_the_last_has_ended(batch_app: workrow.App, conn: Any) -> None:
    work, note = batch_app.tasks["work"], batch_app.tasks["note"]
    async with workrow.batch(
        None, on_success=note.s(), on_complete=note.si("end"), on_failure=note.si("never"), name="some"
    ) as batch:
        await work.enqueue(None, 1)
        await work.enqueue_many(None, [{"n": n} for n in range(5)])
        await work.defer_async(n=7)
        assert rows(conn, "work") == []
    status = await batch.status()
    assert (status.state, status.size, status.done) == ("running", 7, 0)
    await run(batch_app, concurrency=1)
    end = {"workflow_id": batch.id, "state": "succeeded"}
    assert notes(conn) == ["end", end]
    assert await batch.result(timeout=0) == end
    status = await batch.status()
    assert (status.state, status.size, status.done, status.progress) == ("succeeded", 7, 7, 1)


async def test_what_members_enqueue_joins(batch_app: workrow.App, conn: Any) -> None:
    async with workrow.batch(None, on_complete=batch_app.tasks["note"].si("end")) as batch:
        await batch_app.tasks["spread"].enqueue(None, 4)
    await run(batch_app, concurrency=3)
    assert (await batch.status()).size == 31
    assert notes(conn) == ["end"]


async def test_members_add_whatever_they_are_run_in(open_app: workrow.App, conn: Any, database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    seen: list[Any] = []

    @open_app.task(name="leaf")
    async def leaf(n: int) -> None: ...

    @open_app.task(name="thread")
    def thread(ctx: workrow.SyncJobContext) -> None:
        seen.append(ctx.batch and ctx.batch.id)
        with engine.begin() as connection:
            leaf.enqueue(connection, 1)
        leaf.delay(2)

    @open_app.task(name="own", transactional=True)
    async def own(on: psycopg.AsyncConnection[Any]) -> None:
        await leaf.enqueue(on, 3)
        await leaf.enqueue_copy(on, ({"n": n} for n in range(4, 9)))

    @open_app.task(name="note")
    async def note(what: Any) -> None:
        seen.append("end")

    async with workrow.batch(None, on_success=note.si("end")) as batch:
        await thread.enqueue(None)
        await own.enqueue(None)
    await run(open_app, concurrency=1)
    status = await batch.status()
    assert (status.state, status.size, status.done) == ("succeeded", 10, 10)
    assert seen == [batch.id, "end"]
    # who is in no batch adds to none
    await thread.enqueue(None)
    await run(open_app)
    assert (await batch.status()).size == 10
    assert seen[2:] == [None]
    engine.dispose()


async def test_a_job_that_starts_when_a_member_has_ended_adds_nothing(batch_app: workrow.App, conn: Any) -> None:
    @batch_app.task(name="stranger")
    async def stranger() -> None:
        await batch_app.tasks["work"].enqueue(None)

    many = 100  # so that some are claimed ahead, and started by the end of the one before
    async with workrow.batch(None, on_complete=batch_app.tasks["note"].si("end")) as batch:
        await batch_app.tasks["work"].enqueue_many(None, [{}] * many)
    await stranger.enqueue_many(None, [{}] * many)
    await run(batch_app, concurrency=1)
    assert len(rows(conn, "work")) == 2 * many
    assert (await batch.status()).size == many
    assert {status for _, status in rows(conn, "stranger")} == {"succeeded"}


@pytest.mark.parametrize("commits", [True, False])
async def test_it_commits_with_the_callers_data_or_not_at_all(
    batch_app: workrow.App, conn: Any, database_url: str, commits: bool
) -> None:
    work, note = batch_app.tasks["work"], batch_app.tasks["note"]
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    async with AsyncSession(engine) as session:
        async with workrow.batch(session, on_complete=note.s()) as batch:
            await work.enqueue(session, 1)
            await work.options(delay=3600).enqueue(None, 2)  # None is the block's transaction
            await work.enqueue_copy(session, [{"n": 3}, {"n": 4}])
        assert rows(conn, "work") == []
        await (session.commit() if commits else session.rollback())
    await engine.dispose()
    if commits:
        status = await batch.status()
        assert (status.state, status.size) == ("running", 4)
        await run(batch_app)
        assert (await batch.status()).done == 3  # one is for later
        assert notes(conn) == []
    else:
        assert rows(conn, "work") == []
        with pytest.raises(workrow.JobNotFound):
            await batch.status()


@pytest.mark.parametrize("own", [True, False])
def test_nothing_stays_of_a_block_that_raises(open_app: workrow.App, conn: Any, database_url: str, own: bool) -> None:
    @open_app.task(name="work")
    async def work(n: int = 0) -> None: ...

    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TEMPORARY TABLE mine (n integer)")
        with pytest.raises(ZeroDivisionError), workrow.batch(None if own else connection, on_complete=work.si()):  # noqa: PT012
            connection.execute("INSERT INTO mine VALUES (1)")
            work.delay(1) if own else work.enqueue(connection, 1)
            raise ZeroDivisionError
        assert connection.execute("SELECT n FROM mine").fetchall() == [(1,)]
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    assert conn.execute("SELECT (SELECT count(*) FROM workrow.flows), count(*) FROM workrow.flow_nodes").fetchone() == (
        0,
        0,
    )


async def test_an_empty_one_ends_at_once(batch_app: workrow.App, conn: Any) -> None:
    note = batch_app.tasks["note"]
    async with workrow.batch(None, on_success=note.s(), on_failure=note.si("never"), on_complete=note.si("end")) as one:
        pass
    assert notes(conn) == ["end", {"workflow_id": one.id, "state": "succeeded"}]
    assert (await one.status()).progress == 1


async def test_the_failed_ones_run_again(batch_app: workrow.App, conn: Any) -> None:
    work, note, broken = batch_app.tasks["work"], batch_app.tasks["note"], [True]

    @batch_app.task(name="shaky")
    async def shaky() -> None:
        if broken[0]:
            raise ValueError("not yet")
        await work.enqueue(None, 5)

    async with workrow.batch(None, on_success=note.si("good"), on_failure=note.s(), on_complete=note.s()) as batch:
        await shaky.enqueue_many(None, [{}, {}])
        await work.enqueue(None, 1)
    await run(batch_app)
    status = await batch.status()
    assert (status.state, status.size, status.done, status.failed) == ("failed", 3, 3, 2)
    [told] = [what for what in notes(conn) if "error_message" in what]
    assert (told["task"], told["error_message"]) == ("shaky", "not yet")
    assert {"workflow_id": batch.id, "state": "failed"} in notes(conn)
    with pytest.raises(workrow.WorkflowFailed, match="not yet"):
        await batch.result(timeout=0)

    conn.execute("DELETE FROM workrow.history WHERE task_name = 'note'")
    broken[0] = False
    assert await batch.retry() == "running"
    await run(batch_app)
    status = await batch.status()
    assert (status.state, status.size, status.done, status.failed) == ("succeeded", 5, 5, 0)
    assert notes(conn) == ["good", {"workflow_id": batch.id, "state": "succeeded"}]
    assert conn.execute(
        "SELECT count(*) FROM workrow.history WHERE task_name = 'work' AND args = '{\"n\": 1}'"
    ).fetchone() == (1,)


async def test_cancel_pause_and_one_that_does_not_go_on(batch_app: workrow.App, conn: Any) -> None:
    work, fail, note = (batch_app.tasks[name] for name in ("work", "fail", "note"))
    async with workrow.batch(None, on_complete=note.s(), on_failure=note.si("never")) as batch:
        await work.enqueue_many(None, [{"n": n} for n in range(5)])
    assert await batch.pause() == "paused"
    await run(batch_app)
    assert (await batch.status()).done == 0
    assert await batch.cancel() == "cancelled"
    await run(batch_app)
    assert notes(conn) == [{"workflow_id": batch.id, "state": "cancelled"}]

    async with workrow.batch(None, on_complete=note.s(), if_failed="cancel") as other:
        await fail.options(priority=1).enqueue(None)
        await work.options(delay=3600).enqueue_many(None, [{"n": 1}, {"n": 2}])
    await run(batch_app)
    assert (await other.status()).state == "failed"
    assert [status for _, status in rows(conn, "work")][5:] == ["cancelled"] * 2


async def test_a_member_that_adds_is_asked_to_abort(batch_app: workrow.App, conn: Any, database_url: str) -> None:
    work, note = batch_app.tasks["work"], batch_app.tasks["note"]
    async with workrow.batch(None, on_complete=note.si("end")) as batch:
        job = await work.enqueue(None, 1)
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job.id])
    with psycopg.connect(database_url) as adding:
        [(new,)] = adding.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 'work') RETURNING id"
        )
        adding.execute("SELECT workrow.join_batch_v1(%s, %s, ARRAY[%s], NULL)", [batch.id, job.id, new])
        assert await batch.cancel() == "cancelling"
        asked = "SELECT abort_requested FROM procrastinate_jobs WHERE id = %s"
        assert conn.execute(asked, [job.id]).fetchone() == (True,)
    conn.execute("SELECT workrow.end_job_v1(%s, '{doing}', 'aborted')", [job.id])
    assert notes(conn) == []  # what it added before is there, and is cancelled by the sweep
    conn.execute(SWEEPS)
    assert notes(conn) == ["end"]
    assert (await batch.status()).state == "cancelled"


async def test_a_duplicate_joins_nothing(batch_app: workrow.App, conn: Any) -> None:
    work, note = batch_app.tasks["work"].options(unique=("n",)), batch_app.tasks["note"]
    before = await work.options(delay=3600).enqueue(None, 1)
    async with workrow.batch(None, on_success=note.si("end")) as batch:
        job = await work.enqueue(None, 1)
        assert (job.id, job.created) == (before.id, False)
        await work.enqueue(None, 2)
        await work.enqueue(None, 2)
    assert (await batch.status()).size == 1
    await run(batch_app)
    assert notes(conn) == ["end"]


SOME_ENDS = [
    (GOOD["a stock worker"], "succeeded"),
    (GOOD["procrastinate's first statements"], "succeeded"),
    (BAD["procrastinate's cancel that deletes"], "failed"),
    (BAD["quarantine"], "failed"),
    (BAD["somebody's DELETE"], "failed"),
]


@pytest.mark.parametrize(("statement", "state"), SOME_ENDS)
async def test_every_end_of_the_last_is_told_once(
    batch_app: workrow.App, conn: Any, statement: str, state: str
) -> None:
    work, note = batch_app.tasks["work"], batch_app.tasks["note"]
    async with workrow.batch(None, on_complete=note.si("end")) as batch:
        await work.enqueue(None, 1)
        await work.enqueue(None, 2)
    for number, (job,) in enumerate(conn.execute("SELECT id FROM procrastinate_jobs ORDER BY id").fetchall()):
        if "cancel" not in statement:
            conn.execute("UPDATE procrastinate_jobs SET status = 'doing', claims = 1 WHERE id = %s", [job])
        conn.execute(statement, {"id": job})
        for _ in range(2):
            conn.execute(SWEEPS)
            assert notes(conn) == ["end"] * number
    assert (await batch.status()).state == state


async def test_a_killed_workers_members_end_once(open_app: workrow.App, conn: Any) -> None:
    attempts: list[int] = []

    @open_app.task(name="leaf")
    async def leaf() -> None: ...

    @open_app.task(name="slow")
    async def slow() -> None:
        attempts.append(1)
        await leaf.enqueue(None)  # once more with each attempt
        if len(attempts) == 1:
            bury(conn)
            assert [verdict for _, verdict in rescue(conn)] == ["queued"]

    @open_app.task(name="note")
    async def note(what: Any) -> None: ...

    async with workrow.batch(None, on_success=note.si("end")) as batch:
        await slow.enqueue(None)
    async with Running(open_app, update_heartbeat_interval=3600):
        await until(lambda: notes(conn))
    await run(open_app)
    assert (len(attempts), (await batch.status()).size) == (2, 3)
    assert notes(conn) == ["end"]


async def test_ends_in_any_order_with_additions(batch_app: workrow.App, conn: Any) -> None:
    """By hand, in one session: the end is told exactly when no member is left."""
    dice = random.Random(7)
    work, note = batch_app.tasks["work"], batch_app.tasks["note"]
    async with workrow.batch(None, on_complete=note.si("end")) as batch:
        await work.enqueue_many(None, [{"n": n} for n in range(150)])
    members = "UPDATE procrastinate_jobs SET status = 'doing' WHERE workflow_id = %s RETURNING id"
    running, added = [job for (job,) in conn.execute(members, [batch.id])], 0
    while running:
        ending = dice.choice(running)
        if added < 80 and dice.random() < 0.6:
            added += 1
            with conn.transaction():
                [(new,)] = conn.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 'work') RETURNING id"
                )
                joined = "SELECT workrow.join_batch_v1(%s, %s, ARRAY[%s], NULL)"
                assert conn.execute(joined, [batch.id, ending, new]).fetchone() == (None,)
            conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [new])
            running.append(new)
        assert notes(conn) == []
        running.remove(ending)
        conn.execute("SELECT workrow.end_job_v1(%s, '{doing}', 'succeeded')", [ending])
    assert notes(conn) == ["end"]
    assert (await batch.status()).size == 150 + added


async def test_what_cannot_join_is_refused(batch_app: workrow.App, conn: Any, database_url: str) -> None:
    work = batch_app.tasks["work"]
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        async with workrow.batch(connection):
            with pytest.raises(workrow.WorkflowError, match="a batch inside of the block of another: end the first"):
                async with workrow.batch(connection):
                    pass
            with pytest.raises(workrow.WorkflowError, match="a workflow is no member of a batch"):
                await workrow.group(work.s(1), work.s(2)).enqueue(connection)
            async with await psycopg.AsyncConnection.connect(database_url) as other:
                with pytest.raises(
                    workrow.TransactionError, match="in its block, enqueue on what the batch was opened"
                ):
                    await work.enqueue(other, 1)
                await other.commit()
            with pytest.raises(workrow.TransactionError, match="block is async, and so is what is enqueued"):
                work.delay(1)
        async with workrow.batch(connection) as batch:
            await work.enqueue(connection, 1)
            await connection.commit()
            with pytest.raises(workrow.TransactionError, match="its transaction ended inside of its block"):
                await work.enqueue_many(connection, [{"n": 2}] * 3)
            await connection.commit()
        assert (await batch.status()).size == 1
        with pytest.raises(workrow.TransactionError, match="AsyncConnection is not sync: write `async with workrow"):
            workrow.batch(connection).__enter__()
    for on, options, message in (
        (None, {}, r"batch\(None\): without a callback"),
        (object(), {}, "cannot enqueue on <object"),
        (conn, {"if_failed": "compensate"}, r"batch\(if_failed='compensate'\): must be 'continue' or 'cancel'"),
        (conn, {"on_success": work}, r"a callback is one task, such as notify.s\(\)"),
        (conn, {"name": ""}, r"batch\(name=''\): must be text of 1 to 200 characters"),
    ):
        with pytest.raises(workrow.WorkrowError, match=message):
            workrow.batch(on, **options)  # type: ignore[arg-type]
    assert [args for args, _ in rows(conn, "work")] == [{"n": 1}]


async def test_a_task_of_another_app_is_no_member_on_none(batch_app: workrow.App, database_url: str, conn: Any) -> None:
    other, both = workrow.App(database_url), workrow.Blueprint("both")

    @other.task(name="elsewhere")
    async def elsewhere() -> None: ...

    @both.task
    async def shared() -> None: ...

    batch_app.include(both)
    other.include(both)
    note = batch_app.tasks["note"]
    async with workrow.batch(None, on_complete=note.si(1)):
        await shared.enqueue(None)
        with pytest.raises(
            workrow.WorkflowError, match="^elsewhere is a task of <.*, and its batch was opened on None"
        ):
            await elsewhere.enqueue(None)
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        async with workrow.batch(connection, on_complete=note.si(2)):
            await elsewhere.enqueue(None)
        await connection.commit()
    assert [rows(conn, task) for task in ("both.shared", "elsewhere")] == [[({}, "todo")], [({}, "todo")]]


async def test_a_cancelled_batch_takes_no_more_and_an_ended_job_adds_nothing(batch_app: workrow.App, conn: Any) -> None:
    work, note, errors = batch_app.tasks["work"], batch_app.tasks["note"], []

    @batch_app.task(name="late")
    async def late(ctx: workrow.JobContext) -> None:
        assert ctx.batch is not None
        conn.execute("UPDATE workrow.flows SET state = 'cancelling'")
        for _ in range(2):
            try:
                await work.enqueue(None, 1)
            except workrow.WorkflowError as error:
                errors.append(str(error))
            conn.execute("UPDATE workrow.flows SET state = 'running'")
            conn.execute("SELECT workrow.end_job_v1(%s, '{doing}', 'succeeded')", [ctx.job.id])

    async with workrow.batch(None, on_complete=note.si("end")) as batch:
        await late.enqueue(None)
        await work.options(delay=3600).enqueue(None, 3)
    await run(batch_app)
    assert errors[0] == f"batch {batch.id} is cancelling: nothing joins it any more; nothing was enqueued"
    assert "runs no more, and only one that runs adds to it" in errors[1]
    assert [args for args, _ in rows(conn, "work")] == [{"n": 3}]


async def test_a_job_of_any_workflow_that_there_cannot_be_is_claimed(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="healthy")
    async def healthy() -> None: ...

    jobs = await healthy.enqueue_many(None, [{}] * 4)
    for job, (flow, node) in zip(jobs, [(-(2**63), -1), (2**63 - 1, -1), (-(2**63), 1)], strict=False):
        conn.execute(
            "UPDATE procrastinate_jobs SET workflow_id = %s, workflow_node = %s WHERE id = %s", [flow, node, job.id]
        )
    await run(open_app)
    assert conn.execute("SELECT id FROM procrastinate_jobs").fetchall() == []
