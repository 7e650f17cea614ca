"""How many connections a worker has, and what they say of themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

import workrow
from workrow.database import connector, session
from workrow.worker import connections

MINE = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
IDLE = ["workrow chores me", "workrow claiming me", "workrow heart me", "workrow listening me"]


def names(conn: psycopg.Connection[Any]) -> list[str]:
    return sorted(name for (name,) in conn.execute(MINE).fetchall())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def working(app: workrow.App) -> AsyncIterator[None]:
    worker = asyncio.create_task(app.run_worker_async(name="me", install_signal_handlers=False))
    yield
    worker.cancel()
    await asyncio.wait([worker])


async def test_an_idle_worker_has_four_connections(
    database_url: str, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(connector, "MAX_IDLE", 0.5)
    app = workrow.App(database_url)
    seen: list[str] = []

    @app.task(name="t", cron="0 0 1 1 *")
    async def t() -> None: ...

    @app.task(name="look", transactional=True)
    async def look(on: psycopg.AsyncConnection[Any]) -> None:
        seen.extend(
            name for (name,) in await (await on.execute("SELECT current_setting('application_name')")).fetchall()
        )

    async with app.open_async(), working(app):
        await until(lambda: names(conn) == IDLE)
        job = await look.enqueue(None)
        await job.result(timeout=60)
        # of the handle that waited: two, until it is idle for 10 s
        assert {"workrow results", "workrow listening for results"} <= set(names(conn)) - {*IDLE}
        await app.results.close_async()
        await until(lambda: names(conn) == IDLE)
    assert seen == ["workrow pool me"]


@pytest.mark.parametrize(
    ("given", "purpose", "name"),
    [
        ("", "claiming w", "workrow claiming w"),
        (f"?application_name={quote('my app')}", "heart w", "my app heart w"),
        ("", "claiming " + "\u00e9" * 80, "workrow claiming " + "?" * 46),
    ],
)
def test_a_name_within_what_the_server_keeps(
    given: str, purpose: str, name: str, conn: psycopg.Connection[Any]
) -> None:
    made = session.application_name(f"postgresql:///db{given}", purpose)
    assert made == name
    conn.execute("SELECT set_config('application_name', %s, false)", [made])
    assert conn.execute("SELECT current_setting('application_name')").fetchone() == (name,)
