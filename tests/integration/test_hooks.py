"""Code of the application's around every enqueue and every run, and what a task logs."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import procrastinate
import psycopg
import pytest

import workrow
from tests.integration import process_app, process_tasks
from tests.integration.test_worker import row, run
from workrow.logs import JobFilter
from workrow.testing.inline import inline

tenant: contextvars.ContextVar[str | None] = contextvars.ContextVar("tenant", default=None)


@pytest.fixture
def sent(open_app: workrow.App) -> Any:
    """A task, and a hook that changes where it goes and what it is given."""

    @open_app.task(name="send")
    def send(user_id: int, tenant: str = "none") -> str:
        return f"{user_id} of {tenant}"

    @open_app.around_enqueue
    def stamp(enqueue: workrow.Enqueue) -> Iterator[None]:
        assert (enqueue.task, enqueue.ids) == ("send", [])
        enqueue.change(queue="stamped", priority=enqueue.options.priority + 1)
        for arguments in enqueue.arguments:
            arguments["tenant"] = "acme"
        yield
        assert len(enqueue.ids) == len(enqueue.arguments)

    return send


WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "enqueue(None)": lambda send, sync, own: send.enqueue(None, 1),
    "enqueue(async)": lambda send, sync, own: send.enqueue(own, user_id=1),
    "enqueue(sync)": lambda send, sync, own: send.enqueue(sync, 1),
    "enqueue_many": lambda send, sync, own: send.enqueue_many(own, [{"user_id": 1}, {"user_id": 1}]),
    "enqueue_many(sync)": lambda send, sync, own: send.enqueue_many(sync, [{"user_id": 1}, {"user_id": 1}]),
    "delay": lambda send, sync, own: send.delay(1),
    "apply_async": lambda send, sync, own: send.apply_async((1,)),
    "options": lambda send, sync, own: send.options(queue="other").enqueue(None, 1),
    "defer": lambda send, sync, own: send.defer(user_id=1),
    "defer_async": lambda send, sync, own: send.defer_async(user_id=1),
    "batch_defer": lambda send, sync, own: send.batch_defer({"user_id": 1}),
    "configure": lambda send, sync, own: send.configure(connection=sync, priority=0).defer(user_id=1),
    "configure_task": lambda send, sync, own: send.blueprint.configure_task("send").defer_async(user_id=1),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_hook_sees_and_changes_what_is_enqueued(
    sent: Any, conn: psycopg.Connection[Any], aconn: psycopg.AsyncConnection[Any], way: str
) -> None:
    async with aconn.transaction():
        done = WAYS[way](sent, conn, aconn)
        if asyncio.iscoroutine(done) or isinstance(done, Awaitable):
            await done
    rows = conn.execute("SELECT queue_name, priority, args FROM procrastinate_jobs").fetchall()
    assert rows == [("stamped", 1, {"user_id": 1, "tenant": "acme"})] * (2 if "many" in way else 1)


async def test_copy_runs_no_hooks(sent: Any, conn: psycopg.Connection[Any]) -> None:
    assert sent.enqueue_copy(conn, [{"user_id": 1}]) == 1
    assert conn.execute("SELECT queue_name FROM procrastinate_jobs").fetchall() == [("default",)]


async def test_what_a_hook_makes_of_the_arguments_is_checked(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="send")
    def send(user_id: int) -> None: ...

    @open_app.around_enqueue
    def spoil(enqueue: workrow.Enqueue) -> Iterator[None]:
        enqueue.arguments[0]["usr_id"] = 2
        yield

    for way in (lambda: send.enqueue(conn, 1), lambda: send.delay(1), lambda: send.defer(user_id=1)):
        with pytest.raises(workrow.ArgumentError, match="usr_id"):
            way()
    with pytest.raises(workrow.ArgumentError, match="usr_id"):
        await send.enqueue(None, 1)
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_hooks_nest_the_apps_outermost_and_hear_of_failures(app: workrow.App, conn: Any) -> None:
    told: list[str] = []
    mails, others = workrow.Blueprint("mails"), workrow.Blueprint("others")

    def hook(name: str) -> Callable[[workrow.Enqueue], Iterator[None]]:
        def around(enqueue: workrow.Enqueue) -> Iterator[None]:
            told.append(f"> {name}")
            try:
                yield
            except workrow.AlreadyEnqueued:
                told.append(f"! {name}")
                return  # keeping silent does not make it a success
            told.append(f"< {name} {len(enqueue.ids)}")

        return around

    @mails.task(queueing_lock="one")
    def send() -> None: ...

    @others.task
    def other() -> None: ...

    app.include(mails, others)
    mails.around_enqueue(hook("mails"))
    app.around_enqueue(hook("app"))
    async with app.open_async():
        await send.enqueue(None)
        assert told == ["> app", "> mails", "< mails 1", "< app 1"]
        told.clear()
        with pytest.raises(workrow.AlreadyEnqueued):
            await send.enqueue(None)
        assert told == ["> app", "> mails", "! mails", "! app"]
        told.clear()
        await other.enqueue(None)
        assert told == ["> app", "< app 1"]


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_a_hook_runs_around_every_attempt(open_app: workrow.App, conn: Any, kind: str) -> None:
    told: list[str] = []

    async def on_loop() -> str | None:
        told.append("run")
        return tenant.get()

    def in_thread() -> str | None:
        told.append("run")
        return tenant.get()

    functions: dict[str, Any] = {"async": on_loop, "thread": in_thread, "process": process_tasks.pid}
    task = open_app.task(name="whose", run_in="process" if kind == "process" else None)(functions[kind])

    @open_app.around_run
    async def outer(ctx: workrow.JobContext) -> AsyncIterator[None]:
        told.append(f"> {ctx.job.task_name}")
        token = tenant.set("acme")
        yield
        tenant.reset(token)
        told.append("<")

    @open_app.around_run
    def inner(ctx: workrow.JobContext) -> Iterator[None]:
        told.append("> inner")
        yield
        told.append("< inner")

    async def upstreams(call_next: Any, context: Any, worker: Any) -> Any:
        told.append("worker")
        return await call_next()

    job = await task.enqueue(None)
    await run(open_app, worker_middleware=[upstreams])
    if kind != "process":
        assert row(conn, job)["result"] == "acme"
    assert [each for each in told if each != "run"] == ["worker", "> whose", "> inner", "< inner", "<"]


async def test_a_hook_hears_of_a_failure_and_does_not_make_it_a_success(open_app: workrow.App, conn: Any) -> None:
    heard: list[BaseException] = []

    @open_app.task(name="fails")
    async def fails() -> None:
        raise OSError("no")

    @open_app.around_run
    async def silent(ctx: workrow.JobContext) -> AsyncIterator[None]:
        try:
            yield
        except OSError as error:
            heard.append(error)

    job = await fails.enqueue(None)
    await run(open_app)
    assert row(conn, job)["status"] == "failed"
    assert [str(error) for error in heard] == ["no"]


async def test_a_hook_may_decide_otherwise(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="fails", retry=True)
    async def fails() -> None:
        raise OSError("no")

    @open_app.around_run
    def patience(ctx: workrow.JobContext) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise workrow.Discard("nobody is there") from error

    job = await fails.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["error"], found["discarded"]) == ("failed", "nobody is there", True)


def test_what_is_no_hook_is_refused() -> None:
    app = workrow.Blueprint("b")

    async def coroutine(ctx: Any) -> None: ...

    async def generator(enqueue: Any) -> AsyncIterator[None]:
        yield

    for declare, wrong in (
        (app.around_run, coroutine),
        (app.around_enqueue, coroutine),
        (app.around_enqueue, generator),
    ):
        with pytest.raises(workrow.OptionError, match="generator function, with one `yield`"):
            declare(wrong)  # type: ignore[operator]


async def test_the_contexts_logger_knows_its_job(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @open_app.task(name="talk", queue="talks", retry=workrow.Retry(max_attempts=2, wait=0))
    def talk(ctx: workrow.JobContext) -> None:
        ctx.logger.info("half of %d", 2, extra={"step": 1})
        raise OSError

    job = await talk.enqueue(None)
    with caplog.at_level(logging.INFO, __name__):
        await run(open_app, name="w1")
    records: list[Any] = [record for record in caplog.records if record.name == __name__]
    assert [record.getMessage() for record in records] == ["half of 2"] * 2
    assert [(record.attempt, record.step) for record in records] == [(1, 1), (2, 1)]
    assert {(record.job_id, record.task, record.queue, record.worker) for record in records} == {
        (job.id, "talk", "talks", "w1")
    }


async def test_a_filter_gives_the_fields_to_every_record(
    open_app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = logging.getLogger("library")
    records: list[Any] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    monkeypatch.setattr(JobFilter, "made", False)
    handler.addFilter(JobFilter())

    @open_app.task(name="on_loop")
    async def on_loop() -> None:
        library.warning("in a job")

    @open_app.task(name="in_thread")
    def in_thread() -> None:
        library.warning("in a job", extra={"queue": "its own"})

    jobs = [await on_loop.enqueue(None), await in_thread.enqueue(None)]
    library.addHandler(handler)
    try:
        await run(open_app, name="w1")
        library.warning("outside")
    finally:
        library.removeHandler(handler)
    told = {(record.job_id, record.task, record.queue, record.attempt, record.worker) for record in records}
    assert told == {
        (jobs[0].id, "on_loop", "default", 1, "w1"),
        (jobs[1].id, "in_thread", "its own", 1, "w1"),
        (None, None, None, None, None),
    }


async def test_hooks_and_resources_work_inline(app: workrow.App, conn: Any) -> None:
    app.provide(dict, lambda: {"name": "live"})

    @app.task(name="greet")
    async def greet(name: str, settings: dict = workrow.inject()) -> str:  # type: ignore[type-arg]
        return f"{settings['name']} {name}"

    @app.around_enqueue
    def shout(enqueue: workrow.Enqueue) -> Iterator[None]:
        enqueue.arguments[0]["name"] = enqueue.arguments[0]["name"].upper()
        yield

    with inline() as ran:
        job = await greet.enqueue(None, "ann")
        assert await job.result() == "live ANN"
    assert [each.args for each in ran] == [{"name": "ANN"}]


class Odd(procrastinate.BaseRetryStrategy):
    """A policy of the application's own: two attempts."""

    def get_retry_decision(self, *, exception: BaseException, job: Any) -> procrastinate.RetryDecision | None:
        return procrastinate.RetryDecision(retry_in={"seconds": 0}) if job.attempts < 1 else None


