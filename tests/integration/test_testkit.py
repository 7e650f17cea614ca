"""The test kit: databases, draining, what is enqueued."""

import re
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import workrow
from workrow import testing


@pytest.fixture
def ledger() -> list[str]:
    return []


@pytest.fixture
def tasks(workrow_app: workrow.App, ledger: list[str]) -> dict[str, Any]:
    @workrow_app.task(name="mails.send", queue="mails")
    async def send(user_id: int, kind: str = "welcome") -> dict[str, int]:
        ledger.append(f"{kind} {user_id}")
        return {"to": user_id}

    @workrow_app.task(name="users.register", transactional=True)
    async def register(conn: psycopg.AsyncConnection[Any], user_id: int) -> str:
        await send.enqueue(conn, user_id=user_id)
        return "registered"

    @workrow_app.task(name="shaky", retry=workrow.Retry(max_attempts=2, wait=60))
    async def shaky() -> None:
        raise ZeroDivisionError("no")

    return {"send": send, "register": register, "shaky": shaky}


async def test_drain_runs_what_can_run_and_what_that_enqueues(
    workrow_jobs: testing.Harness, tasks: Any, ledger: list[str]
) -> None:
    await tasks["register"].enqueue(None, user_id=7)
    await tasks["send"].options(delay=60).enqueue(None, user_id=8)
    ran = await workrow_jobs.drain()
    assert [(each.task, each.status, each.result) for each in ran] == [
        ("users.register", "succeeded", "registered"),
        ("mails.send", "succeeded", {"to": 7}),
    ]
    assert ledger == ["welcome 7"]
    assert await workrow_jobs.drain() == []


async def test_reports_show_no_hidden_argument(workrow_jobs: testing.Harness, workrow_app: workrow.App) -> None:
    @workrow_app.task(name="hide", hide=("token", "return"))
    async def hide(n: int, token: str) -> str:
        return token

    await hide.enqueue(None, n=7, token="c4n4ry")
    (waits,) = await workrow_jobs.waiting()
    (ran,) = await workrow_jobs.drain()
    with testing.inline() as inline:
        await hide.enqueue(None, n=7, token="c4n4ry")
    assert ran.result == "c4n4ry"
    for report in (waits, ran, *inline):
        assert report.args == {"n": 7, "token": "c4n4ry"}
        for said in (str(report), repr(report)):
            assert "c4n4ry" not in said
            assert "***" in said
            assert "7" in said


async def test_run_next_runs_one_in_the_queues_order(workrow_jobs: testing.Harness, tasks: Any) -> None:
    await tasks["send"].enqueue(None, user_id=1)
    await tasks["send"].options(priority=5).enqueue(None, user_id=2)
    await tasks["shaky"].enqueue(None)
    first = await workrow_jobs.run_next(queues=["mails"])
    second = await workrow_jobs.run_next(queues=["mails"])
    assert first is not None
    assert second is not None
    assert (first.args["user_id"], second.args["user_id"]) == (2, 1)
    assert await workrow_jobs.run_next(queues=["mails"]) is None


async def test_drain_with_a_limit_and_until(workrow_jobs: testing.Harness, tasks: Any, ledger: list[str]) -> None:
    for user_id in range(5):
        await tasks["send"].enqueue(None, user_id=user_id)
    assert len(await workrow_jobs.drain(limit=2)) == 2
    assert len(await workrow_jobs.drain(until=lambda: "welcome 3" in ledger)) == 2
    await workrow_jobs.assert_enqueued(count=1)


async def test_a_result_that_is_not_kept_is_no_failure(workrow_jobs: testing.Harness, workrow_app: workrow.App) -> None:
    @workrow_app.task(name="opaque")
    async def opaque() -> object:
        return object()

    await opaque.enqueue(None)
    (ran,) = await workrow_jobs.drain()
    assert (ran.status, ran.result, ran.error and ran.error["type"]) == ("succeeded", None, "workrow.ResultNotKept")


