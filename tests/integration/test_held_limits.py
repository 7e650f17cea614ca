"""What an open transaction of a service holds keeps no limited and no locked job but those that need it."""

import asyncio
import time
from collections import Counter
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_held import SECONDS, done, plain, service, slowest
from workrow import Limit

pytestmark = pytest.mark.timed

__all__ = ["plain", "service"]

HELD = [f"k{number:02}" for number in range(40)]
FREE = ["x", "y", "z"]
ROWS = {
    "buckets": "SELECT FROM workrow.limit_buckets WHERE key = ANY(%s) FOR UPDATE",
    "lines": "SELECT FROM workrow.lines WHERE split_part(buckets[1], '=', 2) = ANY(%s) FOR UPDATE",
    "slots": "SELECT FROM workrow.limit_slots WHERE split_part(bucket, '=', 2) = ANY(%s) FOR UPDATE",
    "jobs": "SELECT FROM procrastinate_jobs WHERE args ->> 'key' = ANY(%s) FOR UPDATE",
}
BLOCKED = "SELECT count(*) FROM workrow.lines WHERE blocked_on IS NOT NULL"


class Keyed:
    """A task with a slot for each key, and who is inside."""

    def __init__(self, app: workrow.App) -> None:
        self.app = app
        self.inside: Counter[str] = Counter()
        self.most = 0

        @app.task(name="keyed", limits=Limit(1, key="key"))
        async def keyed(key: str) -> None:
            self.inside[key] += 1
            self.most = max(self.most, *self.inside.values())
            await asyncio.sleep(0)
            self.inside[key] -= 1

        self.task = keyed

    async def put(self, keys: list[str]) -> list[int]:
        return [job.id for job in await self.task.enqueue_many(None, [{"key": key} for key in keys])]

    async def slowest(self, conn: Any, batches: int = 10) -> float:
        """Seconds from an enqueue to the last end of a job of each free key, in the worst of so many batches."""
        worst = 0.0
        for _ in range(batches):
            began = time.monotonic()
            ids = await self.put(FREE)
            await until(lambda ids=ids: done(conn, ids))  # type: ignore[misc]
            worst = max(worst, time.monotonic() - began)
        return worst


@pytest.mark.parametrize("what", ROWS)
async def test_limited_jobs_of_other_keys_go_on(
    what: str, plain: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    keyed = Keyed(plain)
    async with Running(plain, concurrency=50):
        ids = await keyed.put(HELD)
        await until(lambda: done(conn, ids))
        if what in ("lines", "jobs"):  # those that wait
            conn.execute("SELECT workrow.set_limit_v1('keyed/key', paused => true)")
            ids = await keyed.put(HELD)
            await until(lambda: conn.execute(BLOCKED).fetchone() == (len(HELD),))
        service.execute(ROWS[what], [HELD])
        if what in ("lines", "jobs"):
            conn.execute("SELECT workrow.set_limit_v1('keyed/key', paused => false)")
        else:
            ids = await keyed.put(HELD)
        assert await keyed.slowest(conn) < SECONDS
        assert await slowest(conn, plain, 5) < SECONDS
        assert not done(conn, ids) or what == "slots"
        service.rollback()
        await until(lambda: done(conn, ids), 5)
    assert keyed.most == 1


async def test_a_limit_that_is_changed_while_buckets_are_held_is_heeded_by_all(
    plain: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    keyed = Keyed(plain)
    async with Running(plain, concurrency=50):
        ids = await keyed.put([*HELD, *FREE])
        await until(lambda: done(conn, ids))
        conn.execute("SELECT workrow.set_limit_v1('keyed/key', paused => true)")
        held, free = await keyed.put(HELD), await keyed.put(FREE)
        await until(lambda: conn.execute(BLOCKED).fetchone() == (len(HELD) + len(FREE),))
        service.execute(ROWS["buckets"], [HELD])
        conn.execute("SELECT workrow.set_limit_v1('keyed/key', paused => false)")
        began = time.monotonic()
        await until(lambda: done(conn, free))
        assert time.monotonic() - began < SECONDS
        # what is left of the call is for what is held
        await until(lambda: conn.execute("SELECT count(*) FROM workrow.limit_calls").fetchone() == (len(HELD),))
        assert await slowest(conn, plain, 5) < SECONDS
        service.rollback()
        await until(lambda: done(conn, held), 3)
    assert conn.execute("SELECT count(*) FROM workrow.limit_calls").fetchone() == (0,)


async def test_a_limit_that_is_being_set_stops_no_claim(
    plain: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    keyed = Keyed(plain)
    service.execute(
        "INSERT INTO workrow.limit_rules (name, source, max_running) VALUES ('keyed/key', 'declared', 9)",
    )
    async with Running(plain, concurrency=50):
        assert await slowest(conn, plain, 5) < SECONDS
        assert await keyed.slowest(conn) < SECONDS
        service.rollback()
        rule = "SELECT max_running FROM workrow.limit_rules WHERE source = 'declared'"
        # the next look comes with the next job
        await keyed.slowest(conn, 1)
        await asyncio.sleep(1.1)
        await keyed.slowest(conn, 1)
        assert conn.execute(rule).fetchall() == [(1,)]


RUNNING = """INSERT INTO procrastinate_jobs (queue_name, task_name, lock, status)
             SELECT 'default', 'theirs', k, 'doing' FROM unnest(%s::text[]) AS k"""


@pytest.mark.parametrize("limited", [False, True])
async def test_locks_under_which_an_uncommitted_job_runs_are_passed(
    limited: bool, plain: workrow.App, conn: Any, service: psycopg.Connection
) -> None:
    options: dict[str, Any] = {"limits": Limit(50)} if limited else {}

    @plain.task(name="locked", **options)
    async def locked() -> None: ...

    async def put(locks: list[str]) -> list[int]:
        return [(await locked.options(lock=lock).enqueue(None)).id for lock in locks]

    service.execute(RUNNING, [HELD])
    async with Running(plain, concurrency=50):
        held = await put(HELD)
        for _ in range(5):
            began = time.monotonic()
            free = await put(FREE)
            await until(lambda free=free: done(conn, free))  # type: ignore[misc]
            # locks are tried one after the other; a line of which one is held, once a second
            assert time.monotonic() - began < (3 if limited else 2) * SECONDS
        assert await slowest(conn, plain, 5) < SECONDS
        service.rollback()
        await until(lambda: done(conn, held))
