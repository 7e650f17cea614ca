"""Steps that cannot be told from those that are recorded, and other bad input: one clear line, and nothing done."""

import re
from collections.abc import Callable
from typing import Any

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import row, run
from workrow import testing
from workrow.database.connector import Connector


async def nothing() -> None: ...


async def test_a_name_that_is_there_twice(workrow_jobs: testing.Harness, workrow_app: workrow.App) -> None:
    @workrow_app.task(name="twice")
    async def twice(ctx: workrow.JobContext) -> None:
        await ctx.step("a", nothing)
        await ctx.step("a", nothing)

    await twice.enqueue(None)
    (ran,) = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.error is not None
    assert re.search(r"twice\[\d+\]: step 'a' is asked for twice in one attempt", ran.error["message"])


async def test_a_step_without_a_function(workrow_jobs: testing.Harness, workrow_app: workrow.App) -> None:
    said: list[str] = []

    @workrow_app.task(name="odd")
    async def odd(ctx: workrow.JobContext) -> None:
        for step in (ctx.step, ctx.transactional_step):
            try:
                await step("a", 5)  # type: ignore[call-overload]
            except workrow.OptionError as error:
                said.append(str(error))

    await odd.enqueue(None)
    await workrow_jobs.drain()
    assert [each.partition(":")[0] for each in said] == ["ctx.step('a', 5)", "ctx.transactional_step('a', 5)"]


class Deploy:
    """A task whose code is another one in each attempt."""

    def __init__(self, app: workrow.App, *versions: Callable[[workrow.JobContext], Any]) -> None:
        self.ran: list[str] = []

        @app.task(name="deployed", retry=workrow.Retry(max_attempts=len(versions), wait=0))
        async def deployed(ctx: workrow.JobContext) -> None:
            await versions[ctx.attempt - 1](ctx)

        self.task = deployed

    async def note(self, what: str) -> None:
        self.ran.append(what)


async def test_a_name_that_is_gone_is_an_error_before_anything_new_is_done(
    workrow_jobs: testing.Harness, workrow_app: workrow.App
) -> None:
    async def before(ctx: workrow.JobContext) -> None:
        await ctx.step("charge", deploy.note, "charge")
        raise OSError

    async def after(ctx: workrow.JobContext) -> None:
        await ctx.step("pay", deploy.note, "pay")

    deploy = Deploy(workrow_app, before, after)
    await deploy.task.enqueue(None)
    *_, ran = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.error is not None
    assert "recorded the step 'charge', and 'pay', which is new, comes before it" in ran.error["message"]
    assert ran.error["type"] == "workrow.errors.StepError"
    assert deploy.ran == ["charge"]


async def test_a_name_that_is_gone_is_an_error_at_the_end_too(
    workrow_jobs: testing.Harness, workrow_app: workrow.App
) -> None:
    async def before(ctx: workrow.JobContext) -> None:
        await ctx.step("a", deploy.note, "a")
        await ctx.step("b", deploy.note, "b")
        raise OSError

    async def after(ctx: workrow.JobContext) -> None:
        await ctx.step("a", deploy.note, "a")

    deploy = Deploy(workrow_app, before, after)
    await deploy.task.enqueue(None)
    *_, ran = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.error is not None
    assert "recorded the step 'b', and the task ended without it" in ran.error["message"]


async def test_new_steps_after_the_recorded_ones_are_none(
    workrow_jobs: testing.Harness, workrow_app: workrow.App
) -> None:
    async def before(ctx: workrow.JobContext) -> None:
        await ctx.step("a", deploy.note, "a")
        raise OSError

    async def after(ctx: workrow.JobContext) -> None:
        await ctx.step("a", deploy.note, "a")
        await ctx.step("b", deploy.note, "b")

    deploy = Deploy(workrow_app, before, after)
    await deploy.task.enqueue(None)
    *_, ran = await workrow_jobs.drain(raise_on_failure=False)
    assert (ran.status, deploy.ran) == ("succeeded", ["a", "b"])


