"""Every table and unique index of ours, and an open transaction that holds rows or keys of it: everybody else goes on.

The matrix comes from the catalogue: a new table, or a new unique index, is in it by itself.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_rescue import register

pytestmark = pytest.mark.timed

SECONDS = float(os.environ.get("HELD_SECONDS", "2.5"))
"""How late an end may be while others' transactions are open: who waits for one of these waits until the test ends. An
idle worker whose wake-up is held looks every 2 s; nearly all ends take less than 1 s."""
TICK_SECONDS = 2.0
"""From one tick of a schedule of every second to the next."""
SHARE = float(os.environ.get("HELD_SHARE", "0.5"))
"""Of the undisturbed rate that others keep. What waits for a lock halves it at least; a machine that others use may
keep no 0.9, a quiet one does."""
BURSTS, BURST = 5, 200
SHARDS = 12
"""So many tests share the cells, seven seconds each."""
LEASE = 2.0
TRIES = 6
"""A rate is also that of the machine, which others use."""

EXEMPT = {
    "workrow.schema_version": "written by migrations",
    "workrow.installed_objects": "written by migrations",
    "procrastinate_events": "nothing of ours writes it",
    "procrastinate_periodic_defers": "written by procrastinate's own periodic tasks",
    "workrow.waiters": "written by who waits for results, and not by workers",
    "workrow.limit_calls": "rows of an instant: the end of a limited job writes one, the next claim deletes it",
    "workrow.line_arrivals": "rows of an instant: an enqueue writes one, the next claim deletes it",
    "workrow.held_rows": "rows that are there while something is held: test_held.py",
    "workrow.throttles": "written by enqueues, which may wait; workers drop what is over: test_held_upkeep.py",
    "workrow.granted_roles": "written by migrations and by who grants",
    "workrow.hidden_arguments": "rows are only added, and have no key that a second writer could wait for",
    "workrow.limit_holds": "rows that are there while a limit is held back",
    "workrow.job_steps": "rows of jobs that ask for steps: test_steps_faults.py",
    "workrow.job_signals": "rows of jobs that are signalled: test_steps_faults.py",
    "workrow.celery_results": "rows of the Celery door: tests/celery/test_worker.py",
    "workrow.celery_chords": "rows of the Celery door: tests/celery/test_worker.py",
    "workrow.celery_parts": "rows of the Celery door, which are only added, and deleted by one",
    "workrow.celery_groups": "written by who sends, and not by workers",
    "workrow.celery_bridge_dials": "written by an operator's command, and not by workers",
    "workrow.celery_bridge_switch": "written by an operator's command, and not by workers",
    "workrow.celery_bridge_moves": "written by who sends; a worker deletes those that nobody holds",
    "workrow.celery_bridge_shadows": "written by jobs that compare, each its own row",
    "workrow.celery_beat": "written by beat, and not by workers: tests/celery/test_beat.py",
    "workrow.celery_commands": "written by who tells workers something; a worker deletes those that nobody holds",
    "workrow.celery_untold": "written by who revokes; a worker deletes those that nobody holds",
    "workrow.celery_replies": "rows are only added, each by one worker; a worker deletes those that nobody holds",
    "workrow.celery_entries": "written by who brings entries, and by beat: tests/celery/test_beat_stored.py",
    "workrow.celery_revoked": "rows are only added, and have no key; a worker deletes those that nobody holds",
}


class Cell(NamedTuple):
    """One open transaction: what it does to which rows.

    ``index``: the name of the unique index whose keys it inserts; None: it locks or deletes rows.
    """

    table: str
    how: str
    index: str | None = None


TABLES = """
    SELECT CAST(CAST(oid AS regclass) AS text)
    FROM pg_class
    WHERE
        relkind IN ('r', 'p') AND NOT relispartition
        AND (relnamespace = CAST('workrow' AS regnamespace) OR relname LIKE 'procrastinate%')
