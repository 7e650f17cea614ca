"""Time travel moves the SQL engine: due times, retries, leases, schedules."""

import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest

import workrow
from tests.conftest import READABLE
from workrow import testing
from workrow.database import clock as engine_clock


async def test_every_clock_of_the_database_stands_still(workrow_clock: testing.Clock, workrow_database: str) -> None:
    with (
        psycopg.connect(workrow_database, autocommit=True, options=READABLE) as other,
        workrow_clock.at("2027-03-28 00:59", "Europe/Berlin"),
    ):
        names = ["now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"]
        row = other.execute(f"SELECT {', '.join(f'{name}()' for name in names)}").fetchone()
        assert set(row or ()) == {datetime(2027, 3, 27, 23, 59, tzinfo=UTC)}
        assert engine_clock.now() == datetime(2027, 3, 27, 23, 59, tzinfo=UTC)
    assert abs(workrow_clock.now() - datetime.now(UTC)) < timedelta(seconds=30)
    assert abs(engine_clock.now() - datetime.now(UTC)) < timedelta(seconds=30)


async def test_an_app_whose_role_owns_nothing_travels_too(workrow_database: str, new_role: str) -> None:
    for rights in ("producer", "worker"):
        workrow.schema.grant(workrow_database, new_role, rights)
    app = workrow.App(re.sub(r"//\w+@", f"//{new_role}@", workrow_database))
    app.task(name="later")(lambda: None)
    async with testing.Harness(app) as jobs:
        with jobs.clock.at("2027-01-01") as clock:
            await app.tasks["later"].options(delay=60).enqueue(None)  # type: ignore[attr-defined]
            assert [ran.status for ran in await clock.run_for(minutes=2)] == ["succeeded"]


async def test_a_moment_inside_a_moment(workrow_clock: testing.Clock) -> None:
    with workrow_clock.at("2027-01-01") as clock:
        with clock.at("2029-01-01"):
            assert clock.now().year == 2029
        assert clock.now() == datetime(2027, 1, 1, tzinfo=UTC)


async def test_delays_and_retries_are_waited_for(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock
) -> None:
    seen: list[datetime] = []

    @workrow_app.task(name="shaky", retry=workrow.Retry(max_attempts=3, wait=workrow.exponential(60, jitter=False)))
    async def shaky() -> None:
        seen.append(workrow_clock.now())
        if len(seen) < 3:
            raise OSError

    with workrow_clock.at("2027-01-01") as clock:
        start = clock.now()
        await shaky.options(delay=timedelta(days=2)).enqueue(None)
        ran = await clock.run_for(days=3, raise_on_failure=False)
    assert [each.status for each in ran] == ["todo", "todo", "succeeded"]
    assert seen[0] == start + timedelta(days=2)
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(seen)]
    assert waits == pytest.approx([60, 120], abs=1)


async def test_the_jobs_of_a_worker_that_is_dead_by_then_are_rescued(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any, workrow_clock: testing.Clock
) -> None:
    @workrow_app.task(name="lost")
    async def lost() -> str:
        return "found"

    job = await lost.enqueue(None)
    ((worker,),) = conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id").fetchall()
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s", [worker])
    assert await workrow_jobs.drain() == []
    with workrow_clock.at() as clock:
        clock.jump(minutes=5)
        (ran,) = await workrow_jobs.drain()
    assert (ran.id, ran.result) == (job.id, "found")


async def test_a_year_of_cron(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock
) -> None:
    seen: list[datetime] = []

    @workrow_app.task(name="nightly", cron="30 2 * * *", timezone="Europe/Berlin")
    async def nightly() -> None:
        seen.append(workrow_clock.now())

    began = time.perf_counter()
    with workrow_clock.at("2027-01-01", "Europe/Berlin") as clock:
        ran = await clock.run_until("2028-01-01")
    lasted = time.perf_counter() - began
    assert len(ran) == len(seen) == 365
    assert set(Counter(moment.date() for moment in seen).values()) == {1}
    assert {moment.strftime("%H:%M") for moment in seen} <= {"02:30", "03:00", "03:30"}
    assert lasted < 60, lasted  # 1.5 s on an idle machine


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2027-03-28", ["00:30", "01:30", "03:30"]), ("2027-10-31", ["00:30", "01:30", "02:30", "02:30"])],
)
async def test_each_hour_of_a_daylight_saving_change(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, day: str, hours: list[str]
) -> None:
    @workrow_app.task(name="hourly", every=timedelta(hours=1))
    async def hourly() -> None: ...

    with workrow_clock.at(f"{day} 00:00", "Europe/Berlin") as clock:
        await clock.advance(hours=3)
        await workrow_jobs.assert_enqueued("hourly", count=3)


