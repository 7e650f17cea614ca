"""What becomes of jobs whose tasks fail, or say how they go on."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import row, run
from workrow import Discard, Retry, RetryLater, Rule, Snooze
from workrow.worker.finishing.writer import Writer

CLOSE = timedelta(seconds=15)


def due(found: dict[str, Any]) -> float:
    return float((found["scheduled_at"] - datetime.now(UTC)).total_seconds())


async def test_retry_later_names_the_time_and_counts(open_app: workrow.App, conn: Any) -> None:
    moments = [{"in_": 600}, {"at": datetime.now(UTC) + timedelta(hours=3)}]

    @open_app.task(name="later", retry=Retry(max_attempts=3, wait=0))
    async def later(ctx: workrow.JobContext) -> None:
        try:
            raise OSError("451 greylisted")
        except OSError as error:
            raise RetryLater("try again", **moments[ctx.job.attempts]) from error  # type: ignore[arg-type]

    job = await later.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"]) == ("todo", 1)
    assert 590 < due(found) < 601
    assert found["error"] == "try again: again in 600 s"
    assert found["error_type"] == "workrow.directives.RetryLater"
    assert "451 greylisted" in found["traceback"]
    conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 s'")
    await run(open_app)
    found = row(conn, job)
    assert found["scheduled_at"] == moments[1]["at"], "an absolute time is taken as it is, whatever this clock says"
    assert (found["attempts"], len(found["errors"])) == (2, 2)


async def test_retry_later_ends_at_max_attempts(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="later", retry=Retry(max_attempts=3))
    def later() -> None:
        raise RetryLater(in_=0)

    job = await later.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["discarded"]) == ("failed", 3, False)


async def test_discard_ends_the_job_with_its_reason(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @open_app.task(name="send", retry=True)
    async def send() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    async def fail() -> None:
        raise Discard("the user is gone")

    job = await send.enqueue(None)
    with caplog.at_level(logging.INFO):
        await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["discarded"]) == ("failed", 1, True)
    assert (found["error"], found["error_type"]) == ("the user is gone", "workrow.directives.Discard")
    told = [record for record in caplog.records if "the user is gone" in record.getMessage()]
    assert [(record.levelno, record.exc_info) for record in told] == [(logging.WARNING, None)]


async def test_a_snooze_is_no_attempt(open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture) -> None:
    ready = False

    @open_app.task(name="wait", retry=Retry(max_attempts=1), lock="one", queueing_lock="only")
    async def wait(ctx: workrow.JobContext) -> int:
        if not ready:
            raise Snooze("the shop is closed", in_=timedelta(hours=2))
        return ctx.job.attempts

    job = await wait.enqueue(None)
    with caplog.at_level(logging.WARNING, "workrow"):
        for claims in range(1, 4):
            await run(open_app)
            found = row(conn, job)
            assert (found["status"], found["attempts"], found["errors"]) == ("todo", 0, None)
            assert found["claims"] == claims
            assert 7190 < due(found) < 7201
            conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 s'")
    assert not caplog.records
    ready = True
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["result"], found["attempts"]) == ("succeeded", 0, 1)


async def test_a_snooze_gives_way_to_a_newer_job_under_the_same_queueing_lock(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="wait", queueing_lock="only")
    async def wait(first: bool) -> None:
        if first:
            await wait.options(delay=3600).enqueue(None, first=False)
            raise Snooze(in_=60)

    job = await wait.enqueue(None, first=True)
    await run(open_app)
    assert row(conn, job)["status"] == "cancelled"
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'").fetchone() == (1,)


async def test_a_job_that_is_asked_to_abort_does_not_snooze(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="wait")
    def wait(ctx: workrow.JobContext) -> None:
        conn.execute("SELECT workrow.cancel_job_v1(%s)", [ctx.job.id])
        raise Snooze(in_=60)

    job = await wait.enqueue(None)
    await run(open_app)
    assert row(conn, job)["status"] == "aborted"


@pytest.mark.parametrize("way", ["_snooze", "_retry"])
async def test_a_claim_that_a_crash_took_and_that_is_made_again_meanwhile_asks_for_no_abort(
    open_app: workrow.App, conn: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    @open_app.task(name="wait", retry=Retry(max_attempts=3, wait=0))
    def wait() -> None:
        ran.append(1)
        if len(ran) == 1:
            raise Snooze(in_=0.001) if way == "_snooze" else ValueError

    async def taken_and_made_again(self: Writer, outcomes: Any) -> Any:
        if taken:
            return await original(self, outcomes)
        taken.append(1)
        row = "procrastinate_jobs SET worker_id = %s, claims = claims + %s, status = %s"
        owner = conn.execute("SELECT worker_id FROM procrastinate_jobs").fetchone()[0]
        conn.execute(f"UPDATE {row}", [None, -1, "todo"])
        done = await original(self, outcomes)
        conn.execute(f"UPDATE {row}", [owner, 1, "doing"])
        return done

    ran, taken = list[int](), list[int]()
    original: Any = getattr(Writer, way)
    monkeypatch.setattr(Writer, way, taken_and_made_again)
    job = await wait.enqueue(None)
    await run(open_app)
    await run(open_app)
    assert (row(conn, job)["status"], len(ran), len(taken)) == ("succeeded", 2, 1)


RETRIED: dict[str, Callable[[], Exception]] = {
    "policy": lambda: ValueError("no"),
    "later": lambda: RetryLater(in_=60),
    "snooze": lambda: Snooze(in_=60),
}


@pytest.mark.parametrize("kind", RETRIED)
@pytest.mark.parametrize("known", [True, False], ids=["the worker knows", "it does not"])
async def test_the_log_says_what_becomes_of_who_is_asked_to_abort_and_raises(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture, kind: str, known: bool
) -> None:
    @open_app.task(name="try", retry=Retry(max_attempts=5, wait=60))
    def attempt(ctx: workrow.JobContext) -> None:
        conn.execute("SELECT workrow.cancel_job_v1(%s)", [ctx.job.id])
        deadline = time.monotonic() + 20
        while known and not ctx.should_abort():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        raise RETRIED[kind]()

    caplog.set_level("INFO")
    job = await attempt.enqueue(None)
    await open_app.run_worker_async(
        wait=False,
        install_signal_handlers=False,
        listen_notify=known,
        abort_job_polling_interval=0.05 if known else 60,
    )
    status = "aborted" if kind == "snooze" else "failed"
    assert row(conn, job)["status"] == status
    told = [each.getMessage() for each in caplog.records if f"try[{job.id}]" in each.getMessage()]
    if known:
        assert len(told) == 1
        assert "asked to" in told[0]
    else:
        assert f"asked to abort meanwhile, and ends as {status} instead of waiting again" in told[-1]
    assert not known or not any("to be retried" in each or "snoozes" in each for each in told)


@pytest.mark.parametrize("kind", ["snooze", "later", "discard"])
async def test_processes_can_say_it_too(open_app: workrow.App, conn: Any, kind: str) -> None:
    task = open_app.task(name=kind, run_in="process")(getattr(process_tasks, kind))
    job = await task.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["discarded"]) == {
        "snooze": ("todo", 0, False),
        "later": ("todo", 1, False),
        "discard": ("failed", 1, True),
    }[kind]


@pytest.mark.parametrize("end", [Snooze("x", in_=60), RetryLater("x", in_=60), Discard("x")])
async def test_a_transaction_is_rolled_back(database_url: str, conn: Any, end: Exception) -> None:
    engine = create_async_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    app = workrow.App(database_url, sessions=async_sessionmaker(engine))

    @app.task(name="later")
    async def other() -> None: ...

    @app.task(name="both", transactional=True)
    async def both(session: AsyncSession) -> None:
        await other.options(delay=3600).enqueue(session)
        raise end

    async with app.open_async():
        job = await both.enqueue(None)
        await run(app)
    await engine.dispose()
    found = row(conn, job)
    assert found["status"] == ("failed" if isinstance(end, Discard) else "todo")
    assert conn.execute("SELECT count(*) FROM workrow.jobs").fetchone() == (1,), "what it had enqueued is not there"


async def test_rules_decide_in_the_worker(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="mixed", retry=(Rule(OSError, wait=workrow.fixed(600)), Rule(ValueError, discard=True)))
    async def mixed(kind: str) -> None:
        raise {"os": OSError, "value": ValueError, "key": KeyError}[kind](kind)

    jobs = [await mixed.enqueue(None, kind) for kind in ("os", "value", "key")]
    await run(open_app)
    found = [row(conn, job) for job in jobs]
    assert [(each["status"], each["discarded"]) for each in found] == [
        ("todo", False),
        ("failed", True),
        ("failed", False),
    ]
    assert 590 < due(found[0]) < 601


async def test_a_policy_that_fails_itself_fails_the_job_and_no_more(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="odd", retry=Rule(lambda error: bool(1 / 0)))
    async def odd() -> None:
        raise OSError("the real error")

    job = await odd.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["error"]) == ("failed", "the real error")


async def test_errors_are_bounded_in_number(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="endless", retry=Retry(max_attempts=57, wait=0))
    async def endless(ctx: workrow.JobContext) -> None:
        raise ValueError(f"no. {ctx.job.attempts + 1}")

    job = await endless.enqueue(None)
    await run(open_app)
    found = row(conn, job)
    assert (found["status"], found["attempts"], found["error"]) == ("failed", 57, "no. 57")
    assert [each["attempt"] for each in found["errors"]] == [*range(1, 11), *range(48, 58)]
    assert [each.get("left_out") for each in found["errors"]] == [None] * 10 + [37] + [None] * 9


def entries(numbers: range) -> str:
    return json.dumps([{"attempt": n} for n in numbers])


@pytest.mark.parametrize("length", [0, 1, 19, 20, 21, 500])
def test_one_more_error(conn: psycopg.Connection[Any], length: int) -> None:
    errors = entries(range(length)) if length else None
    for more in range(length, length + 3):
        (errors,) = conn.execute(
            "SELECT workrow.with_error_v1(%s, %s)", [errors, json.dumps({"attempt": more})]
        ).fetchone()  # type: ignore[misc]
        assert isinstance(errors, list)
        kept = [each["attempt"] for each in errors]
        all_ = [*range(more + 1)]
        assert kept == (all_ if len(all_) <= 20 else all_[:10] + all_[-10:])
        assert sum(each.get("left_out", 0) for each in errors) == max(0, len(all_) - 20)
        errors = json.dumps(errors)


def test_crashes_are_bounded_like_attempts(conn: psycopg.Connection[Any]) -> None:
    conn.execute(
        """INSERT INTO procrastinate_jobs (id, queue_name, task_name, status, errors)
           VALUES (1, 'q', 't', 'doing', %s)""",
        [entries(range(20))],
    )
    for expected in ("queued", "quarantined"):
        assert conn.execute("SELECT workrow.crash_job_v1(1, true, 2, 'SIGKILL')").fetchone() == (expected,)
        (length,) = conn.execute("SELECT jsonb_array_length(errors) FROM workrow.jobs").fetchone()  # type: ignore[misc]
        assert length == 20
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")


async def test_a_snoozed_job_frees_its_place_under_a_limit(open_app: workrow.App, conn: Any) -> None:
    ran: list[int] = []

    @open_app.task(name="one", limits=workrow.Limit(1), retry=Retry(wait=600))
    async def one(n: int) -> None:
        ran.append(n)
        if len(ran) == 1:
            raise Snooze(in_=600)
        if len(ran) == 2:
            raise RetryLater(in_=600)

    jobs = [await one.enqueue(None, n) for n in range(3)]
    await run(open_app)
    assert ran == [0, 1, 2]
    found = [row(conn, job) for job in jobs]
    assert [(each["status"], each["attempts"]) for each in found] == [("todo", 0), ("todo", 1), ("succeeded", 1)]
    assert [590 < due(each) < 601 for each in found[:2]] == [True, True]
    conn.execute("UPDATE procrastinate_jobs SET due_at = now() - interval '1 s'")
    await run(open_app)
    assert sorted(ran[3:]) == [0, 1]
    assert [row(conn, job)["attempts"] for job in jobs] == [1, 2, 1]


async def test_an_expiry_bounds_snoozes(open_app: workrow.App, conn: Any) -> None:
    ran = 0

    @open_app.task(name="wait", expires=timedelta(hours=1))
    async def wait() -> None:
        nonlocal ran
        ran += 1
        raise Snooze(in_=600)

    job = await wait.enqueue(None)
    await run(open_app)
    assert (row(conn, job)["status"], ran) == ("todo", 1)
    conn.execute(
        "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '1 s', expires_at = now() - interval '1 s'"
    )
    await run(open_app)
    assert (row(conn, job)["status"], ran) == ("cancelled", 1)


@pytest.mark.parametrize(
    "errors",
    [
        *("null", '"3T("', "7", '{"a": 1}', "[1]", "[null]"),
        *(json.dumps([each] * 25) for each in (1, [], {"left_out": "x"}, {"left_out": 1e300}, {"left_out": -1.5})),
    ],
)
async def test_errors_that_were_written_by_hand_keep_no_job_from_its_end(
    open_app: workrow.App, conn: Any, errors: str
) -> None:
    @open_app.task(name="fail")
    async def fail() -> None:
        raise ValueError("no")

    job, late = await fail.enqueue_many(None, [{}] * 2)
    conn.execute("UPDATE procrastinate_jobs SET errors = %s", [errors])
    conn.execute("UPDATE procrastinate_jobs SET expires_at = '2000-01-01' WHERE id = %s", [late.id])
    async with asyncio.timeout(20):
        await run(open_app)
    ended = conn.execute("SELECT id, status, errors -> -1 ->> 'type' FROM workrow.history ORDER BY id").fetchall()
    assert ended == [(job.id, "failed", "ValueError"), (late.id, "cancelled", "workrow.Expired")]
