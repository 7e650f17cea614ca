"""What the rows tell of each job after a worker ran it."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import procrastinate
import psycopg
import pytest

import workrow
from workrow.database import connector


async def run(app: workrow.App, **options: Any) -> None:
    """Run what is ready now, and return."""
    await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False, **options)


def row(conn: psycopg.Connection, job: workrow.Job[Any]) -> dict[str, Any]:
    cursor = conn.cursor(row_factory=psycopg.rows.dict_row)
    found = cursor.execute("SELECT * FROM workrow.jobs WHERE id = %s", [job.id]).fetchone()
    assert found is not None
    return found


@dataclasses.dataclass
class Report:
    total: int
    at: datetime


async def test_a_result_and_its_times_are_in_the_row(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="report")
    async def report(total: int) -> Report:
        return Report(total, datetime(2026, 1, 2, tzinfo=UTC))

    job = await report.enqueue(None, 7)
    await run(open_app, name="w1")
    found = row(conn, job)
    assert found["status"] == "succeeded"
    assert found["result"] == {"total": 7, "at": "2026-01-02T00:00:00Z"}
    assert found["created_at"] <= found["started_at"] <= found["finished_at"]
    assert (found["worker"], found["attempts"], found["error"], found["errors"]) == ("w1", 1, None, None)


async def test_a_sync_task_runs(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="double")
    def double(n: int) -> int:
        return 2 * n

    job = await double.enqueue(None, 21)
    await run(open_app)
    assert row(conn, job)["result"] == 42


async def test_the_context_is_passed_by_annotation(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="whoami")
    async def whoami(ctx: workrow.JobContext, greeting: str) -> str:
        return f"{greeting} {ctx.job.id}"

    job = await whoami.enqueue(None, "I am")
    await run(open_app)
    assert row(conn, job)["result"] == f"I am {job.id}"


async def test_every_attempts_error_is_kept(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="flaky", retry=workrow.Retry(max_attempts=3, wait=0))
    async def flaky(context: workrow.JobContext) -> None:
        raise ValueError(f"no. {context.job.attempts + 1}\x00")

    job = await flaky.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["discarded"]) == ("failed", 3, False)
    assert [(each["attempt"], each["type"]) for each in found["errors"]] == [
        (1, "ValueError"),
        (2, "ValueError"),
        (3, "ValueError"),
    ]
    assert found["error"] == "no. 3\\x00"
    assert "raise ValueError" in found["traceback"]
    assert found["result"] is None


async def test_a_retry_waits(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="later", retry=workrow.Retry(max_attempts=2, wait=600))
    async def later() -> None:
        raise OSError("not now")

    job = await later.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["error"]) == ("todo", 1, "not now")
    assert timedelta(seconds=590) < found["scheduled_at"] - datetime.now(UTC) < timedelta(seconds=601)
    assert found["finished_at"] is None


async def test_discard_ends_the_job_with_its_reason(open_app: workrow.App, conn: Any) -> None:
    class NoSuchAddress(Exception):
        pass

    @open_app.task(name="send", retry=workrow.Retry(max_attempts=9), discard_on=(NoSuchAddress,))
    async def send() -> None:
        raise NoSuchAddress("550 who?")

    job = await send.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["discarded"]) == ("failed", 1, True)
    assert found["error"] == "550 who?"
    assert found["error_type"].endswith("NoSuchAddress")


async def test_what_is_not_retried_on_fails_at_once(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="strict", retry=workrow.Retry(max_attempts=9, wait=0), retry_on=(OSError,))
    async def strict() -> None:
        raise KeyError("x")

    job = await strict.enqueue(None)
    await run(open_app)
    assert (row(conn, job)["status"], row(conn, job)["attempts"]) == ("failed", 1)


async def test_procrastinates_own_retry_strategy_still_works(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="old", retry=procrastinate.RetryStrategy(max_attempts=2))
    async def old() -> None:
        raise OSError("x")

    job = await old.enqueue(None)
    await run(open_app)
    await asyncio.sleep(1.1)  # its wait counts in whole seconds, and 1 ** attempts is 1
    await run(open_app)
    assert len(row(conn, job)["errors"]) >= 2


async def test_a_result_that_is_not_json_is_said_and_left_out(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @open_app.task(name="opaque")
    async def opaque() -> object:
        return object()

    job = await opaque.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["result"], found["error_type"]) == ("succeeded", None, "workrow.ResultNotKept")
    assert "its result is not kept" in caplog.text
    with pytest.raises(workrow.NoResult, match=r"opaque\[1\] succeeded; its result is not kept: .*object"):
        await job.result(timeout=5)


async def test_a_finish_is_refused_when_the_job_is_no_longer_ours(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @open_app.task(name="stolen")
    async def stolen(context: workrow.JobContext) -> str:
        conn.execute("UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL")
        conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
        return "mine"

    job = await stolen.enqueue(None)
    await run(open_app)
    assert (row(conn, job)["status"], row(conn, job)["result"]) == ("todo", None)
    assert "the finish was refused" in caplog.text


async def test_delete_jobs_deletes(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="gone")
    async def gone() -> None: ...

    await gone.enqueue(None)
    await run(open_app, delete_jobs="successful")
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_a_running_worker_is_in_the_view(open_app: workrow.App, conn: Any) -> None:
    seen: list[tuple[Any, ...]] = []

    @open_app.task(name="look")
    def look() -> None:
        with psycopg.connect(conn.info.dsn) as connection:
            columns = "name, queues, concurrency, version, alive, running"
            seen.extend(connection.execute(f"SELECT {columns} FROM workrow.workers").fetchall())

    await look.enqueue(None)
    await run(open_app, name="w9", concurrency=4, queues=["default"])
    assert seen == [("w9", ["default"], 4, workrow.__version__, True, 1)]
    assert conn.execute("SELECT count(*) FROM workrow.workers").fetchone() == (0,)


async def test_middleware_still_wraps(open_app: workrow.App, conn: Any) -> None:
    async def shout(call_next: Any, context: Any, worker: Any) -> Any:
        return (await call_next()).upper()

    @open_app.task(name="whisper", task_middleware=[shout])
    async def whisper() -> str:
        return "hey"

    job = await whisper.enqueue(None)
    await run(open_app, worker_middleware=[shout])
    assert row(conn, job)["result"] == "HEY"


async def test_a_worker_stays_on_a_wrong_schema(empty_database_url: str) -> None:
    app = workrow.App(empty_database_url)
    async with app.open_async():
        with pytest.raises(workrow.SchemaError):
            await run(app)


async def test_a_server_that_answers_once_only_is_away(
    app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one behind a PgBouncer that loses it between the first connection and the pool's."""
    monkeypatch.setattr(connector, "OPEN_TIMEOUT", 0.5)
    if conn.info.server_version < 170000 or conn.info.parameter_status("is_superuser") != "on":
        pytest.skip("needs a superuser, and event triggers on login, which are new in PostgreSQL 17")
    conn.execute("CREATE SEQUENCE logins")
    conn.execute(
        """CREATE FUNCTION one_login() RETURNS event_trigger LANGUAGE plpgsql AS
           $$ BEGIN IF nextval('logins') > 1 THEN RAISE 'no more of you'; END IF; END $$"""
    )
    conn.execute("CREATE EVENT TRIGGER one_login ON login EXECUTE FUNCTION one_login()")
    try:
        with pytest.raises(workrow.DatabaseUnavailable, match="cannot connect to .*: pool initialization incomplete"):
            await app.open_async()
    finally:
        conn.execute("DROP EVENT TRIGGER one_login")
    async with app.open_async():  # and it can be tried again
        pass
