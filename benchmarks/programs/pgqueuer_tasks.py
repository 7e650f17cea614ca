"""pgqueuer: ``prepare``, ``worker BATCH [sync]``, or with other arguments its client."""

import asyncio
import os
import sys
import time

import asyncpg
import marks
import protocol
import uvloop
from pgqueuer import AsyncpgDriver, PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries


async def connect() -> asyncpg.Connection:
    return await asyncpg.connect(os.environ["DATABASE_URL"])


async def prepare() -> None:
    connection = await connect()
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


async def work(batch: int) -> None:
    queuer = PgQueuer(AsyncpgDriver(await connect()))

    @queuer.entrypoint("noop")
    async def noop(job: Job) -> None:
        marks.tick()

    @queuer.entrypoint("noop_sync")
    async def noop_sync(job: Job) -> None:
        await asyncio.to_thread(marks.tick)

    @queuer.entrypoint("ping")
    async def ping(job: Job) -> None:
        marks.ping(float(job.payload or b"0"))

    await queuer.run(batch_size=batch)


class Client:
    async def open(self) -> None:
        self._connection = await connect()
        self._queries = Queries(AsyncpgDriver(self._connection))

    async def close(self) -> None:
        await self._connection.close()

    async def warm_up(self) -> None:
        await self._connection.execute("SELECT 1")

    async def single(self, task: str) -> None:
        await self._queries.enqueue(task, None)

    async def many(self, task: str, count: int) -> None:
        await self._queries.enqueue([task] * count, [None] * count, [0] * count)

    bulk = many

    async def ping(self) -> None:
        await self._queries.enqueue("ping", str(time.time()).encode())


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    if sys.argv[1] == "prepare":
        asyncio.run(prepare())
    elif sys.argv[1] == "worker":
        asyncio.run(work(int(sys.argv[2])))
    else:
        protocol.main(Client())