async def test_a_failure_is_told_with_its_traceback(workrow_jobs: testing.Harness, tasks: Any) -> None:
    await tasks["shaky"].enqueue(None)
    with pytest.raises(
        testing.AttemptFailed, match=r"attempt 1 of shaky\(\) raised ZeroDivisionError: no; it will"
    ) as failure:
        await workrow_jobs.drain()
    assert "raise ZeroDivisionError" in str(failure.value)
    with workrow_jobs.clock.at() as clock:
        clock.jump(minutes=1)
        (ran,) = await workrow_jobs.drain(raise_on_failure=False)
    assert (ran.attempt, ran.status) == (2, "failed")


async def test_assert_enqueued_finds_by_task_arguments_queue_and_time(
    workrow_jobs: testing.Harness, tasks: Any
) -> None:
    send = tasks["send"]
    with workrow_jobs.clock.at("2027-01-01 12:00") as clock:
        await send.enqueue(None, user_id=1)
        await send.options(delay=timedelta(days=3)).enqueue(None, user_id=2, kind="reminder")
        (found,) = await workrow_jobs.assert_enqueued(send, args={"user_id": 2})
        assert found.at == clock.now() + timedelta(days=3)
        await workrow_jobs.assert_enqueued("mails.send", queue="mails", count=2)
        await workrow_jobs.assert_enqueued(send, at=clock.read("2027-01-04 12:00"), count=1)
        await workrow_jobs.assert_enqueued(send, within=timedelta(hours=1), count=1)
        await workrow_jobs.refute_enqueued(send, args={"user_id": 3})
        await workrow_jobs.refute_enqueued(tasks["shaky"])
        with pytest.raises(AssertionError) as failure:
            await workrow_jobs.assert_enqueued(send, args={"user_id": 3})
    assert str(failure.value) == (
        "expected mails.send(user_id=3) to be enqueued, but these 2 are waiting:\n"
        "  mails.send(user_id=1) in queue mails\n"
        "  mails.send(kind='reminder', user_id=2) in queue mails, at 2027-01-04T12:00:00+00:00"
    )


async def test_refute_says_what_is_there(workrow_jobs: testing.Harness, tasks: Any) -> None:
    await tasks["send"].enqueue(None, user_id=1)
    with pytest.raises(AssertionError, match="expected no mails.send"):
        await workrow_jobs.refute_enqueued(tasks["send"])
    with pytest.raises(AssertionError, match="enqueued 2 times, not 1"):
        await workrow_jobs.assert_enqueued(tasks["send"], count=2)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"task": "mails.sent"}, "no such task; did you mean 'mails.send'?"),
        ({"task": "mails.send", "args": {"user": 1}}, "no such argument; did you mean 'user_id'?"),
        ({"queue": 5}, "queue=5: must be the name of a queue"),
        ({"args": ["user_id"]}, "must be a mapping"),
        ({"at": "tomorrow"}, "must be a datetime with a time zone"),
        ({"at": datetime(2027, 1, 1)}, "must be a datetime with a time zone"),
        ({"within": -1}, "within=-1: must be a timedelta"),
        ({"within": timedelta(-1)}, "not below 0"),
    ],
)
async def test_what_no_job_can_be_like(
    workrow_jobs: testing.Harness, tasks: Any, wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(testing.TestingError, match=re.escape(message)):
        await workrow_jobs.refute_enqueued(**wanted)


async def test_an_uncommitted_session_is_looked_into(
    workrow_jobs: testing.Harness, tasks: Any, workrow_database: str
) -> None:
    engine = create_async_engine(workrow_database.replace("postgresql://", "postgresql+psycopg://"))
    async with AsyncSession(engine) as session:
        await tasks["send"].enqueue(session, user_id=1)
        await workrow_jobs.refute_enqueued()
        await workrow_jobs.assert_enqueued(tasks["send"], on=session, count=1)
        await session.rollback()
        await workrow_jobs.refute_enqueued(on=session)
    await engine.dispose()


async def test_a_task_that_enqueues_itself_for_ever_is_an_error(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workrow.testing.harness.ENDLESS", 20)

    @workrow_app.task(name="again")
    async def again() -> None:
        await again.enqueue(None)

    await again.enqueue(None)
    with pytest.raises(testing.TestingError, match="does again enqueue itself"):
        await workrow_jobs.drain()
