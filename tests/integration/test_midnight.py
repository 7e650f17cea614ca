"""The day's partition is made while jobs end, again and again, as if it were always midnight."""

import asyncio
import os
import threading
import time
from typing import Any

import psycopg

import workrow
from tests.integration.test_heart import Running, until

RATE = int(os.environ.get("MIDNIGHT_RATE", "0"))
"""Ends a second that the machine has to reach meanwhile, for a quiet one; 0: as many as come."""
JOBS = max(8000, 10 * RATE)
BATCH = max(500, RATE // 2)
FEW = "SELECT count(*) < %s FROM procrastinate_jobs"
MIDNIGHTS = 4


class Midnight(threading.Thread):
    """Takes the partition of today away, so that ends go to the default one, and has it made again under load."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.over, self.passed, self.moved = url, threading.Event(), 0, 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                while not self.over.is_set():
                    self._pass(connection)
        except Exception as error:
            self.error = error

    def _pass(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute("SET lock_timeout = '50ms'")
        try:
            with connection.transaction():
                ((name,),) = connection.execute(
                    "SELECT 'history_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"
                ).fetchall()
                connection.execute(f"ALTER TABLE workrow.history DETACH PARTITION workrow.{name}".encode())
                connection.execute(f"ALTER TABLE workrow.{name} RENAME TO gone_{self.passed}".encode())
        except psycopg.errors.LockNotAvailable:
            return
        self.over.wait(0.05)  # so long ends go to the default partition
        there = False
        while not there:  # the worker may make it, too
            connection.execute("SELECT workrow.extend_history_v1(0)")
            there = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"workrow.{name}"]).fetchall()[0][0]
        self.passed += 1
        self.over.wait(0.5)  # what has met this midnight is not to meet the next


async def test_every_end_is_kept_as_it_was(
    open_app: workrow.App, conn: psycopg.Connection[Any], database_url: str
) -> None:
    @open_app.task(name="plain")
    async def plain(n: int) -> int:
        return n

    @open_app.task(name="own", transactional=True)
    async def own(on: psycopg.AsyncConnection[Any], n: int) -> int:
        return n

    midnight = Midnight(database_url)
    async with Running(open_app, concurrency=50):
        midnight.start()
        put, began = 0, time.monotonic()
        while put < JOBS or midnight.passed < MIDNIGHTS:
            await plain.enqueue_many(None, [{"n": n} for n in range(BATCH)])
            await own.enqueue_many(None, [{"n": n} for n in range(5)])
            put += BATCH + 5
            await until(lambda: conn.execute(FEW, [BATCH]).fetchall()[0][0], 60)
            assert midnight.error is None
        midnight.over.set()
        await asyncio.to_thread(midnight.join)
        await until(lambda: conn.execute("SELECT count(*) = 0 FROM procrastinate_jobs").fetchall()[0][0], 60)
        reached = put / (time.monotonic() - began)
    assert midnight.error is None
    tables = ["history", *(f"gone_{n}" for n in range(midnight.passed))]
    rows = " UNION ALL ".join(
        f"SELECT id, task_name, status, result, args, errors FROM workrow.{table}" for table in tables
    )
    assert (
        conn.execute(
            f"SELECT task_name, status, errors FROM ({rows}) AS ended WHERE errors IS NOT NULL".encode()
        ).fetchall()
        == []
    )
    found = conn.execute(
        f"""SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE status = 'succeeded'),
               count(*) FILTER (WHERE result = args -> 'n'), count(errors) FROM ({rows}) AS ended""".encode()
    ).fetchall()
    assert found == [(put, put, put, put, 0)]
    assert conn.execute("SELECT count(*) FROM workrow.history_default").fetchall() == [(0,)]
    assert reached >= RATE
