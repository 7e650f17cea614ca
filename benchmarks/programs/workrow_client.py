"""Our client: ``task.enqueue(None)``, ``enqueue_many`` and the COPY path."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from benchmarks import tasks
from benchmarks.programs import protocol

TENANTS = 1_000


class Client:
    async def open(self) -> None:
        self._tasks: dict[str, Any] = {
            task.name: task
            for task in (
                *(tasks.noop, tasks.noop_sync, tasks.noop_process, tasks.noop_kept, tasks.keyed, tasks.limited),
                *(tasks.unique, tasks.rated),
            )
        }
        self._number = itertools.count()
        self._opened = tasks.app.open_async()
        await self._opened.__aenter__()
        self._copying = await psycopg.AsyncConnection.connect(tasks.app.database_url, autocommit=True)

    async def close(self) -> None:
        await self._copying.close()
        await self._opened.__aexit__(None, None, None)

    async def warm_up(self) -> None:
        await tasks.app.connector.execute_query_all_async("SELECT 1 AS one")

    async def single(self, task: str) -> None:
        await self._tasks[task].enqueue(None)

    async def many(self, task: str, count: int) -> None:
        await self._tasks[task].enqueue_many(None, list(self._rows(task, count)))

    async def bulk(self, task: str, count: int) -> None:
        copy = getattr(self._tasks[task], "enqueue_copy", None)
        if copy is None:
            await self.many(task, count)
            return
        async with self._copying.transaction():
            await copy(self._copying, self._rows(task, count))

    def _rows(self, task: str, count: int) -> Iterator[dict[str, int]]:
        if task in ("keyed", "limited"):
            return ({"tenant": n % TENANTS} for n in range(count))
        if task == "unique":
            return ({"tenant": next(self._number)} for _ in range(count))
        return ({} for _ in range(count))

    async def ping(self) -> None:
        await tasks.ping.enqueue(None, sent=time.time())


if __name__ == "__main__":
    protocol.main(Client())
