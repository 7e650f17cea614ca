"""A transactional task whose job's row somebody else's open transaction holds."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_held import SECONDS, done, service, slowest
from tests.integration.test_transactional import WRITE, effects, written
from workrow.database.urls import libpq_url
from workrow.worker.running import transactions

pytestmark = pytest.mark.timed

__all__ = ["effects", "service"]


@pytest.fixture
async def open_app(database_url: str) -> AsyncIterator[workrow.App]:
    url = libpq_url(database_url)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    sync_engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    app = workrow.App(database_url, sessions=async_sessionmaker(engine), sync_sessions=sessionmaker(sync_engine))

    @app.task(name="plain")
    async def plain() -> None: ...

    async with app.open_async():
        yield app
    await engine.dispose()
    sync_engine.dispose()


class Runs:
    """A transactional task of each kind, which waits until it may go on."""

    def __init__(self, app: workrow.App) -> None:
        self.go = asyncio.Event()
        self.count = 0

        @app.task(name="async", transactional=True)
        async def in_async_session(session: AsyncSession) -> None:
            self.count += 1
            await session.execute(WRITE, {"job": 0, "what": "done"})
            await self.go.wait()

        @app.task(name="sync", transactional=True)
        def in_session(session: Session) -> None:
            self.count += 1
            session.execute(WRITE, {"job": 0, "what": "done"})
            asyncio.run_coroutine_threadsafe(self.go.wait(), loop).result()

        loop = asyncio.get_running_loop()
        self.tasks: dict[str, Any] = {"async": in_async_session, "sync": in_session}


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("patient", [True, False])
async def test_it_ends_when_the_row_is_free_and_its_effects_are_there_once(
    kind: str,
    patient: bool,
    open_app: workrow.App,
    conn: Any,
    service: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = Runs(open_app)
    if not patient:
        monkeypatch.setattr(transactions, "HELD_SECONDS", 0.2)
    async with Running(open_app, concurrency=20):
        ids = [(await runs.tasks[kind].enqueue(None)).id for _ in range(5)]
        await until(lambda: runs.count == 5)
        service.execute("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = ANY(%s)", [ids])
        runs.go.set()
        assert await slowest(conn, open_app) < SECONDS
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        assert conn.execute(waits).fetchone() == (0,)
        assert not done(conn, ids)
        assert written(conn) == []
        if not patient:
            await until(lambda: caplog.text.count("it goes back to the queue") == 5)
        service.rollback()
        await until(lambda: done(conn, ids))
    assert written(conn) == ["done"] * 5
    assert runs.count == (5 if patient else 10)
    found = conn.execute("SELECT status, attempts, crashes, errors FROM workrow.history WHERE id = ANY(%s)", [ids])
    assert found.fetchall() == [("succeeded", 1, 0, None)] * 5
