"""Tasks, exceptions and retry policies that misbehave: the slot is free again, and the row says what happened."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import procrastinate
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_trust import status
from tests.integration.test_worker import row, run
from workrow.database.urls import libpq_url


@pytest.fixture
async def open_app(database_url: str) -> AsyncIterator[workrow.App]:
    url = libpq_url(database_url).replace("postgresql://", "postgresql+psycopg://")
    engine, sync_engine = create_async_engine(url), create_engine(url)
    app = workrow.App(database_url, sessions=async_sessionmaker(engine), sync_sessions=sessionmaker(sync_engine))
    async with app.open_async():
        yield app
    await engine.dispose()
    sync_engine.dispose()


class NoMessage(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")


class NotAText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class NoRepr(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class NoAttributes(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class NoTraceback(Exception):
    @property
    def __traceback__(self) -> Any:
        raise RuntimeError("no traceback")

    __traceback__ = __traceback__.setter(lambda _self, _value: None)


class Nul(Exception): ...


Nul.__qualname__ = "N\0l"

ERRORS = [
    *(NoMessage(), NotAText(), NoRepr(), Exits(), NoAttributes(), NoTraceback(), Nul("a"), KeyError(NoMessage())),
    *(GeneratorExit(), SystemExit(2), KeyboardInterrupt(), StopIteration(), BaseException(), RecursionError()),
]


async def run_all(app: workrow.App, conn: Any, jobs: list[workrow.Job[Any]]) -> list[dict[str, Any]]:
    async with asyncio.timeout(15):
        await run(app, concurrency=2)
    return [row(conn, job) for job in jobs]


@pytest.mark.parametrize("kind", ["async", "limited", "sync", "transactional", "transactional sync"])
async def test_an_exception_that_cannot_be_looked_at(open_app: workrow.App, conn: Any, kind: str) -> None:
    if kind in ("async", "limited"):

        @open_app.task(name="bad", time_limit=5 if kind == "limited" else None)
        async def bad(n: int) -> None:
            raise ERRORS[n]

    elif kind == "sync":

        @open_app.task(name="bad")
        def bad(n: int) -> None:
            raise ERRORS[n]

    elif kind == "transactional":

        @open_app.task(name="bad", transactional=True)
        async def bad(session: AsyncSession, n: int) -> None:
            raise ERRORS[n]

    else:

        @open_app.task(name="bad", transactional=True)
        def bad(session: Session, n: int) -> None:
            raise ERRORS[n]

    jobs = await bad.enqueue_many(None, [{"n": n} for n in range(len(ERRORS))])
    found = await run_all(open_app, conn, jobs)
    assert [(each["status"], each["attempts"], len(each["errors"])) for each in found] == [("failed", 1, 1)] * len(jobs)
    kinds = [each["errors"][0]["type"].rpartition(".")[2] for each in found]
    if "transactional" not in kind:  # there SQLAlchemy looks at it first
        assert kinds[4] == "NoAttributes"
    del kinds[4]
    assert kinds[:7] == ["NoMessage", "NotAText", "NoRepr", "Exits", "NoTraceback", "N\\x00l", "KeyError"]
    assert found[0]["errors"][0]["message"] == "(its message fails: RuntimeError)"


def fails(_: int) -> float:
    raise RuntimeError("no time")


def exits(_: int) -> float:
    raise SystemExit(7)


WAITS: list[Any] = [fails, exits, *((lambda n, value=value: value) for value in ("x", float("nan"), -1, 1e18, None))]


class Strategy(procrastinate.BaseRetryStrategy):
    def __init__(self, does: Any) -> None:
        self.does = does

    def get_retry_decision(self, **_: Any) -> Any:
        if isinstance(self.does, BaseException):
            raise self.does
        return self.does


DECISIONS: list[Any] = [
    *(SystemExit(5), KeyboardInterrupt(), GeneratorExit(), RuntimeError("no decision"), NoMessage(), "soon"),
    *(procrastinate.RetryDecision(queue="a\0"), procrastinate.RetryDecision(priority=2**40)),
    procrastinate.RetryDecision(lock="\ud800"),
]


async def test_a_broken_retry_policy_fails_the_job_and_is_named(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    policies = [*(workrow.Retry(wait=wait) for wait in WAITS), *map(Strategy, DECISIONS)]
    jobs = []
    for n, policy in enumerate(policies):

        @open_app.task(name=f"broken{n}", retry=policy)
        async def broken() -> None:
            raise ValueError("the task's own")

        jobs.append(await broken.enqueue(None))
    found = await run_all(open_app, conn, jobs)
    assert [(each["status"], each["attempts"], each["error"]) for each in found] == [
        ("failed", 1, "the task's own")
    ] * len(jobs)
    told = [each["errors"][0]["retry_error"] for each in found]
    assert told[:2] == ["RuntimeError: no time", "SystemExit: 7"]
    assert all("must be seconds, 0 or more, up to 100 years" in each for each in told[2:7])
    assert told[len(WAITS)] == "SystemExit: 5"
    assert "must be a RetryDecision" in told[len(WAITS) + 5]
    assert "its retry policy failed on ValueError" in caplog.text


async def test_a_result_that_cannot_be_looked_at_is_left_out(open_app: workrow.App, conn: Any) -> None:
    class Exploding(dict[str, Any]):
        def items(self) -> Any:
            raise SystemExit(4)

    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    results = [Exploding(a=1), deep, object(), (n for n in range(3)), "\0", "\ud800"]

    @open_app.task(name="result")
    async def result(n: int) -> Any:
        return results[n]

    jobs = await result.enqueue_many(None, [{"n": n} for n in range(len(results))])
    found = await run_all(open_app, conn, jobs)
    assert [each["status"] for each in found] == ["succeeded"] * len(results)


class TestConnectionOfItsOwn:
    async def test_a_task_that_loses_its_connection_is_slowed_down_and_quarantined(
        self, open_app: workrow.App, conn: Any
    ) -> None:
        starts: list[int] = []

        @open_app.task(name="suicide", transactional=True, retry=workrow.Retry(max_attempts=2, wait=0))
        async def suicide(session: AsyncSession) -> None:
            starts.append(1)
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        job = await suicide.enqueue(None)
        async with Running(open_app):
            for crash in range(1, 4):
                await until(lambda crash=crash: status(conn, job) != "doing" and len(starts) == crash)
                found = row(conn, job)
                if crash < 3:
                    assert (found["status"], found["crashes"], found["attempts"]) == ("todo", crash, 0)
                    later = "SELECT scheduled_at IS NOT NULL FROM procrastinate_jobs"
                    assert conn.execute(later).fetchone() == (True,)
                    conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 s'")
        assert (found["status"], found["crashes"], found["attempts"]) == ("failed", 3, 0)
        assert found["quarantine"].startswith("crashed 3 times, the last time: lost its connection: ")

    async def test_idle_in_the_transaction(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="idle", transactional=True)
        def idle(session: Session) -> None:
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
            with psycopg.connect(open_app.database_url) as other:
                other.execute("SELECT pg_sleep(0.2)")

        job = await idle.enqueue(None)
        async with Running(open_app):
            await until(lambda: row(conn, job)["crashes"] == 1)
        assert row(conn, job)["attempts"] == 0

    async def test_an_outage_for_all_counts_for_nobody(self, open_app: workrow.App, conn: Any) -> None:
        starts: list[int] = []

        @open_app.task(name="all", transactional=True)
        async def everybody(session: AsyncSession) -> None:
            starts.append(1)
            await session.execute(text("SELECT 1"))
            if len(starts) == 1:
                conn.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()
                       AND backend_type = 'client backend'"""
                )
                await session.execute(text("SELECT 1"))

        job = await everybody.enqueue(None)
        async with Running(open_app):
            await until(lambda: status(conn, job) == "succeeded")
        assert (row(conn, job)["crashes"], row(conn, job)["attempts"], len(starts)) == (0, 1, 2)