@pytest.mark.parametrize(
    ("retry", "found"),
    [
        (False, [True]),
        (workrow.Retry(max_attempts=3, wait=0), [False, False, True]),
        (
            workrow.Retry(max_attempts=2, wait=0, rules=(workrow.Rule(KeyError, max_attempts=3, wait=0),)),
            [False, False],
        ),
        (workrow.Rule(ValueError, max_attempts=2, wait=0), [False, True]),
        (workrow.Retry(max_attempts=1, wait=0, rules=(workrow.Rule(KeyError, discard=True),)), [True]),
        (1, [False, True]),
        (procrastinate.RetryStrategy(max_attempts=2, wait=0), [False, False, True]),
        (Odd(), [False, True]),
    ],
)
async def test_the_context_knows_the_last_attempt(
    open_app: workrow.App, conn: Any, retry: Any, found: list[bool]
) -> None:
    told: list[tuple[int, bool]] = []
    seen: list[bool] = []

    @open_app.around_run
    async def around(ctx: workrow.JobContext) -> AsyncIterator[None]:
        seen.append(ctx.is_last_attempt)
        yield

    @open_app.task(name="fail", retry=retry)
    def fail(ctx: workrow.JobContext) -> None:
        told.append((ctx.attempt, ctx.is_last_attempt))
        raise ValueError

    job = await fail.enqueue(None)
    # a crash is no attempt, and neither is a snooze
    conn.execute("UPDATE procrastinate_jobs SET crashes = 2, claims = 5")
    for _ in range(len(found) + 1):
        await open_app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 s'")
    assert told == [*enumerate(found, 1)]
    assert seen == found
    assert await job.status() == "failed"


async def test_a_child_process_knows_the_last_attempt(
    database_url: str, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_TEST_PROCESS_APP", database_url)
    async with process_app.app.open_async():
        job = await process_app.last.enqueue(None)
        await run(process_app.app)
        await run(process_app.app)
        assert await job.result(timeout=10) == "attempt 2, last: True"
    assert row(conn, job)["error"] == "last: False"


@pytest.mark.parametrize("set_by", ["task", "hook"])
async def test_a_job_sees_no_context_variable_of_one_that_has_ended(open_app: workrow.App, set_by: str) -> None:
    seen: list[str | None] = []

    @open_app.task(name="look")
    async def look(n: int) -> None:
        if set_by == "task":
            seen.append(tenant.get())
            tenant.set(str(n))

    @open_app.around_run
    async def remember(ctx: workrow.JobContext) -> AsyncIterator[None]:
        if set_by == "hook":
            seen.append(tenant.get())
            tenant.set("hook")
        yield

    many = 100  # so that some are claimed ahead, and started by the end of the one before
    await look.enqueue_many(None, [{"n": n} for n in range(many)])
    await run(open_app, concurrency=1)
    assert seen == [None] * many
