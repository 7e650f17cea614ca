"""Somebody locks the tables as a whole, as an upgrade does: a worker waits, whatever it is at, and goes on."""

import asyncio
import logging
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_held import done
from workrow.database.held import PATIENCE_MS

pytestmark = pytest.mark.timed

TABLES = "procrastinate_jobs, procrastinate_workers, workrow.history, workrow.flows, workrow.queue_names"
HELD_SECONDS = 4 * PATIENCE_MS / 1000
"""So that each statement is refused more than once."""


@pytest.mark.parametrize("moment", ["it starts", "jobs end", "it starts and ends"])
async def test_a_worker_goes_on_after_the_tables_were_locked(
    moment: str, database_url: str, open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    go = asyncio.Event()
    started: list[int] = []

    @open_app.task(name="plain")
    async def plain(n: int) -> None:
        started.append(n)
        await go.wait()

    caplog.set_level(logging.INFO, "workrow")
    ids = [job.id for job in await plain.enqueue_many(None, [{"n": n} for n in range(5)])]

    async def hold() -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as user:
            await user.execute(f"LOCK TABLE {TABLES} IN ACCESS EXCLUSIVE MODE".encode())
            go.set()
            await asyncio.sleep(HELD_SECONDS)

    if moment == "jobs end":
        async with Running(open_app, concurrency=10):
            await until(lambda: len(started) == 5)
            await hold()
            await until(lambda: done(conn, ids))
    elif moment == "it starts":
        holding = asyncio.create_task(hold())
        await go.wait()
        async with Running(open_app, concurrency=10):
            await holding
            await until(lambda: done(conn, ids))
    else:
        holding = asyncio.create_task(hold())
        await go.wait()
        await open_app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=10)
        await holding
        assert done(conn, ids)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert sorted(started) == list(range(5))


async def test_nodes_that_are_held_keep_no_other_job_and_no_other_workflow(
    database_url: str, open_app: workrow.App, conn: Any
) -> None:
    go, started = asyncio.Event(), 0

    @open_app.task(name="part")
    async def part() -> None:
        nonlocal started
        started += 1
        await go.wait()

    held = await workrow.chain(part.si(), part.si()).enqueue(None)
    free = await workrow.chain(part.si(), part.si()).enqueue(None)
    plain = await part.enqueue(None)
    async with (
        Running(open_app, concurrency=10),
        await psycopg.AsyncConnection.connect(database_url) as user,
    ):
        await until(lambda: started == 3)
        await user.execute("SELECT FROM workrow.flow_nodes WHERE flow_id = %s FOR UPDATE", [held.id])
        go.set()  # their ends are written together
        await plain.result(timeout=10)
        await free.result(timeout=10)
        assert (await held.status()).done == 0
        await user.rollback()
        await held.result(timeout=10)