"""
KEYS = """
    SELECT CAST(indrelid AS regclass)::text, CAST(indexrelid AS regclass)::text
    FROM pg_index
    WHERE
        indisunique AND CAST(indrelid AS regclass)::text = ANY(%s)
        -- numbers of a sequence are written once
        AND NOT EXISTS (
            SELECT FROM pg_attribute AS part
            WHERE part.attrelid = indrelid AND part.attnum = ANY(indkey) AND part.attname IN ('id', 'worker_id')
        )
"""


def cells(conn: Any) -> list[Cell]:
    tables = {table for (table,) in conn.execute(TABLES)} - set(EXEMPT)
    rows = [Cell(table, how) for table in sorted(tables) for how in ("lock", "delete")]
    return rows + [Cell(table, "insert", index) for table, index in sorted(conn.execute(KEYS, [list(tables)]))]


class Traffic:
    """Victims, whose rows are to be held, and others, on one worker."""

    def __init__(self, app: workrow.App, conn: psycopg.Connection) -> None:
        self.app, self.conn = app, conn
        self.go = asyncio.Event()
        self.started = 0
        app.queue("victim", max_depth=1000)

        @app.task(name="plain", queue="others")
        async def plain() -> None: ...

        @app.task(name="tick", queue="others")
        async def tick() -> None: ...

        @app.task(name="victim.tick", queue="victim", queueing_lock="victim-tick")
        async def victim_tick() -> None: ...

        @app.task(name="victim.once", queue="victim")
        async def once(n: int) -> None: ...

        @app.task(name="victim.locked", queue="victim", lock="victim")
        async def locked() -> None:
            await self._wait()

        @app.task(name="victim.limited", queue="victim", limits=workrow.Limit(2, key="tenant"))
        async def limited(tenant: str) -> None:
            await self._wait()

        @app.task(name="victim.told", queue="victim")
        async def told(failure: workrow.Failure) -> None: ...

        @app.task(name="victim.retried", queue="victim", retry=workrow.Retry(max_attempts=2, wait=0), on_failure=told)
        async def retried(ctx: workrow.JobContext) -> None:
            await self._wait()
            if ctx.attempt == 1:
                raise ValueError

        @app.task(name="orphan", queue="others")
        async def orphan() -> None:
            await self._wait()

        @app.task(name="orphan.limited", queue="others", limits=workrow.Limit(1))
        async def orphan_limited() -> None:
            await self._wait()

        self.plain, self.once, self.locked, self.limited, self.retried = plain, once, locked, limited, retried
        self.victim_tick, self.tick = victim_tick, tick
        self.orphan, self.orphan_limited = orphan, orphan_limited

    async def _wait(self) -> None:
        self.started += 1
        await self.go.wait()

    def rows(self, query: str) -> list[Any]:
        return self.conn.execute(query.encode()).fetchall()

    @contextlib.asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """A worker runs, one victim of each kind does, and others of each wait in a queue that is paused."""
        app, conn = self.app, self.conn
        self.go.clear()
        self.started = 0
        tables = {table for (table,) in conn.execute(TABLES)} - {
            table for table, why in EXEMPT.items() if "migr" in why
        }
        for table in sorted(tables, key=lambda name: "workers" in name):
            conn.execute(f"DELETE FROM {table}".encode())
        async with Running(app, concurrency=20), self._let_go():
            await until(lambda: self.rows("SELECT FROM workrow.sleepers"))
            ended = await self.once.enqueue(None, 0)
            await self.locked.enqueue(None)
            await self.limited.enqueue(None, "victim")
            await self.retried.options(queueing_lock="victim").enqueue(None)
            await workrow.chain(self.retried.si(), self.once.si(9)).enqueue(None)
            await self.orphan.enqueue(None)
            await self.orphan.options(lock="orphan").enqueue(None)
            await self.orphan.options(queueing_lock="orphan").enqueue(None)
            await self.orphan_limited.enqueue(None)
            await until(lambda: self.started == 8)  # what is claimed and not started goes back at the pause
            await until(lambda: self.rows(f"SELECT FROM workrow.history WHERE id = {ended.id}"))
            await app.pause_queue_async("victim")
            for name, task in (("victim", self.victim_tick), ("others", self.tick)):
                await app.schedules.create_async(name, task, every=timedelta(seconds=1))
            await self.locked.enqueue_many(None, [{}] * 2)
            await self.limited.enqueue_many(None, [{"tenant": "victim"}] * 5)
            await self.once.options(unique=("n",)).enqueue(None, 1)
            await until(lambda: self.rows("SELECT FROM procrastinate_jobs WHERE task_name = 'victim.tick'"))
            yield

    @contextlib.asynccontextmanager
    async def _let_go(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.go.set()

    def orphans(self) -> list[Any]:
        """Jobs of a dead worker that nobody has rescued."""
        return self.rows("SELECT task, lock, queueing_lock FROM workrow.jobs WHERE task LIKE 'orphan%' AND crashes = 0")

    def die(self) -> None:
        """The orphans' worker is another one, which never beats again."""
        dead = register(self.conn, "dead", LEASE)
        self.conn.execute("UPDATE procrastinate_jobs SET worker_id = %s WHERE task_name LIKE 'orphan%%'", [dead])

    def start(self) -> None:
        """The victims' turn: those that run come to their ends, the others may be claimed."""
        self.go.set()
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
            self.conn.execute("SELECT workrow.resume_v1('queue', 'victim')")

    async def rate(self) -> float:
        """Jobs of others a second."""
        began = time.monotonic()
        for _ in range(BURSTS):
            await self._end_all(BURST)
        return BURSTS * BURST / (time.monotonic() - began)

    async def slowest(self) -> float:
        """Seconds from the enqueue to the end of one of the others' jobs, in the worst case."""
        worst = 0.0
        for _ in range(20):
            began = time.monotonic()
            await self._end_all(1)
            worst = max(worst, time.monotonic() - began)
        return worst

    async def _end_all(self, jobs: int) -> None:
        await self.plain.enqueue_many(None, [{}] * jobs)
        await until(lambda: not self.rows("SELECT FROM procrastinate_jobs WHERE task_name = 'plain'"), 30)

    def late(self) -> float:
        """Seconds since the last tick of the others' schedule."""
        ((late,),) = self.rows(
            "SELECT extract(EPOCH FROM clock_timestamp() - last_due) FROM workrow.timetable WHERE name = 'others'"
        )
        return float(late)

    def left(self) -> list[Any]:
        """The victims that have not ended."""
        return self.rows(
            """SELECT task_name, status FROM procrastinate_jobs
               WHERE task_name LIKE 'victim.%' AND task_name <> 'victim.tick'"""
        )


