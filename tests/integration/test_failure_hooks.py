"""on_failure: a job that ends badly, however it does, enqueues its task's hook with its end."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import workrow
from tests.integration.test_worker import run
from workrow import Failure, Retry, testing
from workrow.errors import ConfigurationError, OptionError


def told(app: workrow.App, name: str = "told") -> tuple[list[Failure], workrow.Task[..., Any]]:
    """A hook that keeps what it is told."""
    failures: list[Failure] = []

    @app.task(name=name)
    async def hook(failure: Failure) -> None:
        failures.append(failure)

    return failures, hook


async def test_the_last_attempt_tells_it_once(open_app: workrow.App, conn: Any) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="break", queue="slow", retry=Retry(max_attempts=3, wait=0), on_failure=hook)
    async def broken(n: int) -> None:
        if n:
            raise ZeroDivisionError(f"by {n}")

    good = await broken.enqueue(None, 0)
    job = await broken.enqueue(None, 7)
    await run(open_app)
    (failure,) = failures
    assert failure == Failure(
        job_id=job.id,
        task="break",
        queue="slow",
        args={"n": 7},
        status="failed",
        reason="failed",
        error_type="ZeroDivisionError",
        error_message="by 7",
        traceback=failure.traceback,
        attempts=3,
        crashes=0,
        failed_at=failure.failed_at,
    )
    assert failure.traceback is not None
    assert "raise ZeroDivisionError" in failure.traceback
    assert abs(failure.failed_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert await good.status() == "succeeded"
    conn.execute("SELECT workrow.requeue_job_v1(%s)", [job.id])
    await run(open_app)
    assert [each.attempts for each in failures] == [3, 4], "each bad end is told"


async def test_discarded_and_arguments_that_do_not_fit(open_app: workrow.App, conn: Any) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="discard", on_failure=hook)
    async def discard() -> None:
        raise workrow.Discard("no such user")

    @open_app.task(name="unfit", on_failure=hook)
    async def unfit(n: int) -> None: ...

    await discard.enqueue(None)
    for args in ('{"m": 1}', "[1]"):
        conn.execute(
            "INSERT INTO procrastinate_jobs (task_name, queue_name, args) VALUES ('unfit', 'default', %s)", [args]
        )
    await run(open_app)
    assert sorted((each.task, each.reason, str(each.args)) for each in failures) == [
        ("discard", "discarded", "{}"),
        ("unfit", "bad_arguments", "[1]"),
        ("unfit", "bad_arguments", "{'m': 1}"),
    ]


async def test_expired_waiting_and_claimed(open_app: workrow.App, conn: Any) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="late", on_failure=hook)
    async def late() -> None: ...

    await run(open_app)
    await late.options(expires=3600, delay=3600).enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET expires_at = now() - interval '1 s'")
    await late.options(expires=3600).enqueue(None)
    assert conn.execute("SELECT workrow.sweep_expired_v1()").fetchone() == (1,)
    conn.execute(
        "UPDATE procrastinate_jobs SET status = 'doing' WHERE task_name = 'late'",
    )
    conn.execute(
        "SELECT workrow.end_job_v2(id, '{doing}', 'cancelled', workrow.expiry_v1(expires_at, 0), NULL)"
        " FROM procrastinate_jobs WHERE task_name = 'late'"
    )
    await run(open_app)
    assert [(each.status, each.reason, each.error_type) for each in failures] == [
        ("cancelled", "expired", "workrow.Expired"),
        ("cancelled", "expired", "workrow.Expired"),
    ]


async def test_a_worker_that_died(open_app: workrow.App, conn: Any) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="kill", on_failure=hook)
    async def kill() -> None: ...

    await run(open_app)
    job = await kill.enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job.id])
    for _ in range(2):
        conn.execute("SELECT workrow.crash_job_v1(%s, true, 2, 'lost heartbeat of worker 1')", [job.id])
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job.id])
    await run(open_app)
    (failure,) = failures
    assert (failure.reason, failure.crashes, failure.attempts, failure.error_message) == (
        "crashed",
        2,
        0,
        "lost heartbeat of worker 1",
    )


async def test_what_is_no_bad_end(open_app: workrow.App, conn: Any) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="cancelled", on_failure=hook)
    async def cancelled(ctx: workrow.JobContext) -> None:
        await open_app.cancel_async(ctx.job.id or 0, terminate=True)
        await asyncio.sleep(60)

    @open_app.task(name="superseded", on_failure=hook)
    async def superseded() -> None:
        raise workrow.Snooze(in_=60)

    waits = await cancelled.options(delay=60).enqueue(None)
    await cancelled.enqueue(None)
    first = await superseded.options(queueing_lock="one").enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [first.id])
    await superseded.options(queueing_lock="one", delay=60).enqueue(None)
    conn.execute("SELECT workrow.supersede_job_v1(%s)", [first.id])
    assert await waits.cancel() == "cancelled"
    await run(open_app, abort_job_polling_interval=0.05)
    ends = conn.execute("SELECT task, CAST(status AS text) FROM workrow.jobs WHERE finished_at IS NOT NULL").fetchall()
    assert sorted(ends) == [("cancelled", "aborted"), ("cancelled", "cancelled"), ("superseded", "cancelled")]
    assert failures == []


async def test_a_hook_that_fails_is_tried_again_and_calls_no_hook(app: workrow.App, conn: Any) -> None:
    tries: list[int] = []

    @app.task(name="report", retry=Retry(max_attempts=2, wait=0))
    async def report(failure: Failure) -> None:
        tries.append(failure.job_id)
        raise OSError("no network")

    app.on_failure = report

    @app.task(name="fail")
    async def fail() -> None:
        raise ValueError

    async with app.open_async():
        job = await fail.enqueue(None)
        await run(app)
    assert tries == [job.id, job.id]
    assert conn.execute("SELECT task, CAST(status AS text) FROM workrow.jobs ORDER BY id").fetchall() == [
        ("fail", "failed"),
        ("report", "failed"),
    ]
    conn.execute("INSERT INTO workrow.failure_hooks VALUES ('report', 'fail', 'failure', 'default', 0)")
    conn.execute("SELECT workrow.requeue_job_v1(id) FROM workrow.jobs WHERE task = 'report'")
    async with app.open_async():
        await run(app)
    assert conn.execute("SELECT count(*) FROM workrow.jobs").fetchone() == (2,), "nor through another app's words"


async def test_of_the_app_the_blueprint_and_the_task(database_url: str, conn: Any) -> None:
    seen: list[tuple[str, str]] = []

    def by_app(failure: Failure) -> None:
        seen.append(("app", failure.task))

    async def by_blueprint(ctx: workrow.JobContext, failure: Failure) -> None:
        seen.append(("blueprint", failure.task))

    app = workrow.App(database_url, on_failure=by_app)
    blueprint = workrow.Blueprint("b", on_failure=by_blueprint)

    async def fail() -> None:
        raise ValueError

    blueprint.task(name="b.inherits")(fail)
    blueprint.task(name="b.silent", on_failure=None)(fail)
    blueprint.task(name="b.names", on_failure="b.by_blueprint")(fail)
    app.task(name="plain", aliases=["old"])(fail)
    app.include(blueprint)
    async with app.open_async():
        for name in ("b.inherits", "b.silent", "b.names", "plain", "old"):
            conn.execute("INSERT INTO procrastinate_jobs (task_name, queue_name) VALUES (%s, 'default')", [name])
        await run(app)
    assert sorted(seen) == [("app", "old"), ("app", "plain"), ("blueprint", "b.inherits"), ("blueprint", "b.names")]
    assert {"b.by_blueprint"} < app.tasks.keys()

    again = workrow.App(database_url)
    again.task(name="plain")(fail)
    async with again.open_async():
        await again.configure_task("plain").defer_async()
        await run(again)
    assert len(seen) == 4, "what is taken out of the code is not called"


async def test_effects_of_a_transactional_hook_are_exactly_once(database_url: str, conn: Any) -> None:
    engine = create_async_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    app = workrow.App(database_url, sessions=async_sessionmaker(engine))
    conn.execute("CREATE TABLE refunds (job bigint)")

    @app.task(name="refund", transactional=True, queue="refunds", priority=3, lock="refunds", limits=workrow.Limit(1))
    async def refund(session: AsyncSession, failure: Failure, note: str = "x") -> None:
        await session.execute(text("INSERT INTO refunds VALUES (:id)"), {"id": failure.job_id})

    @app.task(name="charge", transactional=True, on_failure=refund)
    async def charge(session: AsyncSession) -> None:
        raise ValueError

    async with app.open_async():
        jobs = await charge.enqueue_many(None, [{}] * 3)
        await run(app)
    await engine.dispose()
    assert conn.execute("SELECT job FROM refunds ORDER BY job").fetchall() == [(job.id,) for job in jobs]
    assert conn.execute(
        "SELECT DISTINCT queue, priority, lock, line FROM workrow.jobs WHERE task = 'refund'"
    ).fetchall() == [("refunds", 3, "refunds", '["refunds", "refund", "refund"]')]


async def test_it_exists_exactly_if_the_end_does(open_app: workrow.App, conn: Any, database_url: str) -> None:
    _, hook = told(open_app)

    @open_app.task(name="fail", on_failure=hook)
    async def fail() -> None: ...

    await run(open_app)
    job = await fail.enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job.id])
    count = "SELECT count(*) FROM workrow.jobs WHERE task = 'told'"
    with psycopg.connect(database_url) as other:
        other.execute("SELECT workrow.end_job_v1(%s, '{doing}', 'failed')", [job.id])
        assert other.execute(count).fetchone() == (1,)
        other.rollback()
    assert conn.execute(count).fetchone() == (0,)
    assert await job.status() == "doing"


async def test_what_refuses_the_hook_does_not_keep_the_job_from_ending(open_app: workrow.App, conn: Any) -> None:
    _, hook = told(open_app)

    @open_app.task(name="fail", on_failure=hook)
    async def fail() -> None:
        raise ValueError

    conn.execute("ALTER TABLE procrastinate_jobs ADD CONSTRAINT no_hooks CHECK (task_name <> 'told')")
    job = await fail.enqueue(None)
    await run(open_app)
    assert await job.status() == "failed"


async def test_stock_workers_failures_are_told_when_they_are_swept(open_app: workrow.App, conn: Any) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="fail", on_failure=hook)
    async def fail() -> None: ...

    await run(open_app)
    job = await fail.enqueue(None)
    conn.execute("UPDATE procrastinate_jobs SET status = 'failed' WHERE id = %s", [job.id])
    conn.execute("SELECT workrow.sweep_finished_v1()")
    await run(open_app)
    assert [(each.reason, each.error_type) for each in failures] == [("failed", None)]


async def test_jobs_that_are_not_kept_are_told_too(open_app: workrow.App, conn: Any) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="fail", on_failure=hook)
    async def fail() -> None:
        raise ValueError

    await fail.enqueue(None)
    await run(open_app, delete_jobs="always")
    assert [each.reason for each in failures] == ["failed"]
    assert conn.execute("SELECT count(*) FROM workrow.jobs").fetchone() == (0,)


async def test_a_row_that_somebody_holds_is_declared_later(open_app: workrow.App, conn: Any, database_url: str) -> None:
    failures, hook = told(open_app)

    @open_app.task(name="fail", on_failure=hook)
    async def fail() -> None:
        raise ValueError

    conn.execute("INSERT INTO workrow.failure_hooks VALUES ('fail', 'former', 'failure', 'default', 0)")
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM workrow.failure_hooks FOR UPDATE")
        job = await fail.enqueue(None)
        await run(open_app)
        assert await job.status() == "failed", "it waits for nobody"
    await fail.enqueue(None)
    await run(open_app)
    assert len(failures) == 1


async def test_in_the_test_kit(app: workrow.App) -> None:
    failures, hook = told(app)

    @app.task(name="fail", on_failure=hook)
    async def fail() -> None:
        raise ValueError

    async with testing.Harness(app) as jobs:
        await fail.enqueue(None)
        ran = await jobs.drain(raise_on_failure=False)
    assert [(each.task, each.status) for each in ran] == [("fail", "failed"), ("told", "succeeded")]
    assert len(failures) == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"queueing_lock": "x"}, "queueing_lock='x' could keep a failure from it"),
        ({"unique": ("failure",)}, "unique="),
        ({"debounce": 5}, "debounce="),
        ({"expires": 5}, "expires=5"),
        ({"limits": workrow.Limit(1, key="failure")}, "must have no key"),
    ],
)
def test_a_hook_that_could_miss_one_is_refused(app: workrow.App, options: Any, problem: str) -> None:
    @app.task(name="hook", **options)
    async def hook(failure: Failure) -> None: ...

    with pytest.raises(OptionError, match=problem):

        @app.task(name="fail", on_failure=hook)
        async def fail() -> None: ...


def test_what_is_no_hook_is_refused(app: workrow.App) -> None:
    def nothing() -> None: ...
    def two(failure: Failure, more: int) -> None: ...

    refused = ((nothing, "takes none"), (two, "takes failure, more"), (3, "must be a task"), ("", "non-empty"))
    for given, problem in refused:
        with pytest.raises(OptionError, match=problem):
            app.task(name=f"fail {given}", on_failure=given)(nothing)  # type: ignore[call-overload]
    app.task(name="fail", on_failure="elsewhere")(nothing)
    with pytest.raises(ConfigurationError, match=r"task fail: no task is named 'elsewhere' in this app"):
        app._worker()


def die(n: int) -> None:
    os._exit(3)


async def test_a_child_process_that_died(app: workrow.App, conn: Any) -> None:
    failures, hook = told(app)
    task: Any = app.task(name="die", run_in="process", on_failure=hook)(die)
    app.max_crashes = 2
    async with app.open_async():
        await task.enqueue(None, 1)
        await run(app)
    assert [(each.reason, each.crashes, each.args) for each in failures] == [("crashed", 2, {"n": 1})]


async def test_a_hook_whose_row_is_held_is_declared_later_and_keeps_no_other(
    open_app: workrow.App, conn: Any, database_url: str
) -> None:
    told(open_app, "old")
    failures, hook = told(open_app)

    for name in ("held", "free"):

        @open_app.task(name=name, on_failure=hook)
        async def broken() -> None:
            raise ValueError

    conn.execute(
        """INSERT INTO workrow.failure_hooks (task_name, hook_name, argument, queue_name, priority)
           VALUES ('held', 'old', 'failure', 'default', 0)"""
    )
    with psycopg.connect(database_url) as service:
        service.execute("SELECT FROM workrow.failure_hooks WHERE task_name = 'held' FOR UPDATE")
        await open_app.tasks["free"].defer_async()
        await run(open_app)
        assert [each.task for each in failures] == ["free"]
    await open_app.tasks["held"].defer_async()
    await run(open_app)
    assert [each.task for each in failures] == ["free", "held"]


@pytest.mark.parametrize("annotation", [int, str, list[str], datetime])
async def test_a_hook_that_takes_no_failure_keeps_the_worker_from_starting(
    open_app: workrow.App, annotation: type
) -> None:
    async def hook(failure: Any) -> None: ...

    hook.__annotations__["failure"] = annotation
    report = open_app.task(name="report")(hook)

    @open_app.task(name="break", on_failure=report)
    async def broken() -> None: ...

    told = (
        r"^on_failure of task break: report\(failure: .*\) -> None does not take a workrow.Failure: annotate 'failure'"
    )
    with pytest.raises(ConfigurationError, match=told):
        await run(open_app)


@pytest.mark.parametrize("annotation", [Failure, dict, dict[str, Any], Any, object, None, Failure | None])
async def test_what_a_hook_may_be_annotated_with(open_app: workrow.App, annotation: Any) -> None:
    seen: list[Any] = []

    async def hook(failure: Any) -> None:
        seen.append(failure)

    hook.__annotations__ = {} if annotation is None else {"failure": annotation}

    @open_app.task(name="break", on_failure=open_app.task(name="report")(hook))
    async def broken() -> None:
        raise ValueError("no")

    await broken.enqueue(None)
    await run(open_app)
    (failure,) = seen
    assert isinstance(failure, Failure if annotation in (Failure, Failure | None) else dict)
