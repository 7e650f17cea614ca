"""Steps without a name, in branches: those come to theirs in another order each time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import workrow
from workrow import testing


async def together(*branches: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for branch in branches:
            group.create_task(branch())  # type: ignore[arg-type]


def names(conn: Any) -> list[str]:
    return [name for (name,) in conn.execute("SELECT name FROM workrow.steps WHERE kind <> 'step' ORDER BY name")]


async def test_each_branch_sleeps_its_own_time(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, conn: Any
) -> None:
    """The early one falls asleep first, and comes to its sleep second when the task is run again."""
    woke: dict[str, float] = {}

    @workrow_app.task(name="two")
    async def two(ctx: workrow.JobContext) -> None:
        async def late() -> None:
            await ctx.wait_for("go")
            await ctx.sleep(100)
            await ctx.step("late", woke.__setitem__, "late", workrow_clock.now().timestamp())

        async def early() -> None:
            await ctx.step("begin", lambda: None)
            await ctx.sleep(100)
            await ctx.sleep(1000)
            await ctx.step("early", woke.__setitem__, "early", workrow_clock.now().timestamp())

        await together(late, early)

    with workrow_clock.at("2027-01-01") as clock:
        start = clock.now().timestamp()
        job = await two.enqueue(None)
        await clock.run_for(seconds=60)
        await workrow.signal(None, job, "go")
        await clock.run_for(seconds=2000)
    assert {name: round(at - start) for name, at in woke.items()} == {"late": 160, "early": 1100}
    assert names(conn) == ["go", "sleep 2 after begin", "sleep after begin", "sleep after go"]


async def test_branches_that_begin_with_a_sleep_go_by_the_order_in_which_they_were_begun(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, conn: Any
) -> None:
    woke: dict[str, float] = {}

    @workrow_app.task(name="several")
    async def several(ctx: workrow.JobContext) -> None:
        def branch(name: str, *lengths: float) -> Callable[[], Awaitable[None]]:
            async def sleeps() -> None:
                for length in lengths:
                    await ctx.sleep(length)
                await ctx.step(name, woke.__setitem__, name, workrow_clock.now().timestamp())

            return sleeps

        async def third() -> None:
            await ctx.step("before", lambda: None)
            await ctx.sleep(5)
            await together(branch("c", 10), branch("d", 30))

        await together(branch("a", 50, 10), branch("b", 20, 20), third)
        await ctx.sleep(7)
        woke["trunk"] = workrow_clock.now().timestamp()

    with workrow_clock.at("2027-01-01") as clock:
        start = clock.now().timestamp()
        await several.enqueue(None)
        await clock.run_for(seconds=200)
    assert {name: round(at - start) for name, at in woke.items()} == {"a": 60, "b": 40, "c": 15, "d": 35, "trunk": 67}
    assert names(conn) == [
        "sleep",
        "sleep 2 after before",
        "sleep 2 after before, branch 2",
        "sleep 2 in branch 1",
        "sleep 2 in branch 2",
        "sleep after before",
        "sleep in branch 1",
        "sleep in branch 2",
    ]


async def test_equal_calls_of_branches_are_each_its_own(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any
) -> None:
    numbers = iter(range(1, 100))
    got: list[tuple[str, int]] = []

    @workrow_app.task(name="ticket")
    async def ticket() -> int:
        return next(numbers)

    @workrow_app.task(name="buy")
    async def buy(ctx: workrow.JobContext) -> None:
        async def late() -> None:
            await ctx.wait_for("go")
            number = await ctx.call(ticket)
            await ctx.step("late", got.append, ("late", number))

        async def early() -> None:
            await ctx.step("begin", lambda: None)
            number = await ctx.call(ticket)
            await ctx.step("early", got.append, ("early", number))
            await ctx.wait_for("end")
            await ctx.step("again", got.append, ("early", number))

        await together(late, early)

    job = await buy.enqueue(None)
    await workrow_jobs.drain()
    for signal in ("go", "end"):
        await workrow.signal(None, job, signal)
        await workrow_jobs.drain()
    assert got == [("early", 1), ("late", 2), ("early", 1)]


@pytest.mark.parametrize("seed", range(4))
async def test_random_branches_sleep_as_long_as_they_say(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, conn: Any, seed: int
) -> None:
    """Each branch: sleeps, and steps whose functions end in another order each time; compared with their sums."""
    dice = random.Random(seed)
    plans = [[dice.choice((0, 0, 10, 10, 25)) for _ in range(dice.randint(1, 5))] for _ in range(5)]
    woke: dict[int, float] = {}
    order = random.Random(seed + 100)

    async def work() -> None:
        for _ in range(order.randint(0, 5)):
            await asyncio.sleep(0)

    @workrow_app.task(name="random")
    async def many(ctx: workrow.JobContext) -> None:
        def branch(number: int, plan: list[int]) -> Callable[[], Awaitable[None]]:
            async def go() -> None:
                for place, seconds in enumerate(plan):
                    if seconds:
                        await ctx.sleep(seconds)
                    else:
                        await ctx.step(f"{number}.{place}", work)
                await ctx.step(f"{number} ends", woke.__setitem__, number, workrow_clock.now().timestamp())

            return go

        await together(*(branch(number, plan) for number, plan in enumerate(plans)))

    with workrow_clock.at("2027-01-01") as clock:
        start = clock.now().timestamp()
        job = await many.enqueue(None)
        await clock.run_for(seconds=300)
        assert await job.status() == "succeeded"
    assert {number: round(at - start) for number, at in woke.items()} == dict(enumerate(map(sum, plans)))


async def test_a_long_name_before_a_sleep(workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any) -> None:
    @workrow_app.task(name="long")
    async def long(ctx: workrow.JobContext) -> str:
        async def branch(end: str) -> None:
            await ctx.step("x" * 199 + end, lambda: None)
            await ctx.sleep(0)

        await together(lambda: branch("a"), lambda: branch("b"))
        return "done"

    job = await long.enqueue(None)
    await workrow_jobs.drain()
    assert await job.result(timeout=0) == "done"
    assert len(set(names(conn))) == 2
    assert all(name.isascii() for name in names(conn))  # a database in LATIN1 has no ellipsis