OWN = "procrastinate_workers"
"""A worker whose own row somebody holds cannot beat, and is not taken for dead: its jobs wait until the row is free."""


def hold(service: psycopg.Connection, cell: Cell) -> None:
    """Do it, and leave the transaction open."""
    where = "it::text LIKE '%victim%'"
    if not service.execute(f"SELECT FROM {cell.table} AS it WHERE {where} LIMIT 1".encode()).fetchall():
        where = "true"
    if cell.index is not None:
        done = insert_again(service, cell, where)
    elif cell.how == "lock":
        done = service.execute(f"SELECT FROM {cell.table} AS it WHERE {where} FOR UPDATE".encode())
    else:
        done = service.execute(f"DELETE FROM {cell.table} AS it WHERE {where}".encode())
    assert done.rowcount, f"{cell}: nothing is held; let the traffic write such a row, or say in EXEMPT why not"


def columns_of(service: psycopg.Connection, cell: Cell) -> str:
    """All but the number, which a sequence gives."""
    ((columns,),) = service.execute(
        """SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
           WHERE attrelid = CAST(%s AS regclass) AND attnum > 0 AND NOT attisdropped AND attname <> 'id'""",
        [cell.table],
    ).fetchall()
    return str(columns)


def insert_again(service: psycopg.Connection, cell: Cell, where: str) -> psycopg.Cursor:
    """Rows with the keys that the worker writes: those that it has written, which are deleted before."""
    columns = columns_of(service, cell)
    ((condition,),) = service.execute(
        "SELECT coalesce(pg_get_expr(indpred, indrelid), 'true') FROM pg_index WHERE indexrelid = CAST(%s AS regclass)",
        [cell.index],
    ).fetchall()
    rows = f"FROM {cell.table} AS it WHERE {where} AND {condition}"
    service.execute(f"CREATE TEMP TABLE copied AS SELECT * {rows}".encode())
    service.execute(f"DELETE {rows}".encode())
    service.commit()
    return service.execute(f"INSERT INTO {cell.table} ({columns}) SELECT {columns} FROM copied".encode())


