"""What the provider has sent is forgotten when it cannot matter any more."""

import json
from typing import Any

import psycopg
import pytest

import workrow
from jobs import database
from jobs.calls import events, service
from tests.domains.calling import order, read, small_app
from workrow.testing import Clock, Harness, Ran

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    return small_app()


async def tell(call_id: int, status: str, id: str, **more: Any) -> str:
    body = {"key": str((await read(call_id)).key), "status": status, **more}
    async with database.session() as session, session.begin():
        return await events.receive(session, id, json.dumps(body).encode())


def kept(conn: psycopg.Connection[Any]) -> list[str]:
    return [id for (id,) in conn.execute("SELECT id FROM call_events ORDER BY id")]


async def night(clock: Clock) -> list[Ran]:
    """What was done at ten past four, which is in the next minute."""
    return [each for each in await clock.run_for(minutes=1) if each.task == "calls.forget_events"]


async def test_events_of_calls_that_ended_are_forgotten_after_ninety_days_in_batches(
    workrow_jobs: Harness, workrow_clock: Clock, monkeypatch: pytest.MonkeyPatch, conn: psycopg.Connection[Any]
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    with workrow_clock.at("2027-05-03 12:00", "Europe/Berlin") as clock:
        ended, waits = await order(), await order("+4930123457")
        conn.execute("UPDATE calls SET state = 'ringing' WHERE id = %s", (ended,))
        for number, status in enumerate(("in_progress", "ringing", "completed")):
            await tell(ended, status, f"ended {number}")
        assert await tell(waits, "ringing", "waits") == "late"
        clock.jump(days=1)
        await tell(ended, "busy", "ended 3")
        clock.jump(days=88, hours=16, minutes=9)
        assert [ran.result for ran in await night(clock)] == [0]
        clock.jump(hours=23, minutes=59)
        assert [ran.result for ran in await night(clock)] == [3]
        assert kept(conn) == ["ended 3", "waits"]
        # what comes once more moves nothing
        assert await tell(waits, "ringing", "waits") == "repeated"
        recording = {"id": "deleted-long-ago", "sha256": "0" * 64}
        assert await tell(ended, "in_progress", "ended 0", recording=recording) == "late"
        assert conn.execute("SELECT FROM call_recordings").fetchall() == []
        assert (await read(ended)).state == "completed"
