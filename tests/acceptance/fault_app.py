"""An app for workers that are killed, stopped and cut off; its database is named by FAULT_DATABASE_URL."""

import asyncio
import contextlib
import os
import signal
import time
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import workrow
from workrow.database.urls import libpq_url

url = libpq_url(os.environ["FAULT_DATABASE_URL"])
engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"))
app = workrow.App(url, lease=2, sessions=async_sessionmaker(engine))


@app.task(name="noop")
async def noop() -> None: ...


@app.task(name="sleep")
async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


@app.task(name="sleep_in_thread")
def sleep_in_thread(seconds: float) -> None:
    time.sleep(seconds)


@app.task(name="effect", transactional=True)
async def effect(session: AsyncSession, ctx: workrow.JobContext, seconds: float, dies: bool) -> None:
    await session.execute(text("INSERT INTO effects (job_id) VALUES (:job)"), {"job": ctx.job.id})
    await asyncio.sleep(seconds)
    if dies and ctx.job.attempts == 0 and not os.environ.get("SURVIVES"):
        await session.flush()
        os.kill(os.getpid(), signal.SIGKILL)  # between the last write and the commit


@app.task(name="batched", batch=workrow.Batch(size=3, within=0.1))
async def batched(contexts: list[workrow.JobContext], numbers: list[tuple[int]]) -> list[int]:
    async with engine.begin() as connection:
        for ctx in contexts:
            await connection.execute(text("INSERT INTO effects (job_id) VALUES (:job)"), {"job": ctx.job.id})
    if not os.environ.get("SURVIVES"):
        os.kill(os.getpid(), signal.SIGKILL)
    return [number for (number,) in numbers]


@app.task(name="tick", every=timedelta(seconds=1))
async def tick() -> None: ...


@app.task(name="produce", pass_context=False)
async def produce(seconds: float) -> None:
    """Enqueue all the time, on connections of the pool, whatever comes of it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(Exception):
            await noop.enqueue(None)
        await asyncio.sleep(0.05)


@app.task(name="block")
async def block(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - nothing else runs in the loop meanwhile, as with bad code of users


async def note(session: AsyncSession, what: int, dies: bool = False) -> None:
    await session.execute(text("INSERT INTO effects (job_id) VALUES (:what)"), {"what": what})
    if dies and not os.environ.get("SURVIVES"):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="steps")
async def steps(ctx: workrow.JobContext) -> None:
    await ctx.transactional_step("first", note, 1)
    await ctx.sleep(1)
    await ctx.transactional_step("second", note, 2, dies=True)
