"""Schedules are ticked once for each due time, whoever else ticks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_heart import Running, until
from workrow import sql
from workrow.maintenance import scheduler
from workrow.maintenance.scheduler import BATCH, LONGEST_SLEEP, Scheduler

HOUR = timedelta(hours=1)


class Ticker:
    """Schedules of an app, and a past that is made by moving their rows back."""

    def __init__(self, app: workrow.App, conn: psycopg.Connection[Any]) -> None:
        self.app, self.conn = app, conn

    def scheduler(self, max_delay: timedelta = timedelta(minutes=10)) -> Scheduler:
        tasks = {id(task): task for task in self.app.tasks.values() if isinstance(task, workrow.Task)}
        return Scheduler(self.app.connector, tasks.values(), max_delay)

    async def declare(self) -> None:
        await self.scheduler().start()

    def miss(self, interval: timedelta) -> None:
        """As if the last tick had been this long ago, and none of the due times since were dealt with."""
        self.conn.execute(
            "UPDATE workrow.timetable SET last_tick = now() - %(i)s, next_due = now() - %(i)s", {"i": interval}
        )

    def jobs(self) -> list[dict[str, Any]]:
        rows = self.conn.execute(
            "SELECT args, scheduled_at, lock, queue_name, priority FROM procrastinate_jobs ORDER BY id"
        )
        names = ("args", "scheduled_at", "lock", "queue", "priority")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def due(self) -> list[datetime]:
        return [datetime.fromtimestamp(job["args"]["timestamp"], UTC) for job in self.jobs()]

    def state(self, name: str = "ticking") -> Any:
        return next(each for each in self.app.schedules.list() if each.name == name)


@pytest.fixture
def ticker(open_app: workrow.App, conn: psycopg.Connection[Any]) -> Ticker:
    return Ticker(open_app, conn)


def declare(app: workrow.App, schedule: workrow.Schedule | list[workrow.Schedule], **options: Any) -> Any:
    @app.task(name="ticking", schedule=schedule, **options)
    async def ticking(timestamp: int, who: str = "all") -> None: ...

    return ticking


def hourly(**options: Any) -> workrow.Schedule:
    """Due once an hour, and not now: twenty minutes ago, and in forty."""
    return workrow.Schedule(cron=f"{(datetime.now(UTC) - timedelta(minutes=20)).minute} * * * *", **options)


async def test_nothing_is_made_up_for_before_it_was_declared(ticker: Ticker) -> None:
    declare(ticker.app, hourly(missed="all"))
    await ticker.declare()
    assert await ticker.scheduler().run_once() == LONGEST_SLEEP
    assert ticker.jobs() == []
    state = ticker.state()
    assert timedelta(minutes=38) < state.next_due_at - datetime.now(UTC) < timedelta(minutes=41)
    assert state.cron.endswith(" * * * *")
    assert (state.source, state.orphaned, state.last_job_id) == ("declared", False, None)


async def test_each_due_time_is_enqueued_once_by_whoever_comes(ticker: Ticker) -> None:
    declare(ticker.app, hourly(missed="all"), queue="clock", priority=5)
    await ticker.declare()
    ticker.miss(10 * HOUR)
    schedulers = [ticker.scheduler() for _ in range(5)]
    for _ in range(2):
        await asyncio.gather(*(each.run_once() for each in schedulers))
    due = ticker.due()
    assert due == [due[0] + n * HOUR for n in range(10)]
    assert {(job["queue"], job["priority"], job["scheduled_at"]) for job in ticker.jobs()} == {("clock", 5, None)}
    state = ticker.state()
    assert (state.last_due_at, state.next_due_at, state.skipped) == (due[-1], due[-1] + HOUR, 0)
    assert ticker.conn.execute("SELECT max(id) FROM procrastinate_jobs").fetchone() == (state.last_job_id,)


@pytest.mark.parametrize(
    ("options", "made_up", "skipped"),
    [
        ({}, 0, 5),  # the latest is older than ten minutes
        ({"missed": "skip"}, 0, 5),
        ({"missed": "once", "max_late": HOUR}, 1, 4),
        ({"missed": "all"}, 5, 0),
        ({"missed": "all", "catch_up": 3}, 3, 2),
    ],
)
async def test_what_was_missed_is_made_up_for_as_it_says(
    ticker: Ticker, options: dict[str, Any], made_up: int, skipped: int, caplog: pytest.LogCaptureFixture
) -> None:
    declare(ticker.app, hourly(**options))
    await ticker.declare()
    ticker.miss(5 * HOUR)
    await ticker.scheduler().run_once()
    assert len(ticker.due()) == made_up
    state = ticker.state()
    assert (state.skipped, state.skip_reason) == (skipped, "missed" if skipped else None)
    assert ("5 due times skipped" in caplog.text) is (skipped == 5)


@pytest.mark.parametrize("kind", ["queue", "task"])
@pytest.mark.parametrize("overlap", ["allow", "queue"])
async def test_schedules_do_not_pile_up_behind_a_pause(ticker: Ticker, kind: str, overlap: Any) -> None:
    declare(
        ticker.app,
        [hourly(max_late=HOUR, overlap=overlap), hourly(name="all", missed="all")],
        queue="reports",
    )
    await ticker.declare()
    await getattr(ticker.app, f"pause_{kind}_async")("reports" if kind == "queue" else "ticking")
    for _ in range(3):
        ticker.miss(HOUR)
        await ticker.scheduler().run_once()
    assert len(ticker.jobs()) == 1 + 3
    state = ticker.state()
    assert (state.skipped, state.skip_reason) == (2, "paused")
    assert ticker.state("ticking:all").skipped == 0
    # one that runs since before the pause is no job that waits; and after the pause all is as ever
    ticker.conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    ticker.miss(HOUR)
    await ticker.scheduler().run_once()
    await getattr(ticker.app, f"resume_{kind}_async")("reports" if kind == "queue" else "ticking")
    ticker.miss(HOUR)
    await ticker.scheduler().run_once()
    assert len(ticker.jobs()) == 3 + 5
    assert ticker.state().skipped == 2


async def test_the_app_says_how_late_is_too_late(ticker: Ticker) -> None:
    declare(ticker.app, hourly())
    await ticker.declare()
    ticker.miss(HOUR)
    await ticker.scheduler(max_delay=timedelta(minutes=25)).run_once()
    assert len(ticker.due()) == 1


async def test_a_due_time_is_skipped_while_the_former_job_is_open(ticker: Ticker) -> None:
    declare(ticker.app, hourly(overlap="skip", max_late=HOUR))
    await ticker.declare()
    for status in (None, "todo", "doing", "over"):
        if status == "doing":
            ticker.conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
        elif status == "over":
            ticker.conn.execute("DELETE FROM procrastinate_jobs")
        before = len(ticker.jobs())
        ticker.miss(HOUR)
        await ticker.scheduler().run_once()
        assert len(ticker.jobs()) - before == (status in (None, "over")), status
    state = ticker.state()
    assert (state.skipped, state.skip_reason) == (2, "overlap")
    assert state.last_skipped_at == state.last_due_at  # the same due time again, as the test moved the row back


async def test_overlap_queue_runs_one_after_the_other(ticker: Ticker) -> None:
    declare(ticker.app, hourly(overlap="queue", missed="all"))
    await ticker.declare()
    ticker.miss(3 * HOUR)
    await ticker.scheduler().run_once()
    assert [job["lock"] for job in ticker.jobs()] == ["schedule:ticking"] * 3
    assert ticker.due() == sorted(ticker.due())


async def test_jitter_is_the_same_for_every_worker(ticker: Ticker) -> None:
    declare(ticker.app, hourly(missed="all", jitter=timedelta(minutes=5)))
    await ticker.declare()
    for _ in range(2):
        ticker.miss(24 * HOUR)
        await ticker.scheduler().run_once()
    delays = [job["scheduled_at"] - due for job, due in zip(ticker.jobs(), ticker.due(), strict=True)]
    by_due = {
        due: {job["scheduled_at"] for job in ticker.jobs() if job["args"]["timestamp"] == due.timestamp()}
        for due in ticker.due()
    }
    assert all(len(starts) == 1 for starts in by_due.values())
    assert len(by_due) == 24
    assert all(timedelta(0) <= delay < timedelta(minutes=5) for delay in delays)
    assert max(delays) - min(delays) > timedelta(minutes=2)


async def test_a_queueing_lock_skips_the_due_time_and_says_so(ticker: Ticker) -> None:
    declare(ticker.app, hourly(missed="all"), queueing_lock="one")
    await ticker.declare()
    ticker.miss(3 * HOUR)
    await ticker.scheduler().run_once()
    assert len(ticker.jobs()) == 1
    state = ticker.state()
    assert state.skipped == 2
    assert state.skip_reason.startswith("AlreadyEnqueued: ticking: a job with queueing_lock='one'")
    assert state.last_due_at < state.last_skipped_at


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ({"unique": workrow.Unique(by=None)}, True),
        ({"throttle": workrow.Throttle(1, per=86400)}, True),
        ({"unique": workrow.Unique(by=None, on_conflict="replace")}, False),
        ({"debounce": 3600}, False),
    ],
)
async def test_due_times_that_a_rule_refuses_are_counted(ticker: Ticker, rule: dict[str, Any], refused: bool) -> None:
    declare(ticker.app, hourly(missed="all"), **rule)
    await ticker.declare()
    ticker.miss(3 * HOUR)
    await ticker.scheduler().run_once()
    state = ticker.state()
    (job,) = ticker.conn.execute("SELECT min(id) FROM procrastinate_jobs").fetchone() or ()
    if refused:
        assert (state.skipped, state.skip_reason) == (2, f"refused: job {job} counts as the same under the task's rule")
    else:
        assert (state.skipped, state.skip_reason) == (0, None)
    if "debounce" not in rule:
        assert len(ticker.jobs()) == 1


async def test_one_that_cannot_be_enqueued_holds_back_no_other(ticker: Ticker) -> None:
    @ticker.app.task(name="ticking")
    async def ticking(who: str) -> None: ...

    for who in ("a", "b", "c"):
        await ticker.app.schedules.create_async(
            who, ticking, cron="0 0 1 1 *", max_late=400 * 24 * HOUR, args={"who": who}
        )
    ticker.conn.execute("""UPDATE workrow.timetable SET args = '{"wrong": 1}' WHERE name = 'b'""")
    ticker.miss(366 * 24 * HOUR)
    await ticker.scheduler().run_once()
    assert [job["args"]["who"] for job in ticker.jobs()] == ["a", "c"]
    state = ticker.state("b")
    assert (state.skipped, state.last_due_at) == (1, None)
    assert "got an unexpected keyword argument 'wrong'" in state.skip_reason or "missing" in state.skip_reason


async def test_a_zone_that_this_machine_does_not_have_holds_back_no_other(ticker: Ticker) -> None:
    declare(ticker.app, [hourly(missed="all", name="a"), hourly(missed="all", name="b")])
    await ticker.declare()
    ticker.conn.execute("UPDATE workrow.timetable SET timezone = 'Europe/Atlantis' WHERE name = 'ticking:a'")
    ticker.miss(2 * HOUR)
    await ticker.scheduler().run_once()
    assert len(ticker.jobs()) == 2
    assert "no such time zone" in ticker.state("ticking:a").skip_reason


async def test_several_schedules_of_a_task_have_their_own_arguments(ticker: Ticker) -> None:
    declare(ticker.app, [hourly(missed="all", name=who, args={"who": who}, queue=who) for who in ("eu", "us")])
    await ticker.declare()
    ticker.miss(HOUR)
    await ticker.scheduler().run_once()
    assert {(job["args"]["who"], job["queue"]) for job in ticker.jobs()} == {("eu", "eu"), ("us", "us")}
    assert [each.name for each in await ticker.app.schedules.list_async()] == ["ticking:eu", "ticking:us"]


async def test_other_due_times_in_new_code_count_from_now(ticker: Ticker, conn: psycopg.Connection[Any]) -> None:
    declare(ticker.app, hourly(missed="all"))
    await ticker.declare()
    ticker.miss(3 * HOUR)
    successor = workrow.App(ticker.app.database_url)
    declare(successor, workrow.Schedule(every=HOUR / 2, missed="all"))
    async with successor.open_async():
        new = Ticker(successor, conn)
        await new.declare()
        await new.scheduler().run_once()
        assert ticker.jobs() == []
        assert new.state().every == HOUR / 2
        # and the same due times in new code miss nothing
        new.miss(2 * HOUR)
        await new.declare()
        await new.scheduler().run_once()
        assert len(ticker.jobs()) == 4


async def test_what_version_3_ticked_is_not_ticked_again(ticker: Ticker, conn: psycopg.Connection[Any]) -> None:
    declare(ticker.app, hourly(missed="all"))
    # a worker of version 3 knows of name and last_tick only
    conn.execute(
        """INSERT INTO workrow.schedules (name, last_tick) VALUES ('ticking', now() - interval '3 hours')
           ON CONFLICT (name) DO NOTHING"""
    )
    await ticker.declare()
    await ticker.scheduler().run_once()
    assert len(ticker.due()) == 3
    ticker.miss(2 * HOUR)
    last = ticker.due()[-1]
    ticked = conn.execute(
        """UPDATE workrow.schedules AS schedule SET last_tick = %(t)s
           WHERE name = 'ticking' AND last_tick < %(t)s RETURNING schedule.name""",
        {"t": last},
    )
    assert ticked.fetchone() == ("ticking",)
    await ticker.scheduler().run_once()
    assert len(ticker.due()) == 3
    assert ticker.state().next_due_at == last + HOUR


async def test_a_schedule_without_code_stops_and_is_shown(ticker: Ticker, conn: psycopg.Connection[Any]) -> None:
    declare(ticker.app, hourly(missed="all"))
    await ticker.declare()
    ticker.miss(HOUR)
    conn.execute("UPDATE workrow.timetable SET declared_at = now() - interval '6 minutes'")
    assert ticker.state().orphaned
    assert await Scheduler(ticker.app.connector, []).run_once() == LONGEST_SLEEP
    assert ticker.jobs() == []
    await ticker.scheduler().run_once()  # the code is back
    assert len(ticker.jobs()) == 1
    assert not ticker.state().orphaned


class Release:
    """An app as one release has it, with a worker that ticks."""

    def __init__(self, ticker: Ticker, every: timedelta, **options: Any) -> None:
        app = workrow.App(ticker.app.database_url)
        declare(app, workrow.Schedule(every=every), **options)
        app.connector = ticker.app.connector
        self._conn = ticker.conn
        self._scheduler = Ticker(app, ticker.conn).scheduler()
        self._worker_id = 0

    async def start(self) -> None:
        self.register()
        await self._scheduler.start()

    def register(self) -> None:
        details = {"name": "w", "host": "h", "pid": 1, "queues": None, "concurrency": 1, "version": "1", "lease": 20}
        found = self._conn.execute(sql.load("register_worker"), {**details, "tasks": ["ticking"]}).fetchone()
        assert found is not None
        self._worker_id = found[0]
        self._scheduler.works_for(found[0])

    async def touch(self) -> None:
        self._scheduler._touched = -scheduler.TOUCH_SECONDS - time.monotonic()
        await self._scheduler.run_once()

    def end(self) -> None:
        self._conn.execute(sql.load("unregister_worker"), {"worker_id": self._worker_id})


class TestTwoReleases:
    """What the youngest worker declares is in force."""

    async def test_an_old_one_that_came_later_and_left_leaves_no_line_behind(self, ticker: Ticker) -> None:
        new, old = Release(ticker, 2 * HOUR), Release(ticker, HOUR)
        await new.start()
        await old.start()
        await new.touch()
        assert ticker.state().every == HOUR
        old.end()
        await new.touch()
        assert ticker.state().every == 2 * HOUR
        due = ticker.state().next_due_at
        assert due is not None
        assert due.timestamp() % (2 * HOUR).total_seconds() == 0
        due = ticker.state().next_due_at
        await new.touch()
        assert ticker.state().next_due_at == due, "saying the same again moves nothing"

    async def test_an_older_worker_changes_nothing_while_a_younger_one_lives(self, ticker: Ticker) -> None:
        old, new, another = Release(ticker, HOUR), Release(ticker, 2 * HOUR), Release(ticker, 2 * HOUR)
        for each in (old, new, another):
            await each.start()
        new.end()  # it has crashed, and another of its release goes on
        await old.touch()
        assert ticker.state().every == 2 * HOUR
        old.end()
        old.register()  # its lease was lost
        await old.touch()
        assert ticker.state().every == 2 * HOUR
        another.end()
        await old.touch()
        assert ticker.state().every == HOUR

    async def test_a_worker_does_so(
        self, open_app: workrow.App, ticker: Ticker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scheduler, "TOUCH_SECONDS", 0)
        declare(open_app, workrow.Schedule(every=2 * HOUR))
        async with Running(open_app, listen_notify=False):
            await until(lambda: ticker.app.schedules.list())
            old = Release(ticker, HOUR)
            await old.start()
            assert ticker.state().every == HOUR
            old.end()
            await until(lambda: ticker.state().every == 2 * HOUR)


async def test_a_row_that_was_deleted_while_code_declares_it_comes_back(ticker: Ticker, conn: Any) -> None:
    declare(ticker.app, hourly())
    await ticker.declare()
    conn.execute("DELETE FROM workrow.timetable")
    await ticker.scheduler().run_once()
    assert ticker.state().next_due_at is not None


@pytest.mark.parametrize("by", ["worker", "pause", "operator"])
async def test_who_was_stopped_between_looking_and_enqueueing_does_nothing_that_others_have_changed(
    ticker: Ticker, conn: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    declare(ticker.app, hourly(missed="all"))
    await ticker.declare()
    ticker.miss(HOUR)
    slow = ticker.scheduler()
    run = slow._run

    async def stopped(statement: str, **params: Any) -> Any:
        if statement == "tick_schedules":
            # nothing is held meanwhile
            if by == "worker":
                await ticker.scheduler().run_once()
            elif by == "pause":
                await ticker.app.schedules.pause_async("ticking")
            else:
                conn.execute("UPDATE workrow.timetable SET args = '{}'")
        return await run(statement, **params)

    monkeypatch.setattr(slow, "_run", stopped)
    assert await slow._tick([]) == 0
    assert len(ticker.jobs()) == (by == "worker")
    assert ticker.state().skipped == 0


@pytest.mark.parametrize("rule", [{}, {"unique": workrow.Unique(by=None)}, {"queueing_lock": "one"}])
async def test_nothing_is_held_while_a_task_blocks_the_event_loop(ticker: Ticker, conn: Any, rule: Any) -> None:
    declare(ticker.app, hourly(missed="all"), **rule)
    conn.execute("SET lock_timeout = '5s'; SET default_transaction_isolation = 'read committed'")

    async def beside_a_task_that_does_not_await(work: Any) -> None:
        working = asyncio.create_task(work)
        while not working.done():
            conn.execute("SELECT FROM workrow.timetable FOR UPDATE")
            with conn.transaction(force_rollback=True):
                conn.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, unique_key) "
                    "SELECT 'q', 'theirs', queueing_lock, unique_key FROM keys ON CONFLICT DO NOTHING"
                )
            await asyncio.sleep(0)
        await working

    conn.execute("CREATE TEMPORARY TABLE keys (queueing_lock text, unique_key text)")
    scheduler = ticker.scheduler()
    await beside_a_task_that_does_not_await(scheduler.start())
    ticker.miss(HOUR)
    await scheduler.run_once()
    conn.execute("INSERT INTO keys SELECT queueing_lock, unique_key FROM procrastinate_jobs")
    conn.execute("DELETE FROM procrastinate_jobs")
    conn.execute("UPDATE workrow.timetable SET declared_at = NULL")
    ticker.miss(HOUR)
    again = ticker.scheduler()
    await beside_a_task_that_does_not_await(again.run_once())
    assert len(ticker.jobs()) == 1


async def test_a_batch_of_due_times_that_is_refused_is_tried_one_by_one(ticker: Ticker, conn: Any) -> None:
    declare(ticker.app, hourly(missed="all"))
    await ticker.declare()
    conn.execute("SELECT workrow.set_queue_v1('default', 2)")
    conn.execute("ALTER TABLE procrastinate_jobs ADD CHECK (CAST(args ->> 'timestamp' AS bigint) % 7200 >= 3600)")
    ticker.miss(6 * HOUR)
    await ticker.scheduler().run_once()
    state = ticker.state()
    assert len(ticker.jobs()) == 2
    assert state.skipped == 4
    assert state.last_due_at == max(ticker.due())
    full = "QueueFull: ticking: the queue 'default' has no room for 1 more: 2 jobs wait, at most 2 may"
    assert state.skip_reason.startswith((full, "CheckViolation"))


async def test_due_times_run_no_hooks(ticker: Ticker) -> None:
    ran = []

    @ticker.app.around_enqueue
    def note(enqueue: Any) -> Any:
        ran.append(enqueue)
        yield

    declare(ticker.app, hourly(missed="all"))
    await ticker.declare()
    ticker.miss(HOUR)
    await ticker.scheduler().run_once()
    assert (len(ticker.jobs()), ran) == (1, [])


async def test_very_many_are_ticked_in_batches(ticker: Ticker, conn: Any) -> None:
    @ticker.app.task(name="ticking")
    async def ticking(n: int) -> None: ...

    await ticker.app.schedules.create_async("first", ticking, cron="0 0 1 1 *", max_late=400 * 24 * HOUR, args={"n": 0})
    columns = "dynamic, task, cron, timezone, missed, max_late, overlap, last_tick, next_due"
    conn.execute(
        f"""INSERT INTO workrow.timetable (name, args, {columns})
            SELECT 'n' || n, jsonb_build_object('n', n), {columns}
            FROM workrow.timetable, generate_series(1, %s) AS n""",
        [2 * BATCH],
    )
    ticker.miss(366 * 24 * HOUR)
    schedulers = [ticker.scheduler() for _ in range(3)]
    await asyncio.gather(*(each.run_once() for each in schedulers))
    assert sorted(job["args"]["n"] for job in ticker.jobs()) == list(range(2 * BATCH + 1))


async def test_without_schedules_it_sleeps(ticker: Ticker) -> None:
    assert await ticker.scheduler().run_once() == LONGEST_SLEEP


@asynccontextmanager
async def worker(app: workrow.App, **options: Any) -> AsyncIterator[None]:
    options = {"install_signal_handlers": False, "fetch_job_polling_interval": 0.1, **options}
    running = asyncio.create_task(app.run_worker_async(**options))
    try:
        async with asyncio.timeout(15):
            yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_worker_ticks(open_app: workrow.App, conn: Any) -> None:
    ran = asyncio.Event()

    @open_app.task(name="ticking", every=timedelta(seconds=1))
    async def ticking(timestamp: int, due_at: str) -> None:
        assert datetime.fromisoformat(due_at).timestamp() == timestamp
        ran.set()

    async with worker(open_app):
        await ran.wait()


@pytest.mark.parametrize("hears", [True, False])
async def test_the_worker_hears_of_a_new_schedule(open_app: workrow.App, hears: bool) -> None:
    ran = asyncio.Event()
    arguments: list[str] = []

    @open_app.task(name="ticking")
    async def ticking(who: str) -> None:
        arguments.append(who)
        ran.set()

    async with worker(open_app, listen_notify=hears):
        await open_app.tasks["ticking"].defer_async(who="first")  # it runs, and its scheduler sleeps
        await ran.wait()
        ran.clear()
        began = time.monotonic()
        await open_app.schedules.create_async("new", ticking, every=timedelta(seconds=1), args={"who": "second"})
        await ran.wait()
        # a second until it is due, and one at most until somebody looks
        assert time.monotonic() - began < 3.5
    assert arguments[:2] == ["first", "second"]


async def test_procrastinates_own_periodic_tasks_run_too(open_app: workrow.App) -> None:
    ran = asyncio.Event()

    @open_app.periodic(cron="* * * * * *")
    @open_app.task(name="upstream.style", pass_context=True)
    async def old(context: Any, timestamp: int) -> None:
        ran.set()

    async with worker(open_app):
        await ran.wait()


async def test_arguments_of_an_older_version_are_upcast(database_url: str, conn: psycopg.Connection[Any]) -> None:
    old, new = workrow.App(database_url), workrow.App(database_url)

    @old.task(name="ticking")
    async def former(timestamp: int, who: str) -> None: ...

    def upcast(version: int, args: dict[str, Any]) -> dict[str, Any]:
        return {"name": args.pop("who"), **args}

    @new.task(name="ticking", version=2, upcast=upcast)
    async def current(timestamp: int, name: str) -> None: ...

    async with old.open_async(), new.open_async():
        await old.schedules.create_async("by hand", former, cron="* * * * *", args={"who": "Ada"})
        before, after = Ticker(old, conn), Ticker(new, conn)
        after.miss(HOUR)
        await after.scheduler().run_once()
        await new.schedules.run_now_async("by hand")
        assert [job["args"]["name"] for job in after.jobs()] == ["Ada"] * 2
        # who changes it writes down its own version, and an older worker leaves it alone
        await new.schedules.update_async("by hand", queue="other")
        assert new.schedules.list()[0].args == {"name": "Ada"}
        before.miss(HOUR)
        assert await before.scheduler().run_once() == LONGEST_SLEEP
        assert len(before.jobs()) == 2
        await after.scheduler().run_once()
        assert after.jobs()[2]["args"]["name"] == "Ada"
        assert after.jobs()[2]["queue"] == "other"


async def test_arguments_that_cannot_be_upcast_are_told(database_url: str, conn: psycopg.Connection[Any]) -> None:
    old, new = workrow.App(database_url), workrow.App(database_url)

    @old.task(name="ticking")
    async def former(who: str) -> None: ...

    @new.task(name="ticking", version=2, upcast=lambda version, args: {"name": args["nobody"]})
    async def current(name: str) -> None: ...

    async with old.open_async(), new.open_async():
        await old.schedules.create_async("by hand", former, cron="* * * * *", args={"who": "Ada"})
        ticker = Ticker(new, conn)
        ticker.miss(HOUR)
        await ticker.scheduler().run_once()
        assert "upcast from version 1 to 2 failed: KeyError('nobody')" in (ticker.state("by hand").skip_reason or "")
        assert ticker.jobs() == []