async def test_a_name_that_is_something_else_now(workrow_jobs: testing.Harness, workrow_app: workrow.App) -> None:
    async def before(ctx: workrow.JobContext) -> None:
        await ctx.step("a", deploy.note, "a")
        raise OSError

    async def after(ctx: workrow.JobContext) -> None:
        await ctx.wait_for("a")

    deploy = Deploy(workrow_app, before, after)
    await deploy.task.enqueue(None)
    *_, ran = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.error is not None
    assert "recorded 'a' as a step, and it is a wait now" in ran.error["message"]


async def test_a_step_inside_of_a_step(workrow_jobs: testing.Harness, workrow_app: workrow.App) -> None:
    @workrow_app.task(name="nested")
    async def nested(ctx: workrow.JobContext) -> None:
        async def outer() -> None:
            await ctx.sleep(1)

        await ctx.step("outer", outer)

    await nested.enqueue(None)
    (ran,) = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.error is not None
    assert "step 'sleep' is asked for inside of step 'outer'" in ran.error["message"]


@workrow.Blueprint("refused").task
async def once(n: int) -> None: ...


BAD: list[tuple[Callable[[Any], Any], str]] = [
    (lambda ctx: ctx.sleep(-1), r"ctx\.sleep\(-1\): must be seconds or a timedelta"),
    (lambda ctx: ctx.sleep("5"), r"ctx\.sleep\('5'\): must be seconds"),
    (lambda ctx: ctx.wait_for(""), r"ctx\.wait_for: signal='': must be text"),
    (lambda ctx: ctx.wait_for("x", timeout=-1), r"timeout=-1\): must be seconds"),
    (lambda ctx: ctx.step("", nothing), r"a step's name='': must be text"),
    (lambda ctx: ctx.step("x" * 201, nothing), r"must be text of 1 to 200 characters"),
    (lambda ctx: ctx.step("a\x00", nothing), r"must be text of 1 to 200 characters"),
    (lambda ctx: ctx.call(print), r"ctx\.call\(<built-in function print>\): must be a task"),
    (lambda ctx: ctx.call(once.options(unique=("n",)), 1), r"ctx\.call\(refused\.once\): with unique"),
    (lambda ctx: ctx.transactional_step("t", nothing), r"ctx\.transactional_step\('t', …\): the first parameter"),
]


async def test_bad_input(workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any) -> None:
    @workrow_app.task(name="bad")
    async def bad(ctx: workrow.JobContext, case: int) -> None:
        await BAD[case][0](ctx)

    await bad.enqueue_many(None, [{"case": case} for case in range(len(BAD))])
    ran = await workrow_jobs.drain(raise_on_failure=False)
    for each, (_, message) in zip(ran, BAD, strict=True):
        assert each.error is not None
        assert re.search(message, each.error["message"]), each.error
        assert "\n" not in each.error["message"]
    assert conn.execute("SELECT FROM workrow.job_steps").fetchall() == []


async def test_a_coroutine_function_in_a_sync_task(workrow_jobs: testing.Harness, workrow_app: workrow.App) -> None:
    @workrow_app.task(name="sync")
    def sync(ctx: workrow.SyncJobContext) -> None:
        ctx.step("a", nothing)

    await sync.enqueue(None)
    (ran,) = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.error is not None
    assert "step 'a' is a coroutine function, and its task is not async" in ran.error["message"]


children = workrow.App("postgresql://in-each-test-another-one")
"""Child processes find their app as an attribute of a module."""
in_process = children.task(name="in_process", run_in="process")(process_tasks.ask_for_a_step)


async def test_a_step_in_a_child_process(database_url: str, conn: Any) -> None:
    with children.replace_connector(Connector(database_url)):
        async with children.open_async():
            job = await in_process.enqueue(None)
            await run(children)
    error = row(conn, job)["error"]
    # LATIN1 has no three dots: there they stand as their escape
    assert error.startswith("ctx.step(")
    assert f") of job {job.id}: no worker's loop or thread is behind this context" in error
    assert "\n" not in error
