"""Stock procrastinate's app, and with arguments its client."""

import os
import time

import marks
import procrastinate
import protocol

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["DATABASE_URL"], min_size=4, max_size=20)
)


@app.task(name="noop", queue="bench")
async def noop() -> None:
    marks.tick()


@app.task(name="noop_sync", queue="bench")
def noop_sync() -> None:
    marks.tick()


@app.task(name="ping", queue="bench")
async def ping(sent: float) -> None:
    marks.ping(sent)


class Client:
    async def open(self) -> None:
        self._tasks = {"noop": noop, "noop_sync": noop_sync}
        await app.open_async()

    async def close(self) -> None:
        await app.close_async()

    async def warm_up(self) -> None:
        await app.connector.execute_query_all_async("SELECT 1 AS one")

    async def single(self, task: str) -> None:
        await self._tasks[task].defer_async()

    async def many(self, task: str, count: int) -> None:
        await self._tasks[task].batch_defer_async(*[{}] * count)

    bulk = many

    async def ping(self) -> None:
        await ping.defer_async(sent=time.time())


if __name__ == "__main__":
    protocol.main(Client())
