"""The log of events: added with what happened, never changed, and gone by the month."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

import workrow
from jobs import database
from jobs.audit import partitions, tasks
from jobs.audit.service import BadEvent, record
from tests.domains.conftest import scalar
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")
PARTITIONS = """SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'audit_events'::regclass ORDER BY 1"""


async def happened(subject: str = "user:1", *, actor: str = "api", **details: Any) -> None:
    async with database.session() as session, session.begin():
        await record(session, actor=actor, action="users.changed", subject=subject, details=details)


def at(conn: psycopg.Connection[Any], *times: str) -> None:
    """Events of those times."""
    for each in times:
        conn.execute(
            """INSERT INTO audit_events (at, actor, action, subject, details)
               VALUES (%s, 'api', 'users.changed', 'user:1', '{}')""",
            (each,),
        )


def names(conn: psycopg.Connection[Any]) -> list[str]:
    return [name for (name,) in conn.execute(PARTITIONS)]


def months(*ahead: int) -> list[str]:
    """Names of partitions, by months from now on."""
    now = datetime.now(UTC)
    whole = [now.year * 12 + now.month - 1 + each for each in ahead]
    return [f"events_{each // 12}_{each % 12 + 1:02}" for each in whole]


async def test_an_event_commits_with_what_happened(conn: psycopg.Connection[Any]) -> None:
    await happened(name="Ada")
    async with database.session() as session:
        await record(session, actor="api", action="users.changed", subject="user:2")
        await session.rollback()
    found = conn.execute(
        "SELECT actor, action, subject, details, tableoid::regclass::text FROM audit_events"
    ).fetchall()
    assert found == [("api", "users.changed", "user:1", {"name": "Ada"}, f"audit.{months(0)[0]}")]


IMPOSSIBLE: list[tuple[str, Any, str]] = [
    ("actor", "", "actor='': must be 1 to 200"),
    ("actor", "x" * 201, "must be 1 to 200 printable"),
    ("subject", "user:\x00", r"subject='user:\\x00'"),
    ("subject", "\ud800", "printable"),
    ("action", "changed", "action='changed': write the domain"),
    ("action", "a." + "b" * 200, "write the domain"),
    ("details", {"text": "x" * 9000}, "details of 9012 bytes: 8192 at most"),
    ("details", {"text": "a\x00"}, "no NUL"),
    ("details", {"when": datetime(2027, 1, 1)}, "no JSON"),
    ("details", {"much": float("nan")}, "no JSON"),
    ("details", {"half": "\ud800"}, "no JSON"),
]


async def test_an_impossible_event_is_refused_and_the_transaction_goes_on(conn: psycopg.Connection[Any]) -> None:
    async with database.session() as session, session.begin():
        for part, value, words in IMPOSSIBLE:
            given = {"actor": "api", "action": "users.changed", "subject": "user:1", part: value}
            with pytest.raises(BadEvent, match=words):
                await record(session, **given)
        await record(session, actor="api", action="users.changed", subject="user:2")
    assert scalar(conn, "SELECT count(*) FROM audit_events") == 1


CHANGES = [
    "UPDATE audit_events SET actor = 'nobody'",
    "UPDATE audit_events SET at = at - interval '1 year'",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    f"UPDATE audit.{months(0)[0]} SET actor = 'nobody'",
    f"DELETE FROM audit.{months(0)[0]}",
]


async def test_the_database_refuses_to_change_an_event(conn: psycopg.Connection[Any]) -> None:
    await happened()
    for statement in CHANGES:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="append-only"):
            conn.execute(statement)  # type: ignore[call-overload]
    assert scalar(conn, "SELECT actor FROM audit_events") == "api"


async def test_partitions_that_come_are_made_once_and_refuse_changes(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    assert names(conn) == sorted(["events_default", *months(0, 1, 2)])
    made = ["events_2031_12", "events_2032_01", "events_2032_02"]
    with workrow_clock.at("2031-12-05"):
        for expected in (made, []):
            await tasks.extend.enqueue(None)
            (ran,) = await workrow_jobs.drain()
            assert ran.result == expected
    assert names(conn) == sorted(["events_default", *months(0, 1, 2), *made])
    at(conn, "2032-02-29 23:59:59.999+00")
    assert scalar(conn, "SELECT tableoid::regclass::text FROM audit_events") == "audit.events_2032_02"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        conn.execute("DELETE FROM audit.events_2032_02")


@pytest.mark.parametrize(("task", "cron"), [("audit.extend", "15 2 * * *"), ("audit.prune_logs", "45 2 * * *")])
def test_both_are_scheduled_for_the_night(application: workrow.App, task: str, cron: str) -> None:
    timing = application.tasks[task].schedule.timing  # type: ignore[attr-defined]
    assert (timing.expression, timing.timezone) == (cron, "UTC")


async def test_a_month_that_has_events_in_the_default_partition_gets_none(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    at(conn, "2031-12-31 23:00+00")
    with workrow_clock.at("2031-12-05"):
        await tasks.extend.enqueue(None)
        (ran,) = await workrow_jobs.drain()
    assert ran.result == ["events_2032_01", "events_2032_02"]
    assert scalar(conn, "SELECT tableoid::regclass::text FROM audit_events") == "audit.events_default"


@pytest.fixture
def writer(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody whose transaction stays open."""
    with psycopg.connect(database_url) as connection:
        yield connection
        connection.rollback()