async def test_time_moves_only_inside_at(workrow_clock: testing.Clock) -> None:
    with pytest.raises(testing.TestingError, match="the clock is the real one"):
        await workrow_clock.advance(hours=1)
    with workrow_clock.at("2027-01-01") as clock, pytest.raises(testing.TestingError, match="time only goes on"):
        await clock.run_until("2026-01-01")


@pytest.mark.parametrize("zone", ["Europe/Berln", 5, "", "/etc/passwd"])
async def test_what_is_no_zone_leaves_no_trace(workrow_clock: testing.Clock, zone: Any) -> None:
    for moment in ("2027-01-01", None):
        with pytest.raises(testing.TestingError, match="timezone=.* is no time zone"), workrow_clock.at(moment, zone):
            pass
    with pytest.raises(testing.TestingError, match="moment="), workrow_clock.at("tomorrow", "Europe/Berlin"):
        pass
    with workrow_clock.at("2027-01-01") as clock:
        assert clock.now() == datetime(2027, 1, 1, tzinfo=UTC)


async def test_time_moves_by_what_can_be_said(workrow_clock: testing.Clock) -> None:
    with workrow_clock.at("2027-01-01") as clock:
        with pytest.raises(testing.TestingError, match=r"jump\(hours=-5\) is a jump back"):
            clock.jump(hours=-5)
        with pytest.raises(testing.TestingError, match="fortnights=1: .*; say days="):
            await clock.run_for(fortnights=1)
        assert clock.now() == datetime(2027, 1, 1, tzinfo=UTC)


async def test_other_databases_have_no_such_clock(empty_database_url: str) -> None:
    clock = testing.DatabaseClock(lambda: empty_database_url)
    with pytest.raises(testing.TestingError, match="workrow_database"), clock.at("2027-01-01"):
        pass
    clock.close()


@pytest.mark.parametrize(("moment", "zone"), [("tomorrow", None), (5, "Europe/Berlin"), ("tomorrow", "Europe/Berlin")])
async def test_what_is_no_moment(workrow_clock: testing.Clock, moment: Any, zone: str | None) -> None:
    with pytest.raises(testing.TestingError, match="moment="), workrow_clock.at(moment, zone):
        pass


async def test_a_rate_admits_as_time_passes(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock
) -> None:
    seen: list[datetime] = []

    @workrow_app.task(name="limited", limits=[workrow.Rate("2/m", burst=2)])
    async def limited(n: int) -> None:
        seen.append(workrow_clock.now())

    with workrow_clock.at("2027-01-01 12:00") as clock:
        start = clock.now()
        for n in range(6):
            await limited.enqueue(None, n=n)
        await workrow_jobs.drain()
        assert seen == [start, start]
        ran = await clock.run_for(minutes=5)
    assert len(ran) == 4
    # two in each window of a minute, which is a little longer than that
    assert [(each - start).total_seconds() for each in seen[2:]] == pytest.approx([60, 60, 120, 120], abs=4)


async def test_expiry_goes_by_the_moved_clock(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock, conn: Any
) -> None:
    @workrow_app.task(name="brief")
    async def brief(n: int) -> None: ...

    with workrow_clock.at("2027-01-01") as clock:
        await brief.options(expires=60).enqueue(None, 1)
        clock.jump(minutes=2)
        await brief.options(expires=60).enqueue(None, 2)
        ran = await workrow_jobs.drain()
    assert [each.args["n"] for each in ran] == [2]
    assert conn.execute("SELECT status FROM workrow.jobs ORDER BY id").fetchall() == [("cancelled",), ("succeeded",)]


async def test_what_is_paused_stays(workrow_jobs: testing.Harness, workrow_app: workrow.App, conn: Any) -> None:
    @workrow_app.task(name="held", queue="held")
    async def held() -> None: ...

    await held.enqueue(None)
    conn.execute("SELECT workrow.pause_v1('queue', 'held')")
    assert await workrow_jobs.drain() == []
    conn.execute("SELECT workrow.resume_v1('queue', 'held')")
    assert len(await workrow_jobs.drain()) == 1


async def test_schedules_of_the_database_tick_too(
    workrow_jobs: testing.Harness, workrow_app: workrow.App, workrow_clock: testing.Clock
) -> None:
    @workrow_app.task(name="report")
    async def report(kind: str) -> str:
        return kind

    with workrow_clock.at("2027-01-01") as clock:
        await workrow_app.schedules.create_async("monthly", report, cron="0 5 1 * *", args={"kind": "monthly"})
        ran = await clock.run_until("2028-01-01")
    assert [each.result for each in ran] == ["monthly"] * 12
