"""The app whose workers are put to the test: a task of every sort, each leaving a trace that the judge reads.

``CHAOS_PROCESSES=0`` leaves out the task that runs in child processes.
"""

import asyncio
import contextlib
import multiprocessing
import os
import threading
import time
from datetime import timedelta

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

import workrow
from tests.chaos import flows
from tests.chaos.base import ALWAYS, ASK_SECONDS, CONNECT_SECONDS, URL, engine, slowness
from tests.chaos.child import die_with_parent
from tests.chaos.runs import note_run

LEASE_SECONDS = 4.0
TICK = timedelta(seconds=2)
EFFECT = "INSERT INTO chaos.effects (job_id, attempt, key, pid) VALUES (%s, %s, %s, %s)"
LIMIT = 2
"""Jobs of one tenant at the same time."""
TOTAL_LIMIT = 5
RATE = 20
"""Of the limited jobs of all tenants, in a second."""

app = workrow.App(URL, lease=LEASE_SECONDS, sessions=async_sessionmaker(engine, expire_on_commit=False))
app.include(flows.tasks)
counted = workrow.Blueprint()
"""The tasks whose effects may be as many as their claims."""
counted.around_run(note_run)
_own = threading.local()


class Flaky(Exception):
    """What the retrying task fails with."""


def moment() -> float:
    """Seconds since 1970, whatever the clocks of this worker (`shim`) and of the server say."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def write_effect(ctx: workrow.JobContext, key: str) -> None:
    """Write down that the job ran; on a connection that each thread keeps."""
    values = (ctx.job.id, ctx.job.attempts, key, os.getpid())
    connection: psycopg.Connection | None = getattr(_own, "connection", None)
    if connection is None or connection.closed or connection.broken:
        _own.connection = connection = psycopg.connect(
            URL, autocommit=True, connect_timeout=CONNECT_SECONDS, prepare_threshold=None
        )
    try:
        connection.execute(EFFECT, values)
    except psycopg.Error:
        connection.close()
        raise


async def write_effect_async(ctx: workrow.JobContext, key: str) -> None:
    """The same, from the event loop."""
    async with asyncio.timeout(ASK_SECONDS), engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO chaos.effects (job_id, attempt, key, pid) VALUES (:job, :attempt, :key, :pid)"),
            {"job": ctx.job.id, "attempt": ctx.job.attempts, "key": key, "pid": os.getpid()},
        )


@counted.task(name="chaos.coroutine", retry=ALWAYS)
async def coroutine(ctx: workrow.JobContext, key: str) -> None:
    """A task on the event loop."""
    await asyncio.sleep(slowness())
    await write_effect_async(ctx, key)


@counted.task(name="chaos.thread", retry=ALWAYS)
def thread(ctx: workrow.JobContext, key: str) -> None:
    """A task in a thread."""
    time.sleep(slowness())
    write_effect(ctx, key)


@app.task(name="chaos.born", retry=ALWAYS)
async def born(key: str) -> None:
    """What a forked child enqueues."""


@counted.task(name="chaos.fork", retry=ALWAYS)
def fork(ctx: workrow.JobContext, key: str) -> None:
    """A task whose effect is that of a forked child, which uses the app of its parent."""

    def live() -> None:
        die_with_parent()
        born.delay(key)
        with psycopg.connect(URL, autocommit=True, connect_timeout=CONNECT_SECONDS, prepare_threshold=None) as own:
            own.execute(EFFECT, (ctx.job.id, ctx.job.attempts, key, os.getpid()))

    child = multiprocessing.get_context("fork").Process(target=live)
    child.start()
    child.join(ASK_SECONDS)
    child.kill()
    child.join()
    if child.exitcode:
        raise Flaky(f"the child ended with {child.exitcode}")


@counted.task(name="chaos.flaky", retry=ALWAYS)
async def flaky(ctx: workrow.JobContext, key: str, failures: int) -> None:
    """A task whose first attempts fail after they had their effect."""
    await write_effect_async(ctx, key)
    if ctx.job.attempts < failures:
        raise Flaky(f"attempt {ctx.job.attempts + 1} of {failures + 1}")


@app.task(name="chaos.transactional", transactional=True, retry=ALWAYS)
async def transactional(session: AsyncSession, ctx: workrow.JobContext, key: str) -> None:
    """A task whose effect and end are one."""
    await session.execute(
        text("INSERT INTO chaos.ledger (job_id, key) VALUES (:job, :key)"), {"job": ctx.job.id, "key": key}
    )
    await asyncio.sleep(slowness())


@app.task(name="chaos.locked", transactional=True, retry=ALWAYS)
async def locked(session: AsyncSession, ctx: workrow.JobContext, key: str) -> None:
    """A task that nobody else with its lock runs beside."""
    began = moment()
    await asyncio.sleep(0.01 + slowness())
    await session.execute(
        text(
            """INSERT INTO chaos.holds (lock, job_id, began, ended)
               VALUES (:lock, :job, to_timestamp(:began), to_timestamp(:ended))"""
        ),
        {"lock": ctx.job.lock, "job": ctx.job.id, "began": began, "ended": moment()},
    )
    await session.execute(
        text("INSERT INTO chaos.ledger (job_id, key) VALUES (:job, :key)"), {"job": ctx.job.id, "key": key}
    )


async def stay(session: AsyncSession, ctx: workrow.JobContext, key: str, place: str, most: int) -> None:
    """Be somewhere for a while where no more than ``most`` may be at the same time, and write it down."""
    began = moment()
    await asyncio.sleep(0.01 + slowness())
    await session.execute(
        text(
            """INSERT INTO chaos.stays (place, most, job_id, began, ended)
               VALUES (:place, :most, :job, to_timestamp(:began), to_timestamp(:ended))"""
        ),
        {"place": place, "most": most, "job": ctx.job.id, "began": began, "ended": moment()},
    )
    await session.execute(
        text("INSERT INTO chaos.ledger (job_id, key) VALUES (:job, :key)"), {"job": ctx.job.id, "key": key}
    )


@app.task(
    name="chaos.limited",
    transactional=True,
    retry=ALWAYS,
    limits=(workrow.Limit(LIMIT, key="tenant"), workrow.Limit(TOTAL_LIMIT), workrow.Rate(f"{RATE}/s")),
)
async def limited(session: AsyncSession, ctx: workrow.JobContext, key: str, tenant: int) -> None:
    """A task that runs no more than so often at the same time, for each tenant."""
    await stay(session, ctx, key, f"tenant {tenant}", LIMIT)


@app.task(name="chaos.unique", transactional=True, retry=ALWAYS, unique=("group",))
async def unique(session: AsyncSession, ctx: workrow.JobContext, key: str, group: int) -> None:
    """A task of which each group has one job at a time."""
    await stay(session, ctx, key, f"group {group}", 1)


@app.task(name="chaos.tick", transactional=True, retry=ALWAYS, every=TICK, priority=5)
async def tick(session: AsyncSession, ctx: workrow.JobContext, timestamp: int) -> None:
    """What the schedule enqueues."""
    await session.execute(
        text("INSERT INTO chaos.ticks (due, job_id) VALUES (to_timestamp(:due), :job)"),
        {"due": timestamp, "job": ctx.job.id},
    )


async def step_once(session: AsyncSession, job_id: int) -> None:
    """The effect of a step, in the transaction of its record."""
    await session.execute(text("INSERT INTO chaos.stepped (job_id) VALUES (:job)"), {"job": job_id})
    await asyncio.sleep(slowness())


@app.task(name="chaos.called", retry=ALWAYS)
async def called(key: str) -> str:
    """What a task with steps calls."""
    await asyncio.sleep(slowness())
    return key


@counted.task(name="chaos.steps", retry=ALWAYS)
async def steps(ctx: workrow.JobContext, key: str) -> None:
    """A task that gives its slot away three times, between two steps."""
    await ctx.transactional_step("once", step_once, ctx.job.id)
    await ctx.sleep(slowness())
    told = [await ctx.wait_for("go"), await ctx.call(called, key)]
    if told != [key, key]:
        raise workrow.Discard(f"job {ctx.job.id} of {key} was told {told}")
    await ctx.step("effect", write_effect_async, ctx, key)


@app.task(name="chaos.signal", transactional=True, retry=ALWAYS)
async def send_signal(session: AsyncSession, job_id: int, key: str) -> None:
    """Who signals it, exactly once."""
    with contextlib.suppress(workrow.JobEnded):  # in quarantine
        await workrow.signal(session, job_id, "go", key)
    await asyncio.sleep(slowness())


if os.environ.get("CHAOS_PROCESSES", "1") == "1":

    @counted.task(name="chaos.process", retry=ALWAYS, run_in="process", time_limit=60)
    def process(ctx: workrow.JobContext, key: str) -> None:
        """A task in a child process."""
        time.sleep(slowness())
        write_effect(ctx, key)


app.include(counted)
