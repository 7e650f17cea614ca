"""Subscriptions that fail, are disabled and enabled, that have an order, a limit, two secrets, or are gone."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from jobs import database
from jobs.webhooks import publishing, service, subscriptions
from jobs.webhooks.publishing import NotReplayable
from jobs.webhooks.subscriptions import BadSubscription, UnknownSubscription
from tests.domains.conftest import scalar
from tests.domains.receiver import Receiver, answer
from tests.domains.webhooks import exhaust, later, statuses, subscribe, subscription, tell, told
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("receiver", "application")


async def test_410_disables_the_subscription(
    receiver: Receiver, workrow_jobs: Harness, conn: psycopg.Connection[Any]
) -> None:
    receiver.answers = [answer(410)]
    row = await subscribe(receiver.url)
    for n in range(3):
        await tell(n=n)
    await workrow_jobs.drain(raise_on_failure=False)
    assert await statuses() == ["failed", "skipped", "skipped"]
    assert told(receiver) == [0]
    off = await subscription(row.id)
    assert off.disabled_reason == "the receiver answered 410 Gone"
    assert (await tell()).deliveries == 0
    trace = scalar(conn, "SELECT details FROM audit_events WHERE action = 'webhooks.disabled'")
    assert trace == {"reason": off.disabled_reason}


async def test_a_subscription_that_only_fails_for_five_days_is_disabled(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    receiver.otherwise = answer(503)
    row = await subscribe(receiver.url)
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await tell(n=0)
        await exhaust(workrow_jobs, clock)
        began = (await subscription(row.id)).failing_since
        await tell(n=1)
        while (off := await subscription(row.id)).disabled_at is None:
            assert (await statuses())[1] == "pending"
            await later(workrow_jobs, clock, hours=6)
        assert began is not None
        assert timedelta(days=5) <= off.disabled_at - began <= timedelta(days=6)
    assert "attempts in a row failed, over more than 5 days; the last: 503" in str(off.disabled_reason)
    assert await statuses() == ["failed", "failed"]


async def test_few_failures_do_not_disable_however_long_ago_they_began(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    receiver.answers = [answer(503)] * 2
    row = await subscribe(receiver.url)
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await tell(n=0)
        await later(workrow_jobs, clock)
        await later(workrow_jobs, clock, days=40)
        assert (await subscription(row.id)).failures == 2
        await later(workrow_jobs, clock, days=40)
    assert (await subscription(row.id)).failures == 0
    assert await statuses() == ["delivered"]


async def test_an_enabled_subscription_starts_anew_and_what_was_missed_is_replayed(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    row = await subscribe(receiver.url)
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await tell(n=0)
        await workrow_jobs.drain()
        receiver.answers = [answer(410)]
        clock.jump(hours=1)
        since = clock.now()
        for n in (1, 2):
            await tell(n=n)
        await workrow_jobs.drain(raise_on_failure=False)
        assert await statuses() == ["delivered", "failed", "skipped"]
        async with database.session() as session, session.begin():
            with pytest.raises(NotReplayable, match="is disabled .*410 Gone.*: enable it"):
                await publishing.replay_failed(session, row.id, since, actor="test")
            on = await subscriptions.change(session, row.id, active=True, actor="test")
            assert (on.disabled_at, on.disabled_reason, on.failures, on.failing_since) == (None, None, 0, None)
            job = await publishing.replay_failed(session, row.id, since, actor="test")
        await workrow_jobs.drain()
    assert await job.result(timeout=0) == 2
    assert told(receiver) == [0, 1, 1, 2]
    assert await statuses() == ["delivered"] * 3


async def test_both_secrets_sign_while_one_is_replaced(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    row = await subscribe(receiver.url)
    old = row.secret
    with workrow_clock.at("2027-05-01 12:00") as clock:
        async with database.session() as session, session.begin():
            new = (await subscriptions.rotate(session, row.id, actor="test")).secret
        for hours in (0, 23, 2):
            clock.jump(hours=hours)
            await tell()
            await workrow_jobs.drain()
    assert [request.is_signed_with(new) for request in receiver.received] == [True] * 3
    assert [request.is_signed_with(old) for request in receiver.received] == [True, True, False]


async def test_a_subscription_has_so_many_requests_at_a_time(receiver: Receiver, workrow_jobs: Harness) -> None:
    row = await subscribe(receiver.url, max_running=2)
    await tell(n=-1)
    await workrow_jobs.drain()  # a worker has declared the limit
    async with database.session() as session, session.begin():
        await publishing.apply_concurrency(session, row.id)
    await workrow_jobs.drain()
    receiver.delay, receiver.received = 0.05, []
    for n in range(8):
        await tell(n=n)
    async with Harness(workrow_jobs.app, concurrency=8) as many:
        await many.drain()
    assert sorted(told(receiver)) == list(range(8))
    assert receiver.most_open == 2


async def test_the_limit_of_a_subscription_that_is_gone_goes(
    receiver: Receiver, workrow_jobs: Harness, conn: psycopg.Connection[Any]
) -> None:
    row = await subscribe(receiver.url, max_running=2)
    await tell()
    await workrow_jobs.drain()
    rules = "SELECT key, max_running FROM workrow.limit_rules WHERE source = 'set'"
    for expected in ([(str(row.id), 2)], []):
        async with database.session() as session, session.begin():
            await publishing.apply_concurrency(session, row.id)
        await workrow_jobs.drain()
        assert conn.execute(rules).fetchall() == expected
        async with database.session() as session, session.begin():
            if expected:
                await subscriptions.remove(session, row.id, actor="test")


async def test_the_delivery_of_a_deleted_subscription_ends_in_peace(receiver: Receiver, workrow_jobs: Harness) -> None:
    row = await subscribe(receiver.url)
    await tell()
    async with database.session() as session, session.begin():
        await subscriptions.remove(session, row.id, actor="test")
        with pytest.raises(UnknownSubscription, match=f"no webhook subscription {row.id}"):
            await subscriptions.get(session, row.id)
    (ran,) = await workrow_jobs.drain()
    assert ran.result == "deleted after 0 attempts"


async def test_a_subscription_that_is_deleted_while_somebody_publishes_is_no_error_there(receiver: Receiver) -> None:
    row = await subscribe(receiver.url)
    async with database.session() as session, session.begin():
        await subscriptions.remove(session, row.id, actor="test")
        publishing = asyncio.create_task(tell())
        done, _ = await asyncio.wait([publishing], timeout=0.3)
        assert not done
    assert (await publishing).deliveries == 0


@pytest.mark.parametrize("events", [[], ["User"], ["a", "b*"], ["a"] * 101, ["a."]])
async def test_a_subscription_to_no_possible_event_is_refused(events: list[str]) -> None:
    with pytest.raises(BadSubscription, match="event"):
        subscriptions.checked_types(events)


async def test_old_events_are_forgotten_and_what_is_on_its_way_stays(
    receiver: Receiver,
    workrow_jobs: Harness,
    workrow_clock: Clock,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "PRUNED_AT_ONCE", 2)
    await subscribe(receiver.url)
    with workrow_clock.at("2027-05-01 12:00") as clock:
        for _ in range(5):
            await tell()
        await workrow_jobs.drain()
        await tell()  # and nobody delivers it
        clock.jump(days=31)
        await tell()
        assert await database.in_batches(service.prune) == 5
    assert scalar(conn, "SELECT count(*) FROM webhook_events") == 2
    assert scalar(conn, "SELECT count(*) FROM webhook_deliveries") == 2
    assert scalar(conn, "SELECT count(*) FROM webhook_attempts") == 0
