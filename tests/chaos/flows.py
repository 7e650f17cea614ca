"""Workflows and batches of jobs: parts that leave a trace each, some workflows with one that fails for good."""

import asyncio
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from tests.chaos.base import ALWAYS, ASK_SECONDS, engine, slowness

BROKEN = "broken"
"""The kind of workflow whose last part of the header fails, so that the others are undone."""
LEAST, MOST = 2, 5
"""Parts side by side."""
PART = "INSERT INTO chaos.parts (flow, part, job_id, exact) VALUES (:flow, :part, :job, :exact)"

tasks = workrow.Blueprint()


async def leave(session: Any, ctx: workrow.JobContext, flow: str, part: str, *, exact: bool = True) -> None:
    """The trace of one part."""
    await session.execute(text(PART), {"flow": flow, "part": part, "job": ctx.job.id, "exact": exact})
    await asyncio.sleep(slowness())


@tasks.task(name="chaos.flow.exact", transactional=True, retry=ALWAYS)
async def exact(session: AsyncSession, ctx: workrow.JobContext, flow: str, part: str) -> str:
    """A part whose trace and end are one."""
    await leave(session, ctx, flow, part)
    return part


@tasks.task(name="chaos.flow.plain", retry=ALWAYS)
async def plain(ctx: workrow.JobContext, flow: str, part: str) -> str:
    """A part that may leave its trace more than once, but is one job."""
    async with asyncio.timeout(ASK_SECONDS), engine.begin() as connection:
        await leave(connection, ctx, flow, part, exact=False)
    return part


@tasks.task(name="chaos.flow.hopeless", retry=ALWAYS)
async def hopeless(flow: str) -> str:
    """A part that fails for good."""
    await asyncio.sleep(slowness())
    raise workrow.Discard(f"{flow} is to fail")


@tasks.task(name="chaos.flow.two", retry=ALWAYS)
async def two(flow: str) -> Any:
    """A part whose place a chain takes."""
    return workrow.chain(exact.si(flow, "two 1"), plain.si(flow, "two 2"))


@tasks.task(name="chaos.flow.body", transactional=True, retry=ALWAYS)
async def body(session: AsyncSession, ctx: workrow.JobContext, parts: list[str], flow: str) -> str:
    """What follows the header and is given its results."""
    await leave(session, ctx, flow, "body")
    if parts[:-1] != [f"part {n}" for n in range(len(parts) - 1)] or parts[-1] != "two 2":
        raise workrow.Discard(f"{flow} was given {parts}")
    return "body"


@tasks.task(name="chaos.flow.undo", transactional=True, retry=ALWAYS)
async def undo(session: AsyncSession, ctx: workrow.JobContext, part: str, flow: str) -> None:
    """What takes back a part of a workflow that has failed."""
    await leave(session, ctx, flow, f"undo {part}")


@tasks.task(name="chaos.flow.ended", transactional=True, retry=ALWAYS)
async def ended(session: AsyncSession, ctx: workrow.JobContext, end: dict[str, Any], flow: str) -> None:
    """The callback of the whole."""
    await leave(session, ctx, flow, f"ended {end['state']}")


@tasks.task(name="chaos.flow.member", transactional=True, retry=ALWAYS)
async def member(session: AsyncSession, ctx: workrow.JobContext, flow: str, part: str, more: bool) -> None:
    """A job of a batch, which may add another one."""
    if more:
        await member.enqueue(session, flow, f"{part} more", False)
    await leave(session, ctx, flow, part)


def enqueue(connection: psycopg.Connection, kind: str, flow: str, size: int) -> None:
    """Enqueue a workflow, or a batch, with so many parts side by side, and write down what is to come of it."""
    connection.execute("INSERT INTO chaos.flows (flow, kind, size) VALUES (%s, %s, %s)", [flow, kind, size])
    if kind == "batch":
        with workrow.batch(connection, on_complete=ended.s(flow), name=flow):
            member.enqueue_many(connection, [{"flow": flow, "part": f"part {n}", "more": n == 0} for n in range(size)])
            plain.enqueue(connection, flow, "plain")
        return
    header: list[Any] = [
        (plain if n % 2 else exact).si(flow, f"part {n}").compensate(undo.s(flow)) for n in range(size)
    ]
    header.append(hopeless.si(flow) if kind == BROKEN else two.si(flow))
    first = exact.si(flow, "first").compensate(undo.s(flow))
    whole = workrow.chain(first, workrow.group(*header), body.s(flow), plain.si(flow, "last"))
    whole.named(flow).on_complete(ended.s(flow)).enqueue(connection)
