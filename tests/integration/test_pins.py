"""What the database or the role sets for everybody changes nothing for connections of ours."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql

import workrow
from tests.integration.test_heart import Running, until
from workrow.cli import main
from workrow.database.session import pin
from workrow.maintenance.historian import Historian

SPAN = timedelta(hours=31)
WORDS = "Grüße, 你好"
ODD = {
    "statement_timeout": "50ms",
    "transaction_timeout": "50ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "100ms",
    "client_encoding": "LATIN1",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "array_nulls": "off",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "quote_all_identifiers": "on",
}
CASES = [*ODD.items(), ("client_encoding", "SQL_ASCII"), ("default_transaction_isolation", "repeatable read")]


def alter(conn: psycopg.Connection[Any], settings: dict[str, str]) -> None:
    """What every connection from now on begins with."""
    known = {name for (name,) in conn.execute("SELECT name FROM pg_settings").fetchall()}
    for name, value in settings.items():
        if name in known:  # transaction_timeout is new in version 17
            words = (sql.Identifier(conn.info.dbname), sql.Identifier(name), sql.Literal(value))
            conn.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(*words))


async def work(url: str, conn: psycopg.Connection[Any]) -> None:
    """Everything that a service and its worker do, and how it ends."""
    app = workrow.App(url)
    running = most = 0

    @app.task(name="plain", retry=workrow.Retry(max_attempts=2, wait=0))
    async def plain(ctx: workrow.JobContext, words: str) -> str:
        if ctx.job.attempts == 0 and ctx.job.id % 2:
            raise ValueError(words)
        return words

    @app.task(name="limited", limits=workrow.Limit(2))
    async def limited() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    @app.task(name="own", transactional=True)
    async def own(on: psycopg.AsyncConnection[Any]) -> None:
        await on.execute("SELECT pg_sleep(0.15)")
        await asyncio.sleep(0.15)
        await plain.enqueue(on, words=WORDS)

    @app.task(name="ticked", schedule=workrow.Schedule(every=timedelta(seconds=1), args={"words": WORDS}))
    async def ticked(words: str) -> str:
        return words

    app.task(name="slow", schedule=workrow.Schedule(every=SPAN, args={"words": WORDS}))(ticked.func)

    async with app.open_async():
        jobs = await plain.enqueue_many(None, [{"words": WORDS}] * 10)
        jobs += [await plain.enqueue(None, words=WORDS), await asyncio.to_thread(plain.delay, words=WORDS)]
        await limited.enqueue_many(None, [{}] * 10)
        await own.enqueue(None)
        async with Running(app, concurrency=10):
            assert [await job.result(timeout=20) for job in jobs] == [WORDS] * 12
            ended = "SELECT count(*) FROM workrow.history WHERE task_name = %s AND status = 'succeeded'"
            for task, count in (("limited", 10), ("own", 1), ("plain", 13), ("ticked", 1)):
                await until(lambda task=task, count=count: conn.execute(ended, [task]).fetchall()[0][0] >= count)  # type: ignore[misc]
            assert [each.every for each in await app.schedules.list_async()] == [SPAN, timedelta(seconds=1)]
            await Historian(app.connector, timedelta(days=1), app.declare_held_caps).run_once()
        # a pool's connections have been idle for longer than any bound
        await asyncio.sleep(0.15)
        assert await plain.enqueue(None, words=WORDS)
    assert most <= 2
    failed = conn.execute("SELECT id FROM workrow.history WHERE status <> 'succeeded'").fetchall()
    assert failed == []


def command(url: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["--database-url", url, *words])


@pytest.mark.usefixtures("all_of_unicode")
@pytest.mark.parametrize(("name", "value"), CASES)
async def test_work_goes_on_as_ever(
    database_url: str, conn: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    alter(conn, {name: value})
    await work(database_url, conn)
    assert "is away" not in caplog.text
    for words in (["status"], ["schedules", "list"], ["limits", "list"], ["schema", "status"]):
        told = await asyncio.to_thread(command, database_url, *words)
        assert told.exit_code == 0, told.output


async def test_all_of_them_at_once(database_url: str, conn: psycopg.Connection[Any]) -> None:
    alter(conn, ODD)
    await work(database_url, conn)


def test_nothing_of_ours_is_compiled(database_url: str, conn: psycopg.Connection[Any]) -> None:
    alter(conn, {"jit": "on", "jit_above_cost": "0"})
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute("SHOW jit").fetchall() == [("on",)]
        pin(connection)
        assert connection.execute("SHOW jit").fetchall() == [("off",)]
