"""Schedules at run time: created, changed, paused, run and deleted, in the caller's transaction or one of their own."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import workrow
from workrow.errors import ScheduleExists, ScheduleNotFound
from workrow.maintenance.scheduler import Scheduler
from workrow.schedules import ScheduleState

HOUR = timedelta(hours=1)


@pytest.fixture
def task(open_app: workrow.App) -> Any:
    @open_app.task(name="report", queue="reports", priority=1)
    async def report(tenant: int, kind: str = "short") -> None: ...

    return report


def state(app: workrow.App, name: str = "s") -> ScheduleState:
    return next(each for each in app.schedules.list() if each.name == name)


def names(app: workrow.App) -> list[str]:
    return [each.name for each in app.schedules.list()]


def driver(url: str, name: str) -> str:
    return url.replace("postgresql://", f"postgresql+{name}://", 1)


async def test_what_was_given_is_kept(open_app: workrow.App, task: Any) -> None:
    before = datetime.now(UTC)
    await open_app.schedules.create_async(
        "s",
        task,
        cron="0 9 * * mon",
        timezone="Europe/Berlin",
        args={"tenant": 1},
        queue="slow",
        priority=7,
        missed="all",
        catch_up=5,
        max_late=2 * HOUR,
        overlap="queue",
        jitter=timedelta(seconds=30),
    )
    kept = state(open_app)
    assert (kept.task, kept.source, kept.cron, kept.every, kept.timezone) == (
        "report",
        "dynamic",
        "0 9 * * mon",
        None,
        "Europe/Berlin",
    )
    assert (kept.args, kept.queue, kept.priority) == ({"tenant": 1}, "slow", 7)
    assert (kept.missed, kept.catch_up, kept.max_late, kept.overlap) == ("all", 5, 2 * HOUR, "queue")
    assert kept.jitter == timedelta(seconds=30)
    assert kept.next_due_at is not None
    assert kept.next_due_at > before
    assert (kept.next_due_at.weekday(), kept.next_due_at.hour in (7, 8), kept.last_due_at) == (0, True, None)
    assert not kept.orphaned


async def on_psycopg(app: workrow.App, task: Any, end: bool) -> None:
    async with await psycopg.AsyncConnection.connect(app.database_url) as connection:
        await app.schedules.create_async("s", task, every=HOUR, args={"tenant": 1}, on=connection)
        await (connection.commit() if end else connection.rollback())


async def on_session(app: workrow.App, task: Any, end: bool, name: str = "psycopg") -> None:
    engine = create_async_engine(driver(app.database_url, name), poolclass=sa.NullPool)
    async with AsyncSession(engine) as session:
        await app.schedules.create_async("s", task, every=HOUR, jitter=HOUR / 2, args={"tenant": 1}, on=session)
        await app.schedules.update_async("s", every=2 * HOUR, on=session)
        assert [each.every for each in await app.schedules.list_async(on=session)] == [2 * HOUR]
        assert [each.args for each in await app.schedules.list_async(on=session)] == [{"tenant": 1}]
        assert (await app.schedules.run_now_async("s", on=session)).id
        await app.schedules.pause_async("s", by="me", on=session)
        assert await app.schedules.resume_async("s", on=session)
        await (session.commit() if end else session.rollback())


async def on_asyncpg(app: workrow.App, task: Any, end: bool) -> None:
    await on_session(app, task, end, "asyncpg")


async def on_sync_session(app: workrow.App, task: Any, end: bool) -> None:
    engine = sa.create_engine(driver(app.database_url, "psycopg2"), poolclass=sa.NullPool)
    with Session(engine) as session:
        app.schedules.create("s", task, every=HOUR, args={"tenant": 1}, on=session)
        app.schedules.update("s", every=2 * HOUR, on=session)
        assert app.schedules.run_now("s", on=session).id
        session.commit() if end else session.rollback()


@pytest.mark.parametrize("on", [on_psycopg, on_session, on_asyncpg, on_sync_session])
@pytest.mark.parametrize("end", [True, False])
async def test_it_joins_the_callers_transaction(
    on: Callable[[workrow.App, Any, bool], Any], end: bool, open_app: workrow.App, task: Any
) -> None:
    await on(open_app, task, end)
    assert names(open_app) == (["s"] if end else [])


@pytest.mark.parametrize("end", [True, False])
async def test_a_session_may_write_times_its_own_way(end: bool, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for setting in ("DateStyle TO 'German'", "IntervalStyle TO 'sql_standard'", "TimeZone TO 'Asia/Kathmandu'"):
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {setting}".encode())
    app = workrow.App(database_url)

    @app.task(name="report", queue="reports")
    async def report(tenant: int) -> None: ...

    async with app.open_async():
        await on_session(app, report, end)
        assert names(app) == (["s"] if end else [])
        async with await psycopg.AsyncConnection.connect(database_url) as session:
            before = datetime.now(UTC)
            assert await report.options(delay=HOUR).enqueue_copy(session, [{"tenant": 1}]) == 1
            query = "SELECT extract(EPOCH FROM max(scheduled_at)) FROM procrastinate_jobs"
            (start,) = await (await session.execute(query)).fetchone() or (0,)
            assert HOUR <= datetime.fromtimestamp(float(start), UTC) - before < 2 * HOUR


async def test_the_blocking_twins(open_app: workrow.App, task: Any) -> None:
    def twins() -> list[Any]:
        schedules = open_app.schedules
        schedules.create("s", "report", every=HOUR, args={"tenant": 1})
        schedules.update("s", every=2 * HOUR)
        schedules.pause("s", by="ada", reason="quarter's end")
        paused = schedules.list()[0]
        seen: list[Any] = [paused.paused_by, paused.pause_reason, paused.next_due_at, schedules.resume("s")]
        seen += [schedules.resume("s"), schedules.run_now("s").queue, schedules.list()[0].every]
        schedules.delete("s")
        return [*seen, *schedules.list()]

    assert await asyncio.to_thread(twins) == ["ada", "quarter's end", None, True, False, "reports", 2 * HOUR]


async def test_changes_keep_what_they_do_not_name(open_app: workrow.App, task: Any) -> None:
    schedules = open_app.schedules
    await schedules.create_async("s", task, cron="0 9 * * *", timezone="Asia/Tokyo", args={"tenant": 1}, overlap="skip")
    before = state(open_app)
    await schedules.update_async("s", args={"tenant": 2}, priority=3)
    changed = state(open_app)
    assert (changed.args, changed.priority, changed.overlap) == ({"tenant": 2}, 3, "skip")
    assert (changed.cron, changed.timezone, changed.next_due_at) == ("0 9 * * *", "Asia/Tokyo", before.next_due_at)
    await schedules.update_async("s", every=HOUR)
    changed = state(open_app)
    assert (changed.cron, changed.timezone, changed.every) == (None, None, HOUR)
    assert changed.next_due_at is not None
    assert changed.next_due_at - datetime.now(UTC) <= HOUR
    await schedules.update_async("s", missed="all", overlap="allow", catch_up=3)
    await schedules.update_async("s", missed="once")
    assert (state(open_app).missed, state(open_app).catch_up) == ("once", None)


async def test_run_now_is_a_job_out_of_turn_that_overlap_counts(open_app: workrow.App, task: Any, conn: Any) -> None:
    await open_app.schedules.create_async("s", task, every=HOUR, args={"tenant": 1}, overlap="queue", priority=9)
    before = state(open_app)
    await open_app.schedules.pause_async("s")
    job = await open_app.schedules.run_now_async("s")
    row = conn.execute("SELECT id, queue_name, priority, lock, args FROM procrastinate_jobs").fetchone()
    assert row == (job.id, "reports", 9, "schedule:s", {"tenant": 1})
    await open_app.schedules.resume_async("s")
    after = state(open_app)
    assert (after.last_job_id, after.last_due_at) == (job.id, None)
    assert before.last_job_id is None


async def test_what_comes_due_during_a_pause_is_not_made_up_for(open_app: workrow.App, task: Any, conn: Any) -> None:
    await open_app.schedules.create_async("s", task, every=HOUR, args={"tenant": 1}, missed="all")
    conn.execute("UPDATE workrow.timetable SET last_tick = now() - interval '5 h', next_due = now() - interval '4 h'")
    await open_app.schedules.pause_async("s")
    await Scheduler(open_app.connector, [task]).run_once()
    await open_app.schedules.resume_async("s")
    await Scheduler(open_app.connector, [task]).run_once()
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    resumed = state(open_app)
    assert resumed.next_due_at is not None
    assert timedelta(0) < resumed.next_due_at - datetime.now(UTC) <= HOUR


async def test_names_are_unique_and_the_transaction_stays_usable(
    open_app: workrow.App, task: Any, aconn: psycopg.AsyncConnection
) -> None:
    await open_app.schedules.create_async("s", task, every=HOUR, args={"tenant": 1})
    with pytest.raises(ScheduleExists, match="schedule 's': the name is taken"):
        await open_app.schedules.create_async("s", task, every=HOUR, args={"tenant": 1}, on=aconn)
    await open_app.schedules.create_async("t", task, every=HOUR, args={"tenant": 1}, on=aconn)
    await aconn.commit()
    assert names(open_app) == ["s", "t"]


async def test_two_who_create_the_same_name_at_once(open_app: workrow.App, task: Any) -> None:
    creations = [open_app.schedules.create_async("s", task, every=HOUR, args={"tenant": n}) for n in range(8)]
    results = await asyncio.gather(*creations, return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["NoneType"] + ["ScheduleExists"] * 7


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.pause_async("x"), ScheduleNotFound, "schedule 'x': there is none of that name"),
        (lambda s: s.resume_async("x"), ScheduleNotFound, "'x'"),
        (lambda s: s.update_async("x", priority=1), ScheduleNotFound, "'x'"),
        (lambda s: s.run_now_async("x"), ScheduleNotFound, "'x'"),
        (lambda s: s.delete_async("x"), ScheduleNotFound, "'x'"),
        (lambda s: s.create_async("", "report", every=HOUR), workrow.OptionError, "name=''"),
        (lambda s: s.create_async("n" * 201, "report", every=HOUR), workrow.OptionError, "1 to 200 characters"),
        (lambda s: s.create_async("n", "reprt", every=HOUR), workrow.OptionError, "task='reprt': this app has no such"),
        (
            lambda s: s.create_async("n", "report", every=HOUR),
            workrow.OptionError,
            "missing .* 'tenant'",
        ),
        (
            lambda s: s.create_async("n", "report", every=HOUR, args={"tenant": 1, "size": 2}),
            workrow.OptionError,
            "unexpected keyword argument 'size'",
        ),
        (
            lambda s: s.create_async("n", "report", every=HOUR, args={"tenant": object()}),
            workrow.OptionError,
            "schedule 'n': .*tenant",
        ),
        (
            lambda s: s.create_async("n", "report", every=HOUR, args={"tenant": 1}, prioritty=5),
            workrow.OptionError,
            "unknown option prioritty=5: did you mean 'priority'",
        ),
        (lambda s: s.create_async("n", "report", args={"tenant": 1}), workrow.OptionError, "needs cron='…' or every="),
        (
            lambda s: s.create_async("n", "report", cron="0 9 * * *", timezone="Europe/Berln", args={"tenant": 1}),
            workrow.OptionError,
            "timezone='Europe/Berln': no such time zone",
        ),
        (
            lambda s: s.create_async("n", "report", every=HOUR, queue="q" * 129, args={"tenant": 1}),
            workrow.OptionError,
            "has 129 characters",
        ),
        (lambda s: s.update_async("declared", every=HOUR), workrow.OptionError, "change it in the code"),
        (lambda s: s.delete_async("declared"), workrow.OptionError, "take it out of the code, or pause it"),
    ],
)
async def test_what_cannot_be_is_refused(
    open_app: workrow.App, task: Any, call: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    @open_app.task(name="declared", cron="0 9 * * *")
    async def declared() -> None: ...

    await Scheduler(open_app.connector, [declared]).start()
    with pytest.raises(error, match=message):
        await call(open_app.schedules)
    assert names(open_app) == ["declared"]


async def test_a_declared_one_is_paused_across_restarts_and_deleted_when_the_code_is_gone(
    open_app: workrow.App, conn: Any
) -> None:
    @open_app.task(name="declared", every=HOUR)
    async def declared() -> None: ...

    await Scheduler(open_app.connector, [declared]).start()
    await open_app.schedules.pause_async("declared", by="ada", reason="maintenance")
    conn.execute("UPDATE workrow.timetable SET last_tick = now() - interval '1 h', next_due = now() - interval '1 h'")
    restarted = Scheduler(open_app.connector, [declared])
    await restarted.start()
    await restarted.run_once()
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    assert (state(open_app, "declared").paused_by, state(open_app, "declared").pause_reason) == ("ada", "maintenance")
    conn.execute("UPDATE workrow.timetable SET declared_at = now() - interval '1 h'")
    await open_app.schedules.delete_async("declared")
    assert names(open_app) == []


async def test_a_dynamic_one_keeps_its_name(open_app: workrow.App, task: Any, caplog: pytest.LogCaptureFixture) -> None:
    @open_app.task(name="declared", every=HOUR)
    async def declared() -> None: ...

    await open_app.schedules.create_async("declared", task, every=2 * HOUR, args={"tenant": 1})
    await Scheduler(open_app.connector, [declared, task]).start()
    assert (state(open_app, "declared").task, state(open_app, "declared").source) == ("report", "dynamic")
    assert "the schedule declared is declared by a task, but the database has a dynamic one" in caplog.text


def test_operators_pause_resume_and_delete_in_sql(database_url: str, conn: psycopg.Connection[Any]) -> None:
    app = workrow.App(database_url)

    @app.task(name="report")
    async def report() -> None: ...

    app.schedules.create("s", report, every=HOUR)
    assert conn.execute("SELECT workrow.pause_schedule_v1('s', 'ops', 'disk full')").fetchone() == (True,)
    assert state(app).paused_by == "ops"
    assert conn.execute("SELECT workrow.pause_schedule_v1('x')").fetchone() == (False,)
    assert conn.execute("SELECT workrow.resume_schedule_v1('s')").fetchone() == (True,)
    assert conn.execute("SELECT workrow.resume_schedule_v1('s')").fetchone() == (False,)
    assert conn.execute("SELECT workrow.delete_schedule_v1('s')").fetchone() == (True,)
    assert app.schedules.list() == []
    app.connector.get_sync_connector().close()


async def test_a_declared_one_can_be_deleted_once_its_workers_are_gone(open_app: workrow.App, conn: Any) -> None:
    @open_app.task(name="declared", every=HOUR)
    async def declared() -> None: ...

    await Scheduler(open_app.connector, [declared]).start()
    gone = "SELECT workrow.delete_schedule_v1('declared')"
    conn.execute("INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (7)")
    conn.execute(
        "INSERT INTO workrow.worker_details (worker_id, name, host, pid, concurrency, version, started_at) "
        "VALUES (7, 'w', 'h', 1, 1, '1', now() - interval '1 h')"
    )
    for age, workers_since in (("89 s", "1 s"), ("4 min", "1 h")):
        conn.execute("UPDATE workrow.timetable SET declared_at = now() - CAST(%s AS interval)", [age])
        conn.execute("UPDATE workrow.worker_details SET started_at = now() - CAST(%s AS interval)", [workers_since])
        assert conn.execute(gone).fetchone() == (False,)
        with pytest.raises(workrow.OptionError, match="can be deleted 90 s after the last worker that declares it"):
            await open_app.schedules.delete_async("declared")
    # all workers that are alive have started since, and none of them has declared it
    conn.execute("UPDATE workrow.worker_details SET started_at = now() - interval '3 min'")
    assert conn.execute(gone).fetchone() == (True,)