class TestQuarantineCountsNoAttempt:
    async def test_crashes_quarantine_and_release_leave_the_attempts(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="crash", retry=workrow.Retry(max_attempts=2, wait=0))
        async def crash() -> None:
            raise ValueError("a real attempt")

        job = await crash.enqueue(None)
        for _ in range(2):
            conn.execute("UPDATE procrastinate_jobs SET status = 'doing', claims = claims + 1")
            conn.execute("SELECT workrow.crash_job_v1(%s, true, 2, 'killed by SIGSEGV')", [job.id])
        assert (row(conn, job)["quarantine"] is not None, row(conn, job)["attempts"]) == (True, 0)
        assert conn.execute("SELECT workrow.release_job_v1(%s)", [job.id]).fetchone() == (job.id,)
        assert (status(conn, job), row(conn, job)["attempts"], row(conn, job)["crashes"]) == ("todo", 0, 0)
        await run(open_app)
        assert (status(conn, job), row(conn, job)["attempts"]) == ("failed", 2)

    async def test_nor_do_arguments_that_do_not_fit(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="strict")
        async def strict(user_id: int) -> None: ...

        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, args, attempts)
               VALUES ('default', 'strict', '{"usr": 1}', 1)"""
        )
        await run(open_app)
        assert conn.execute("SELECT attempts FROM workrow.quarantine").fetchone() == (1,)
