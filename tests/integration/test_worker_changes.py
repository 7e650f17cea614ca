"""A worker gets other queues and slots while it runs."""

import asyncio
import threading
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from workrow.errors import ConfigurationError, OptionError


def told(conn: psycopg.Connection[Any]) -> Any:
    return conn.execute("SELECT queues, concurrency FROM workrow.workers").fetchone()


@pytest.mark.parametrize("listen", [True, False])
async def test_queues(open_app: workrow.App, conn: psycopg.Connection[Any], listen: bool) -> None:
    ran: list[str] = []

    @open_app.task(name="note")
    async def note(word: str) -> None:
        ran.append(word)

    async def enqueue(queue: str, word: str) -> None:
        await note.configure(queue=queue).defer_async(word=word)

    options: dict[str, Any] = {"listen_notify": listen, "fetch_job_polling_interval": 0.5}
    async with Running(open_app, queues=["a"], concurrency=1, **options):
        await enqueue("b", "b")
        await enqueue("a", "a")
        await until(lambda: ran == ["a"])
        (worker,) = open_app.running_workers()
        await worker.change(queues=["a", "b"])
        await until(lambda: ran == ["a", "b"])
        assert told(conn) == (["a", "b"], 1)
        # asleep by now: it is found by polling at the latest
        await asyncio.sleep(0.6)
        await enqueue("b", "b again")
        await until(lambda: ran == ["a", "b", "b again"])
        await worker.change(queues=["b"])
        await asyncio.sleep(0.2)
        await enqueue("a", "left")
        await enqueue("b", "taken")
        await until(lambda: "taken" in ran)
        await worker.change(queues=[])
        await asyncio.sleep(0.2)
        await enqueue("b", "left, too")
        await asyncio.sleep(0.8)
        assert ran == ["a", "b", "b again", "taken"]


async def test_slots(open_app: workrow.App, conn: psycopg.Connection[Any]) -> None:
    running, most, together = 0, 0, 0
    ended, lock = threading.Event(), threading.Lock()

    @open_app.task(name="hold")
    def hold() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        ended.wait(10)
        with lock:
            running -= 1

    async with Running(open_app, queues=["default"], concurrency=1):
        for _ in range(9):
            await hold.defer_async()
        await until(lambda: running == 1)
        (worker,) = open_app.running_workers()
        await worker.change(concurrency=3)
        await until(lambda: running == 3)
        assert told(conn) == (["default"], 3)
        await worker.change(concurrency=2)
        ended.set()
        await until(lambda: not conn.execute("SELECT FROM procrastinate_jobs WHERE status = 'todo'").fetchall())
        assert most == 3
        ended.clear()
        for _ in range(4):
            await hold.defer_async()
        await until(lambda: running == 2)
        await asyncio.sleep(0.3)
        together = running
        ended.set()
    assert together == 2


async def test_what_cannot_change(open_app: workrow.App) -> None:
    async with Running(open_app):
        await until(lambda: open_app.running_workers())
        with pytest.raises(ConfigurationError, match="of all queues"):
            await open_app.running_workers()[0].change(concurrency=2)
    async with Running(open_app, queues=["a"]):
        await until(lambda: open_app.running_workers())
        with pytest.raises(OptionError, match="concurrency"):
            await open_app.running_workers()[0].change(concurrency=0)
