"""A server whose queue of notifications is full, because somebody in another database listens and does not read."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import workrow
from tests.chaos.cluster import Cluster, Failed, url_of
from tests.integration.test_heart import Running, heard, sleepers, until
from workrow import schema
from workrow.maintenance.notify_queue import NotifyQueue

PAGES = 64
Full = Callable[[], AbstractContextManager[psycopg.Connection]]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server with the shortest queue of notifications that there is, half a megabyte."""
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="workrow-notify-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = Cluster(directory, directory, settings={"max_notify_queue_pages": PAGES})
        stack.callback(cluster.destroy)
        try:
            cluster.start()
        except Failed:
            if "max_notify_queue_pages" in cluster.primary.log.read_text():
                pytest.skip("PostgreSQL before 17 has a queue of 8 GB, whatever one says")
            raise
        schema.upgrade(cluster.url)
        yield cluster


@pytest.fixture
def conn(server: Cluster) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        connection.execute("DELETE FROM procrastinate_workers")
        connection.execute("DELETE FROM workrow.sleepers")
        yield connection


@pytest.fixture
async def listening(server: Cluster) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        await connection.execute('LISTEN "procrastinate_any_queue_v1"')
        yield connection


@pytest.fixture
def full(server: Cluster) -> Full:
    """Fills the queue; it gives the session that keeps it so until it ends."""

    @contextmanager
    def fill() -> Iterator[psycopg.Connection]:
        other = url_of(server.primary.port, "postgres")
        with (
            psycopg.connect(other, application_name="sleepy") as reader,
            psycopg.connect(other, autocommit=True) as fast,
        ):
            reader.execute("LISTEN anything")
            reader.commit()
            reader.execute("SELECT 'its transaction stays open'")
            with contextlib.suppress(psycopg.errors.ProgramLimitExceeded):
                for n in range(2 * PAGES):
                    fast.execute("SELECT pg_notify('anything', %s)", [f"{n:07000}"])
            yield reader

    return fill


def used(conn: psycopg.Connection) -> float:
    ((used,),) = conn.execute("SELECT used FROM workrow.notifications").fetchall()
    return float(used)


def insert(conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('q', 't', '{}')")


async def test_an_enqueue_is_not_refused_and_the_next_one_afterwards_is_told(
    conn: psycopg.Connection, full: Full, listening: Any
) -> None:
    conn.execute("INSERT INTO workrow.sleepers (worker_id) VALUES (1)")
    insert(conn)
    assert await heard(listening) == ["procrastinate_any_queue_v1"]
    with full() as reader:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            conn.execute("NOTIFY workrow_ended")
        insert(conn)
        assert await heard(listening) == []
        reader.rollback()
        # what it has read is dropped by whoever asks, and else by nobody
        insert(conn)
        assert await heard(listening) == ["procrastinate_any_queue_v1"]
        assert used(conn) < 0.1


async def test_nothing_else_of_ours_is_refused(conn: psycopg.Connection, server: Cluster, full: Full) -> None:
    app = workrow.App(server.url)
    started, go = asyncio.Event(), asyncio.Event()

    @app.task(name="t")
    async def t() -> None:
        started.set()
        await go.wait()

    async with app.open_async():
        # as a stock worker, which is notified of everything
        conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        conn.execute("INSERT INTO workrow.waiters VALUES (gen_random_uuid(), now() + INTERVAL '1 hour')")
        with full():
            await app.schedules.create_async("s", t, every=timedelta(hours=1))
            await app.schedules.update_async("s", every=timedelta(hours=2))
            await app.schedules.pause_async("s")
            await app.schedules.resume_async("s")
            job = await t.enqueue(None)
            async with Running(app, listen_notify=False):
                await asyncio.wait_for(started.wait(), 10)
                conn.execute("SELECT procrastinate_cancel_job_v1(%s, true, false)", [job.id])
                go.set()
                await until(lambda: not conn.execute("SELECT FROM procrastinate_jobs").fetchall())


async def test_workers_poll_and_say_so_until_there_is_room(
    conn: psycopg.Connection, server: Cluster, full: Full, caplog: pytest.LogCaptureFixture
) -> None:
    app = workrow.App(server.url)

    @app.task(name="t")
    async def t() -> None: ...

    def done() -> bool:
        return not conn.execute("SELECT FROM procrastinate_jobs").fetchall()

    async with app.open_async(), Running(app, fetch_job_polling_interval=3600):
        await until(lambda: sleepers(conn) and app._running)
        (worker,) = app._running
        await until(lambda: worker._notifications._listens)
        watch: NotifyQueue = worker._notify_queue
        with full() as reader:
            await watch.run_once()
            assert "100% full: nobody is notified, workers poll" in worker.warnings()[0]
            assert f"pid {reader.info.backend_pid} (sleepy) on postgres, idle in transaction" in worker.warnings()[0]
            assert worker.problems() == []
            began = time.monotonic()
            await t.enqueue(None)
            await until(done)
            assert time.monotonic() - began < 2
        await watch.run_once()
        assert worker.warnings() == []
        assert [lane.deaf for lane in worker._lanes] == [False]
        await t.enqueue(None)
        await until(done)
    said = [record.message for record in caplog.records if "notifications" in record.message]
    assert len(said) == 2, said
