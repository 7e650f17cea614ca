"""Campaigns: everybody is called at most once, never too many at the same time, and the books balance."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import select

import workrow
from jobs import database
from jobs.calls import service as calls
from jobs.calls.models import Call
from jobs.calls.provider import Report
from jobs.calls.states import State
from jobs.campaigns import service, tasks
from jobs.campaigns.service import Target
from tests.domains.campaigning import OUTCOMES, ask, balances, create, ending, targets
from tests.domains.conftest import jobs, scalar
from tests.domains.provider_server import ProviderServer
from workrow import clock
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("provider")


async def ends(provider: ProviderServer, status: str = "completed") -> None:
    """What the provider's events do: every call that it has ends so."""
    for key in list(provider.calls):
        async with database.session() as session, session.begin():
            call_id = (await session.execute(select(Call.id).where(Call.key == key))).scalar_one()
            await calls.apply(session, call_id, Report(status=State(status)), cause="event")


@pytest.fixture
async def workrow_jobs_at_once(application: workrow.App) -> AsyncIterator[Harness]:
    """Ten jobs at the same time: those of a campaign last as long as their calls."""
    async with Harness(application, concurrency=10) as harness:
        yield harness


async def test_a_campaign_from_its_draft_to_its_report(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    ending(provider, "completed", "busy", "no_answer", "failed")
    campaign = await create(client, 4)
    shown = await ask(client, campaign)
    assert (shown["state"], shown["progress"], shown["counts"]) == ("draft", 0, {"waiting": 4})
    assert (await ask(client, campaign, "report", 409))["detail"].endswith("no report yet: it is draft")
    assert (await ask(client, campaign, "start"))["state"] == "starting"
    assert (await ask(client, campaign, "start"))["state"] == "starting"
    await workrow_jobs.drain(limit=1)
    shown = await ask(client, campaign)
    assert (shown["state"], shown["progress"], shown["counts"]) == ("running", 0, {"scheduled": 4})
    await workrow_jobs.drain(limit=2)
    assert (await ask(client, campaign))["progress"] == 0.5
    await workrow_jobs.drain()
    shown = await ask(client, campaign)
    assert (shown["state"], shown["progress"]) == ("finished", 1)
    report = await ask(client, campaign, "report")
    assert {name: report[name] for name in ("targets", *OUTCOMES)} == {
        **dict.fromkeys(OUTCOMES, 1),
        "targets": 4,
        "cancelled": 0,
        "skipped": 0,
    }
    assert balances(report)
    assert len(jobs(conn, "campaigns.fan_out")) == 1
    for late in ("cancel", "pause", "resume"):
        await ask(client, campaign, late, 409)


async def test_who_cannot_be_called_is_skipped_and_counted(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    ending(provider)
    given = [
        Target("+4930000001", "Europe/Berlin"),
        Target("+4930000001", "Europe/Berlin"),
        Target(None, "Europe/Berlin"),
        Target("+4930000003", None),
        Target("+4930000004", "Europe/Berln"),
    ]
    async with database.session() as session, session.begin():
        campaign = (await service.create(session, name="x", concurrency=1, targets=given)).id
    await ask(client, campaign, "start")
    await workrow_jobs.drain()
    report = await ask(client, campaign, "report")
    assert (report["targets"], report["completed"], report["skipped"]) == (5, 1, 4)
    assert provider.dialled == {"+4930000001": 1}
    found = conn.execute("SELECT skipped FROM campaign_targets WHERE skipped IS NOT NULL ORDER BY id").fetchall()
    assert [reason[:18] for (reason,) in found] == [
        "named twice",
        "no telephone numbe",
        "no time zone",
        "time_zone='Europe/",
    ]


async def test_leads_are_called_and_those_that_cannot_be_are_skipped(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    ending(provider)
    found = conn.execute(
        """INSERT INTO leads (email, phone, time_zone) VALUES ('a@example.com', '+4930000001', 'Europe/Berlin'),
           ('b@example.com', NULL, 'Europe/Berlin'), ('c@example.com', '+4930000003', NULL) RETURNING id"""
    ).fetchall()
    ids = [id for (id,) in found]
    answer = await client.post("/campaigns", json={"name": "x", "lead_ids": [*ids, 99, 98]})
    assert (answer.status_code, answer.json()["detail"]) == (404, "lead_ids: 2 do not exist, such as 98")
    answer = await client.post("/campaigns", json={"name": "x", "lead_ids": ids, "targets": targets(1)})
    campaign = answer.json()["id"]
    await ask(client, campaign, "start")
    await workrow_jobs.drain()
    report = await ask(client, campaign, "report")
    assert (report["targets"], report["completed"], report["skipped"]) == (4, 2, 2)
    assert conn.execute("SELECT lead_id FROM calls ORDER BY id").fetchall() == [(None,), (ids[0],)]


async def test_a_campaign_of_nobody_ends_at_once(client: httpx.AsyncClient, workrow_jobs: Harness) -> None:
    async with database.session() as session, session.begin():
        campaign = (await service.create(session, name="x", concurrency=1, targets=[Target(None, None)])).id
    await ask(client, campaign, "start")
    await workrow_jobs.drain()
    assert (await ask(client, campaign, "report"))["skipped"] == 1
    assert (await ask(client, campaign))["state"] == "finished"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


async def test_no_more_calls_run_at_the_same_time_than_the_campaign_says(
    client: httpx.AsyncClient, workrow_jobs_at_once: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    campaign = await create(client, 7, concurrency=3)
    await ask(client, campaign, "start")
    working = asyncio.create_task(workrow_jobs_at_once.drain())
    for called in (3, 6, 7):
        await until(lambda: len(provider.calls) >= called)  # noqa: B023 - awaited here
        await asyncio.sleep(0.3)
        assert len(provider.calls) == called
        running = scalar(conn, "SELECT count(*) FROM calls WHERE state = 'ringing'")
        assert running <= 3
        await ends(provider)
    await working
    assert (await ask(client, campaign, "report"))["completed"] == 7
    assert scalar(conn, "SELECT count(*) FROM workrow.limits WHERE key = %s AND max_running = 3", str(campaign)) == 0


async def test_a_paused_campaign_calls_nobody_until_it_is_resumed(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer
) -> None:
    ending(provider)
    campaign = await create(client, 4)
    await ask(client, campaign, "pause", 409)
    await ask(client, campaign, "start")
    await ask(client, campaign, "pause", 409)  # not begun
    await workrow_jobs.drain(limit=2)  # the fan-out and one call
    assert (await ask(client, campaign, "pause"))["state"] == "paused"
    assert (await ask(client, campaign, "pause"))["state"] == "paused"
    await workrow_jobs.drain()
    shown = await ask(client, campaign)
    assert (shown["state"], shown["counts"]) == ("paused", {"completed": 1, "scheduled": 3})
    assert (await ask(client, campaign, "resume"))["state"] == "running"
    assert (await ask(client, campaign, "resume", 409))["detail"].endswith("cannot resume: it is running")
    await workrow_jobs.drain()
    assert balances(await ask(client, campaign, "report"))
    assert provider.dialled.total() == 4


async def test_a_pause_holds_what_comes_back_from_the_provider_too(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    ending(provider)
    provider.mishaps.append("hold 429")
    provider.retry_after = "1"
    campaign = await create(client, 1)
    await ask(client, campaign, "start")
    working = asyncio.create_task(workrow_jobs.drain())
    await provider.arrived.wait()
    assert (await ask(client, campaign, "pause"))["state"] == "paused"
    provider.release.set()
    await working
    await until(lambda: scalar(conn, "SELECT count(*) FROM workrow.limits WHERE held_until > clock_timestamp()") == 0)
    await workrow_jobs.drain()
    assert provider.dialled.total() == 0
    await ask(client, campaign, "resume")
    await workrow_jobs.drain()
    assert (await ask(client, campaign, "report"))["completed"] == 1


async def test_a_campaign_begins_by_the_databases_clock(
    client: httpx.AsyncClient,
    workrow_jobs: Harness,
    workrow_clock: Clock,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker whose clock is an hour ahead lets nobody wait for that hour."""
    campaign = await create(client)
    with workrow_clock.at("2030-01-01 12:00"):
        monkeypatch.setattr(clock, "now", lambda: datetime(2030, 1, 1, 13, tzinfo=UTC))
        await ask(client, campaign, "start")
        await workrow_jobs.drain(limit=1)
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert conn.execute("SELECT DISTINCT scheduled_at FROM calls").fetchall() == [(noon,)]


async def test_a_cancelled_campaign_lets_running_calls_end_and_calls_nobody_else(
    client: httpx.AsyncClient,
    workrow_jobs_at_once: Harness,
    workrow_clock: Clock,
    provider: ProviderServer,
    conn: psycopg.Connection[Any],
) -> None:
    campaign = await create(client, 6, concurrency=2)
    await ask(client, campaign, "start")
    working = asyncio.create_task(workrow_jobs_at_once.drain(raise_on_failure=False))
    await until(lambda: len(provider.calls) == 2)
    shown = await ask(client, campaign, "cancel")
    assert (shown["state"], shown["counts"]["cancelled"]) == ("cancelling", 4)
    await working
    assert (await ask(client, campaign))["state"] == "finishing"
    assert [job["attempts"] for job in jobs(conn, "campaigns.report")] == [0]  # it waits for the two
    await ask(client, campaign, "cancel")
    await ends(provider, "no_answer")
    with workrow_clock.at("2030-01-01") as clock:
        await clock.run_for(seconds=10)
    report = await ask(client, campaign, "report")
    assert (report["targets"], report["no_answer"], report["cancelled"]) == (6, 2, 4)
    assert (await ask(client, campaign))["state"] == "cancelled"
    assert len(provider.calls) == 2


@pytest.mark.parametrize("started", [False, True])
async def test_a_campaign_that_has_not_begun_is_cancelled_whole(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer, started: bool
) -> None:
    campaign = await create(client)
    if started:
        await ask(client, campaign, "start")
    await ask(client, campaign, "cancel")
    await workrow_jobs.drain()
    report = await ask(client, campaign, "report")
    assert (report["targets"], report["cancelled"]) == (3, 3)
    assert provider.requests == []
    await ask(client, campaign, "start", 409)


async def test_a_call_whose_job_has_failed_is_counted(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    ending(provider)
    campaign = await create(client, 2)
    await ask(client, campaign, "start")
    await workrow_jobs.drain(limit=1)
    victim = jobs(conn, "campaigns.call")[0]["id"]
    conn.execute("DELETE FROM procrastinate_jobs WHERE id = %s", (victim,))  # by hand: it will never dial
    await workrow_jobs.drain()
    await tasks.report.enqueue(None, campaign_id=campaign)
    await workrow_jobs.drain()
    report = await ask(client, campaign, "report")
    assert (report["targets"], report["completed"], report["failed"]) == (2, 1, 1)


async def test_a_second_fan_out_and_a_second_report_change_nothing(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    ending(provider)
    campaign = await create(client, 3)
    await ask(client, campaign, "start")
    for _ in range(2):
        await workrow_jobs.drain()
        await tasks.fan_out.enqueue(None, campaign_id=campaign)
        await tasks.report.enqueue(None, campaign_id=campaign)
    await workrow_jobs.drain()
    assert scalar(conn, "SELECT count(*) FROM calls") == 3
    assert provider.dialled.total() == 3
