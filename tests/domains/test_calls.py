"""Calls: ordered, dialled once whatever the provider does, and brought to one end."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

import workrow
from jobs import database
from jobs.calls import orders, service, tasks
from jobs.calls.models import Call
from jobs.calls.states import State
from jobs.settings import get_settings
from tests.domains.calling import PHONE, causes, order, read, report, small_app
from tests.domains.conftest import jobs, scalar
from tests.domains.provider_server import ProviderServer
from workrow import clock
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("provider", "application")


# --- dialling


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    return small_app()


async def test_a_call_is_dialled_and_its_transitions_have_their_causes(
    workrow_jobs: Harness, provider: ProviderServer
) -> None:
    call_id = await order()
    (ran,) = await workrow_jobs.drain()
    assert ran.result == "ringing"
    assert provider.dialled == {PHONE: 1}
    assert await causes(call_id) == [("dialing", f"job {ran.id}"), ("ringing", "the provider's answer")]
    await tasks.dial.enqueue(None, call_id=call_id)
    await workrow_jobs.drain()
    assert provider.requests == ["POST /calls"]


@pytest.mark.parametrize("mishap", ["500", "403", "drop", "lost", "garbage", "422"])
async def test_after_a_bad_answer_the_call_is_asked_for_again_and_made_once(
    workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer, mishap: str
) -> None:
    provider.mishaps.append(mishap)
    call_id = await order()
    with workrow_clock.at("2027-05-03 12:00") as clock:
        (first,) = await workrow_jobs.drain(raise_on_failure=False)
        if mishap != "422":
            assert (first.status, (await read(call_id)).state) == ("todo", "dialing")
            await clock.run_for(seconds=20)
            assert provider.dialled == {PHONE: 1}
            assert (await read(call_id)).state == "ringing"
            assert provider.requests[1].startswith("GET /calls/")  # before it is dialled again, who has come back asks
            assert provider.requests[2:] == ([] if mishap == "lost" else ["POST /calls"])
        else:
            assert (first.status, (await read(call_id)).state) == ("succeeded", "failed")
            assert (await causes(call_id))[-1] == ("failed", 'refused by the provider: 422: {"error": "no such line"}')
            assert provider.dialled == {}


async def test_whatever_the_provider_says_can_be_written_down(workrow_jobs: Harness, provider: ProviderServer) -> None:
    provider.mishaps.append("422 NUL")
    call_id = await order()
    await workrow_jobs.drain()
    assert (await causes(call_id))[-1] == ("failed", "refused by the provider: 422: no\ufffdno")


async def test_a_slow_provider_is_not_waited_for(
    workrow_jobs: Harness, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_PROVIDER_TIMEOUT", "0.2")
    get_settings.cache_clear()
    provider.mishaps.append("slow")
    call_id = await order()
    (ran,) = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.status == "todo"
    assert ran.error is not None
    assert "Timeout" in ran.error["type"]
    assert (await read(call_id)).state == "dialing"


@pytest.mark.parametrize("date", [False, True])
async def test_a_429_holds_all_calls_until_the_provider_wants_more(
    workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer, conn: psycopg.Connection[Any], date: bool
) -> None:
    provider.mishaps.append("429")
    if date:
        provider.retry_after = (datetime.now(UTC) + timedelta(seconds=120)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    calls = [await order(f"+4930{n:06}") for n in range(5)]
    await workrow_jobs.drain()
    assert provider.requests == ["POST /calls"]
    held = scalar(
        conn, "SELECT extract(epoch FROM held_until - now()) FROM workrow.limits WHERE name = 'calls.provider'"
    )
    assert 110 < held <= 120
    assert {job["attempts"] for job in jobs(conn, "calls.dial")} == {0}
    conn.execute("SELECT workrow.reset_limit_v1('calls.provider')")
    conn.execute("UPDATE procrastinate_jobs SET due_at = now() WHERE due_at > now()")
    await workrow_jobs.drain()
    assert [(await read(call)).state for call in calls] == ["ringing"] * 5
    assert set(provider.dialled.values()) == {1}


async def test_a_worker_that_died_after_the_call_was_made_dials_nobody_again(
    workrow_jobs: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    call_id = await order()
    await workrow_jobs.drain()
    conn.execute("UPDATE calls SET state = 'dialing', version = 2")  # the answer was not written down any more
    conn.execute("DELETE FROM call_changes WHERE version = 3")
    await tasks.dial.enqueue(None, call_id=call_id)
    await workrow_jobs.drain()
    assert provider.dialled == {PHONE: 1}
    assert (await read(call_id)).state == "ringing"


# --- when


async def test_nobody_is_called_before_the_opening_where_they_live(
    workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_CALL_HOURS", "mon-fri 09:00-18:00")
    get_settings.cache_clear()
    with workrow_clock.at("2027-03-26 17:59", "Europe/Berlin") as clock:  # a Friday, then the clock is set
        _, tokyo = await order("+4930111111"), await order("+81300000000", "Asia/Tokyo")
        await workrow_jobs.drain()
        assert provider.dialled == {"+4930111111": 1}
        later = await order("+4930222222", at=datetime(2027, 3, 26, 17, 0, 30, tzinfo=UTC))
        assert (await read(later)).scheduled_at == datetime(2027, 3, 29, 7, 0, tzinfo=UTC)  # nine, and summer
        for by, states in (  # jumps, for the reconciler's minutes of a weekend would take long
            ({"hours": 55}, ["scheduled", "scheduled"]),
            ({"minutes": 1}, ["ringing", "scheduled"]),  # Monday, 09:00 in Tokyo
            ({"hours": 6, "minutes": 59}, ["ringing", "scheduled"]),
            ({"minutes": 1}, ["ringing", "ringing"]),  # 09:00 in Berlin, an hour earlier than on Friday
        ):
            clock.jump(**by)
            await workrow_jobs.drain()
            assert [(await read(call)).state for call in (tokyo, later)] == states


async def test_a_job_that_comes_too_late_waits_for_the_next_opening(
    workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_CALL_HOURS", "mon-fri 09:00-18:00")
    get_settings.cache_clear()
    with workrow_clock.at("2027-03-25 12:00", "Europe/Berlin") as clock:
        call_id = await order()
        clock.jump(hours=8)  # all workers were down
        await workrow_jobs.drain()
        assert (await read(call_id)).state == "scheduled"
        (job,) = await workrow_jobs.assert_enqueued(tasks.dial, at=datetime(2027, 3, 26, 8, 0, tzinfo=UTC))
        assert job.attempts == 0
        clock.jump(hours=13)
        await workrow_jobs.drain()
    assert provider.dialled == {PHONE: 1}


@pytest.mark.parametrize(("hour", "wrong", "called"), [(12, 20, True), (20, 12, False)])
async def test_hours_are_those_of_the_databases_clock(
    workrow_jobs: Harness,
    workrow_clock: Clock,
    provider: ProviderServer,
    monkeypatch: pytest.MonkeyPatch,
    hour: int,
    wrong: int,
    called: bool,
) -> None:
    """A worker whose clock is wrong calls nobody at night, and lets nobody wait at noon."""
    monkeypatch.setenv("WORKROW_CALL_HOURS", "mon-fri 09:00-18:00")
    get_settings.cache_clear()
    with workrow_clock.at(f"2027-03-25 {hour}:00", "UTC"):
        monkeypatch.setattr(clock, "now", lambda: datetime(2027, 3, 25, wrong, tzinfo=UTC))
        call_id = await order(zone="UTC")
        opens = (await read(call_id)).scheduled_at
        assert opens == (datetime(2027, 3, 25, 12, tzinfo=UTC) if called else datetime(2027, 3, 26, 9, tzinfo=UTC))
        await tasks.dial.enqueue(None, call_id=call_id)  # at once, whatever was ordered
        await workrow_jobs.drain()
    assert provider.dialled == ({PHONE: 1} if called else {})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"phone": "030 123456"}, "country code"),
        ({"phone": "+4930123456\n"}, "country code"),
        ({"zone": "Europe/Berln"}, "no such time zone"),
        ({"at": datetime(2020, 1, 1, tzinfo=UTC)}, "between now and a year ahead"),
        ({"at": datetime(2120, 1, 1, tzinfo=UTC)}, "between now and a year ahead"),
    ],
)
async def test_an_order_that_cannot_be_leaves_nothing(
    conn: psycopg.Connection[Any], wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        await order(**wrong)
    assert scalar(conn, "SELECT count(*) FROM calls") == 0
    assert jobs(conn, "calls.%") == []


async def test_the_same_order_twice_is_one_call(workrow_jobs: Harness) -> None:
    key = uuid.uuid4()
    found = await asyncio.gather(*(order(key=key) for _ in range(5)))
    assert len(set(found)) == 1
    await workrow_jobs.assert_enqueued(tasks.dial, count=1)
    with pytest.raises(orders.KeyTaken, match="another one; take a new key"):
        await order("+4930999999", key=key)


async def test_an_order_is_repeated_long_after_its_time(conn: psycopg.Connection[Any]) -> None:
    key, at = uuid.uuid4(), datetime.now(UTC)
    call_id = await order(key=key, at=at)
    assert await order(key=key, at=at - timedelta(days=1)) == call_id
    assert scalar(conn, "SELECT count(*) FROM calls") == 1


# --- cancelling


async def cancel(call_id: int) -> Call:
    async with database.session() as session, session.begin():
        return await orders.cancel(session, call_id)


async def test_a_call_that_nobody_has_dialled_is_cancelled_at_once(
    workrow_jobs: Harness, provider: ProviderServer
) -> None:
    call_id = await order()
    assert (await cancel(call_id)).state == (await cancel(call_id)).state == "cancelled"
    await workrow_jobs.drain()
    assert provider.requests == []


async def test_a_call_that_rings_is_hung_up(workrow_jobs: Harness, provider: ProviderServer) -> None:
    call_id = await order()
    await workrow_jobs.drain()
    assert (await cancel(call_id)).state == "ringing"
    await cancel(call_id)
    await workrow_jobs.assert_enqueued(tasks.hang_up, count=1)
    await workrow_jobs.drain()
    assert (await causes(call_id))[-1] == ("cancelled", "asked the provider")
    assert next(iter(provider.calls.values()))["status"] == "cancelled"


async def test_a_call_that_is_over_cannot_be_cancelled(workrow_jobs: Harness) -> None:
    call_id = await order()
    await workrow_jobs.drain()
    await report(call_id, "no_answer")
    with pytest.raises(orders.CallOver, match="is over: no_answer"):
        await cancel(call_id)


async def test_a_call_whose_first_order_was_lost_is_not_dialled_after_it_was_cancelled(
    workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer
) -> None:
    provider.mishaps.append("drop")
    call_id = await order()
    await workrow_jobs.drain(raise_on_failure=False)
    await cancel(call_id)
    with workrow_clock.at(datetime.now(UTC) + timedelta(minutes=1)) as clock:
        await clock.run_for(minutes=5)
    assert (await causes(call_id))[-1] == ("cancelled", "cancelled before anybody was called")
    assert provider.dialled == {}


async def test_a_call_that_was_given_up_while_it_was_ordered_is_hung_up(
    workrow_jobs: Harness, provider: ProviderServer
) -> None:
    provider.mishaps.append("hold")
    call_id = await order()
    working = asyncio.create_task(workrow_jobs.drain())
    await provider.arrived.wait()
    async with database.session() as session, session.begin():
        await service.move(session, call_id, State.CANCELLED, cause="the provider knew nothing of it yet")
    provider.release.set()
    await working
    assert provider.dialled == {PHONE: 1}
    assert [call["status"] for call in provider.calls.values()] == ["cancelled"]
    assert (await read(call_id)).state == "cancelled"
