"""An exception that refuses attributes, as a frozen dataclass does, is told as what it is wherever it passes."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NewType

import psycopg
import pytest

import workrow
from tests.integration.awkward_errors import Frozen
from tests.integration.test_worker import run

Loop = NewType("Loop", str)
Thread = NewType("Thread", str)


class Seen:
    """Resources and hooks that note what was raised inside of them, and one that keeps silent about it."""

    def __init__(self, app: workrow.App) -> None:
        self.raised: list[str] = []

        async def on_loop() -> AsyncIterator[str]:
            try:
                yield "loop"
            except Frozen:
                self.raised.append("async")
                raise

        def in_thread() -> Iterator[str]:
            try:
                yield "thread"
            except Frozen:
                self.raised.append("sync")

        app.provide(Loop, on_loop, scope="job")
        app.provide(Thread, contextmanager(in_thread), scope="job")


def resources(app: workrow.App) -> list[str]:
    seen = Seen(app)
    app.seen = seen  # type: ignore[attr-defined]

    @app.task(name="async with resources")
    async def on_loop(one: Loop = workrow.inject(), other: Thread = workrow.inject()) -> None:
        raise Frozen(1, why="w")

    @app.task(name="sync with resources")
    def in_thread(one: Loop = workrow.inject(), other: Thread = workrow.inject()) -> None:
        raise Frozen(1, why="w")

    return [on_loop.name, in_thread.name]


def transactional(app: workrow.App) -> list[str]:
    @app.task(name="async transaction", transactional=True)
    async def on_loop(connection: psycopg.AsyncConnection) -> None:
        raise Frozen(1, why="w")

    @app.task(name="sync transaction", transactional=True)
    def in_thread(connection: psycopg.Connection) -> None:
        raise Frozen(1, why="w")

    async def fail(connection: psycopg.AsyncConnection) -> None:
        raise Frozen(1, why="w")

    @app.task(name="step")
    async def stepping(ctx: workrow.JobContext) -> None:
        await ctx.transactional_step("fail", fail)

    return [on_loop.name, in_thread.name, stepping.name]


def hooked(app: workrow.App) -> list[str]:
    @app.around_run
    async def on_loop(ctx: workrow.JobContext) -> AsyncIterator[None]:
        yield

    @app.around_run
    def silent(ctx: workrow.JobContext) -> Iterator[None]:
        with suppress(Frozen):
            yield

    @app.task(name="hooked")
    async def task() -> None:
        raise Frozen(1, why="w")

    return [task.name]


@pytest.mark.parametrize("declare", [resources, transactional, hooked])
async def test_a_task_s_own_exception_is_what_ends_its_job(
    open_app: workrow.App, conn: Any, declare: Callable[[workrow.App], list[str]]
) -> None:
    tasks = declare(open_app)
    for name in tasks:
        await open_app.tasks[name].enqueue(None)
    await run(open_app)
    ends = conn.execute("SELECT task, status, error_type, error FROM workrow.jobs ORDER BY id").fetchall()
    assert ends == [
        (name, "failed", "tests.integration.awkward_errors.Frozen", str(Frozen(1, why="w"))) for name in tasks
    ]
    if declare is resources:
        assert sorted(open_app.seen.raised) == ["async", "async", "sync", "sync"]  # type: ignore[attr-defined]


async def test_a_block_s_own_exception_comes_out_of_it(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="plain")
    async def plain() -> None: ...

    with pytest.raises(Frozen):  # noqa: PT012 - the block is what is tested
        async with workrow.batch(None, on_complete=plain.si()):
            await plain.enqueue(None)
            raise Frozen(1, why="w")
    with pytest.raises(Frozen), workrow.testing.inline():
        raise Frozen(1, why="w")

    @open_app.around_enqueue
    def refuse(enqueue: Any) -> Iterator[None]:
        raise Frozen(1, why="w")
        yield

    for flow in (plain.s(), workrow.group(plain.s(), plain.s())):
        with pytest.raises(Frozen):
            await flow.enqueue(None)
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