async def test_a_writer_does_not_stop_new_partitions(
    writer: psycopg.Connection[Any], conn: psycopg.Connection[Any]
) -> None:
    conn.execute(f"DROP TABLE audit.{months(2)[0]}")
    at(writer, datetime.now(UTC).isoformat())
    async with database.session() as session, session.begin():
        assert await partitions.extend(session) == months(2)
        conn.execute("SET lock_timeout = '2s'")
        at(conn, datetime.now(UTC).isoformat())  # nor do they stop a writer while they are not committed
    assert months(2)[0] in names(conn)


async def old_months(workrow_jobs: Harness, clock: Clock, conn: psycopg.Connection[Any]) -> None:
    """Partitions of December 2030 to February 2031 with 1, 2 and 3 events, and one event in the default partition."""
    with clock.at("2030-12-05"):
        await tasks.extend.enqueue(None)
        await workrow_jobs.drain()
    at(conn, "2030-12-31", "2031-01-01 12:00", "2031-01-31 12:00", *["2031-02-20"] * 3)


async def test_what_is_older_than_the_setting_goes_by_the_month(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    await old_months(workrow_jobs, workrow_clock, conn)
    with workrow_clock.at("2031-12-31 23:59") as clock:  # a year after December's last moment, but for a minute
        for gone in (0, 1, 0):
            await tasks.prune_logs.enqueue(None)
            (ran,) = await workrow_jobs.drain()
            assert ran.result == gone
            clock.jump(minutes=1)
    assert "events_2030_12" not in names(conn)
    assert scalar(conn, "SELECT count(*) FROM audit_events WHERE action = 'users.changed'") == 5
    trace = "SELECT subject, details FROM audit_events WHERE action = 'audit.pruned'"
    assert conn.execute(trace).fetchall() == [("events_2030_12", {"events": 1, "days": 365})]


async def test_prune_logs_says_how_many_went_the_default_partition_included(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    await old_months(workrow_jobs, workrow_clock, conn)
    at(conn, "2029-05-05", "2029-05-06")
    with workrow_clock.at("2031-04-10"):
        await tasks.prune_logs.enqueue(None, days=60)
        (ran,) = await workrow_jobs.drain()
        await tasks.prune_logs.enqueue(None, days=60)
        (again,) = await workrow_jobs.drain()
    assert (ran.result, again.result) == (1 + 2 + 2, 0)  # February ended less than 60 days ago
    assert scalar(conn, "SELECT count(*) FROM audit_events WHERE action = 'users.changed'") == 3


async def test_a_default_partition_with_a_young_event_is_kept(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    at(conn, "2029-05-05", "2031-04-01")
    with workrow_clock.at("2031-04-10"):
        await tasks.prune_logs.enqueue(None, days=60)
        (ran,) = await workrow_jobs.drain()
    assert ran.result == 0
    assert scalar(conn, "SELECT count(*) FROM audit.events_default") == 2


async def test_pruning_gives_way_to_a_writer_and_comes_again(
    workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any], writer: psycopg.Connection[Any]
) -> None:
    await old_months(workrow_jobs, workrow_clock, conn)
    at(writer, datetime.now(UTC).isoformat())
    with workrow_clock.at("2031-12-31 12:00") as clock:
        await tasks.prune_logs.enqueue(None, days=180)
        pruning = asyncio.create_task(workrow_jobs.drain(raise_on_failure=False))
        async with asyncio.timeout(5):
            (ran,) = await pruning
        assert ran.error is not None
        assert "lock timeout" in ran.error["message"]
        assert ran.status == "todo"
        assert "events_2030_12" in names(conn)
        writer.rollback()
        clock.jump(minutes=5)
        done = await workrow_jobs.drain()
    assert [each.result for each in done if each.task == "audit.prune_logs"] == [6]


async def test_a_number_of_days_that_would_drop_everything_is_refused() -> None:
    async with database.session() as session:
        with pytest.raises(ValueError, match="days=0"):
            await partitions.prune(session, 0)


async def test_the_log_is_read_page_by_page(client: httpx.AsyncClient) -> None:
    for n in range(5):
        await happened(f"user:{n % 2}", actor="api" if n < 4 else "task:x", n=n)
    first = (await client.get("/audit/events", params={"limit": 2})).json()
    assert [event["details"]["n"] for event in first["events"]] == [4, 3]
    second = (await client.get("/audit/events", params={"limit": 2, "before": first["next"]})).json()
    last = (await client.get("/audit/events", params={"limit": 2, "before": second["next"]})).json()
    assert [event["details"]["n"] for event in second["events"] + last["events"]] == [2, 1, 0]
    assert last["next"] is None
    of_one = (await client.get("/audit/events", params={"subject": "user:0", "actor": "api"})).json()
    assert [event["details"]["n"] for event in of_one["events"]] == [2, 0]
    assert of_one["events"][0].keys() == {"id", "at", "actor", "action", "subject", "details"}


async def test_a_wrong_page_is_422(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "limit=501", "before=0", "before=x", f"before={2**63}", "subject=%00", "actor="):
        assert (await client.get(f"/audit/events?{query}")).status_code == 422, query
