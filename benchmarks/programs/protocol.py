"""What every client program does, whatever the peer. Only the standard library.

``PROGRAM single|many|bulk COUNT BATCH``: enqueue COUNT no-op jobs, one transaction for each BATCH of them.
``PROGRAM ping COUNT RATE``: enqueue COUNT jobs that report their latency, RATE a second.

It connects, warms up, prints "ready", waits for a line on its standard input, works, and prints what it did as JSON.
"""

import asyncio
import json
import sys
import time
from typing import Protocol


class Client(Protocol):
    """One connection of a peer. ``task`` is "noop" or "noop_sync"."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def warm_up(self) -> None:
        """Run a harmless statement, so that imports, connection and caches are there."""

    async def single(self, task: str) -> None:
        """One job in a transaction of its own."""

    async def many(self, task: str, count: int) -> None:
        """The peer's call for a list of jobs."""

    async def bulk(self, task: str, count: int) -> None:
        """The peer's fastest way for very many jobs (COPY, where it has that)."""

    async def ping(self) -> None:
        """One job with the time as its argument."""


def main(client: Client) -> None:
    """Run the program."""
    asyncio.run(_main(client, *sys.argv[1:]))


async def _main(client: Client, mode: str, count: str, second: str, task: str = "noop") -> None:
    await client.open()
    try:
        await client.warm_up()
        print("ready", flush=True)
        if not await asyncio.to_thread(sys.stdin.readline):
            return
        begun = time.time()
        if mode == "ping":
            await _pings(client, int(count), float(second))
        else:
            await _enqueue(client, mode, int(count), int(second), task)
        print(json.dumps({"begun": begun, "ended": time.time(), "count": int(count)}), flush=True)
    finally:
        await client.close()


async def _enqueue(client: Client, mode: str, count: int, batch: int, task: str) -> None:
    if mode == "single":
        for _ in range(count):
            await client.single(task)
        return
    insert = client.many if mode == "many" else client.bulk
    for start in range(0, count, batch):
        await insert(task, min(batch, count - start))


async def _pings(client: Client, count: int, rate: float) -> None:
    start = time.perf_counter()
    for turn in range(count):
        await asyncio.sleep(max(0.0, start + turn / rate - time.perf_counter()))
        await client.ping()