async def wrong(traffic: Traffic, database_url: str, cell: Cell) -> list[str]:
    """What goes worse while this cell's transaction is open, and afterwards."""
    found = []
    async with traffic.ready():
        undisturbed = await traffic.rate()
        await until(lambda: traffic.rows("SELECT FROM workrow.sleepers"))  # it was busy
        rate = 0.0
        with psycopg.connect(database_url, options="-c lock_timeout=5s") as service:
            with contextlib.suppress(TimeoutError):  # then it says so
                await until(lambda: traffic.rows(f"SELECT FROM {cell.table} LIMIT 1"), 5)
            traffic.die()
            hold(service, cell)
            traffic.start()
            began = time.monotonic()
            if (slowest := await traffic.slowest()) > SECONDS:
                found.append(f"an end after {slowest:.2f} s")
            for _ in range(TRIES):
                rate = max(rate, await traffic.rate())
                if rate >= SHARE * undisturbed:
                    break
            await asyncio.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))
            if (late := traffic.late()) > TICK_SECONDS:
                found.append(f"no tick for {late:.2f} s")
            # who waits for the transaction waits until its end; on a busy machine two leases are too short
            left = max(0.0, began + 4 * LEASE - time.monotonic())
            try:
                await until(lambda: cell.table == OWN or not traffic.orphans(), left)
            except TimeoutError:
                found.append(f"not rescued after {time.monotonic() - began:.2f} s: {traffic.orphans()}")
            service.rollback()
            if cell.index is not None and cell.table != "procrastinate_jobs":
                # what was deleted to be inserted again
                columns = columns_of(service, cell)
                again = f"INSERT INTO {cell.table} ({columns}) SELECT {columns} FROM copied ON CONFLICT DO NOTHING"
                service.execute(again.encode())
                service.commit()
        traffic.start()
        if rate < SHARE * undisturbed and rate < SHARE * (now := await traffic.rate()):
            found.append(f"{rate:.0f} jobs/s instead of {undisturbed:.0f} before and {now:.0f} afterwards")
        try:
            await until(lambda: not traffic.left(), 10)
        except TimeoutError:
            found.append(f"afterwards there remain {traffic.left()}")
    return found


@pytest.fixture
async def traffic(database_url: str, conn: psycopg.Connection) -> AsyncIterator[Traffic]:
    conn.execute("SET lock_timeout = '300ms'")
    app = workrow.App(database_url, lease=LEASE)
    async with app.open_async():
        yield Traffic(app, conn)


def test_what_is_left_out_is_there(conn: psycopg.Connection) -> None:
    assert EXEMPT.keys() <= {table for (table,) in conn.execute(TABLES)}


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_the_others_go_on(shard: int, traffic: Traffic, database_url: str) -> None:
    found = {}
    for cell in cells(traffic.conn)[shard::SHARDS]:
        if said := await wrong(traffic, database_url, cell):
            found[cell] = said
    assert not found, "\n".join(f"{cell}: {said}" for cell, said in found.items())
