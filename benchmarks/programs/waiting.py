"""What the programs of the workload ``application`` share: when they begin, and what they wait for."""

import asyncio
import sys
import time

import psycopg

from jobs.settings import get_settings

LOOK = 0.02


def ready() -> float:
    """Say so; the time when it goes."""
    print("ready", flush=True)
    sys.stdin.readline()
    return time.time()


async def until(query: str) -> None:
    """Ask the database of DATABASE_URL until it is so."""
    async with await psycopg.AsyncConnection.connect(get_settings().database_url, autocommit=True) as connection:
        while (await (await connection.execute(query)).fetchone()) != (True,):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK)
