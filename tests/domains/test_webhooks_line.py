"""Subscriptions that have an order: who waits for whom, what is given up, and what becomes of the line."""

import random
from typing import Any

import psycopg
import pytest

import workrow
from jobs import database
from jobs.webhooks import publishing, service, subscriptions, tasks
from tests.domains.conftest import scalar
from tests.domains.receiver import OK, Receiver, answer
from tests.domains.webhooks import deliveries, exhaust, later, statuses, subscribe, subscription, tell, told
from workrow import clock
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("receiver", "application")


async def change(id: int, **what: Any) -> None:
    async with database.session() as session, session.begin():
        await subscriptions.change(session, id, **what, actor="test")


async def replay(id: int) -> None:
    async with database.session() as session, session.begin():
        await publishing.replay(session, id, actor="test")


async def tell_many(count: int) -> None:
    for n in range(count):
        await tell(n=n)


def claims(conn: psycopg.Connection[Any]) -> int:
    """How often a worker has taken a job that delivers."""
    return int(scalar(conn, "SELECT sum(claims) FROM workrow.jobs WHERE task = 'webhooks.deliver'"))


async def test_an_ordered_subscription_waits_for_what_came_before(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    await subscribe(f"{receiver.url}/ordered", "a", ordered=True)
    await subscribe(f"{receiver.url}/other", "a")
    receiver.delay = 0.01
    with workrow_clock.at("2027-05-01 12:00") as time:
        for n in range(4):
            await tell("a", n=n)
        receiver.otherwise = answer(500)
        await later(workrow_jobs, time)
        await later(workrow_jobs, time, seconds=6)
        await later(workrow_jobs, time, minutes=4)
        receiver.otherwise = answer(200)
        await later(workrow_jobs, time, minutes=2)
    ordered = [each for each in receiver.received if each.path.endswith("ordered")]
    assert [each.json()["data"]["n"] for each in ordered] == [0, 0, 0, 1, 2, 3]
    assert await statuses() == ["delivered"] * 8


async def test_what_an_ordered_subscription_cannot_get_does_not_hold_the_rest_for_ever(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    await subscribe(receiver.url, ordered=True)
    receiver.answers = [answer(500)] * 10
    with workrow_clock.at("2027-05-01 12:00") as time:
        for n in range(2):
            await tell(n=n)
        await exhaust(workrow_jobs, time)
        await later(workrow_jobs, time, hours=5)
    assert told(receiver) == [0] * 10 + [1]
    assert await statuses() == ["failed", "delivered"]


async def test_who_waits_for_an_earlier_event_is_not_asked_again_and_again(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    await subscribe(receiver.url, ordered=True)
    chance = random.Random(5)  # the same each time
    receiver.answers = [answer(500) if chance.random() < 0.3 else OK for _ in range(60)]
    with workrow_clock.at("2027-05-01 12:00") as time:
        await tell_many(40)
        for _ in range(60):
            await later(workrow_jobs, time, hours=3)
    assert list(dict.fromkeys(told(receiver))) == list(range(40))
    assert told(receiver) == sorted(told(receiver))
    assert await statuses() == ["delivered"] * 40
    failed = len(receiver.received) - 40
    assert failed > 5
    assert claims(conn) <= 40 + failed + 4  # it was up to 40 for each attempt that failed


async def test_the_head_is_looked_at_once_a_minute_while_it_waits(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock, conn: psycopg.Connection[Any]
) -> None:
    await subscribe(receiver.url, ordered=True)
    receiver.answers = [answer(503, Retry_After="600")]
    with workrow_clock.at("2027-05-01 12:00") as time:
        await tell_many(20)
        await later(workrow_jobs, time)
        for _ in range(9):
            await later(workrow_jobs, time, seconds=62)
            assert claims(conn) <= 11
        assert told(receiver) == [0]
        await later(workrow_jobs, time, minutes=3)
    assert told(receiver) == [0, *range(20)]


async def test_what_waits_at_the_head_of_the_line_can_be_replayed_and_is_due_at_once(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    await subscribe(receiver.url, ordered=True)
    receiver.answers = [answer(500)] * 4
    with workrow_clock.at("2027-05-01 12:00") as time:
        await tell_many(3)
        for step in (0, *tasks.STEPS[:3]):
            await later(workrow_jobs, time, seconds=step * 1.2)
        (head, *_) = await deliveries()
        assert (head.attempts, head.failures) == (4, 4)
        assert head.next_attempt_at is not None
        await later(workrow_jobs, time, seconds=62)
        assert told(receiver) == [0] * 4
        await replay(head.id)
        await later(workrow_jobs, time, seconds=62)
        assert told(receiver) == [0] * 5 + [1, 2]
        receiver.answers = [answer(500)]
        await replay(head.id)  # and it has all its attempts again
        await later(workrow_jobs, time)
        await later(workrow_jobs, time, seconds=7)
    assert await statuses() == ["delivered"] * 3
    assert [each.attempts for each in await deliveries()] == [7, 1, 1]


async def test_a_line_whose_subscription_is_disabled_is_skipped(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    row = await subscribe(receiver.url, ordered=True)
    receiver.answers = [answer(500), answer(410)]
    with workrow_clock.at("2027-05-01 12:00") as time:
        await tell_many(4)
        await later(workrow_jobs, time)
        await later(workrow_jobs, time, seconds=7)
        assert (await subscription(row.id)).disabled_at is not None
        assert await statuses() == ["failed", "skipped", "skipped", "skipped"]
        await change(row.id, active=True)
        async with database.session() as session, session.begin():
            await publishing.replay_failed(session, row.id, time.now().replace(hour=0), actor="test")
        await later(workrow_jobs, time)
    assert told(receiver) == [0, 0, 0, 1, 2, 3]
    assert await statuses() == ["delivered"] * 4


async def test_a_line_that_loses_its_order_goes_at_once_and_each_for_itself(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    row = await subscribe(receiver.url, ordered=True)
    receiver.answers = [answer(500), answer(500)]
    with workrow_clock.at("2027-05-01 12:00") as time:
        await tell_many(5)
        await later(workrow_jobs, time)
        await later(workrow_jobs, time, seconds=7)
        await change(row.id, ordered=False)
        await tell(n=5)
        receiver.answers = [answer(500)]
        await later(workrow_jobs, time, seconds=62)
        assert sorted(await statuses()) == ["delivered"] * 5 + ["pending"]
        await later(workrow_jobs, time, seconds=7)
    assert await statuses() == ["delivered"] * 6
    assert set(told(receiver)) == set(range(6))


async def test_what_waits_when_a_subscription_gets_an_order_joins_the_line(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    row = await subscribe(receiver.url)
    receiver.answers = [answer(500)]
    with workrow_clock.at("2027-05-01 12:00") as time:
        await tell(n=9)
        await later(workrow_jobs, time)
        await tell_many(4)
        await change(row.id, ordered=True)
        receiver.otherwise = answer(500)
        await later(workrow_jobs, time)
        await later(workrow_jobs, time, seconds=7)
        receiver.otherwise = OK
        await later(workrow_jobs, time, minutes=6)
        await later(workrow_jobs, time, minutes=6)
    assert await statuses() == ["delivered"] * 5
    assert receiver.most_open == 1
    assert [n for n in dict.fromkeys(told(receiver)) if n != 9] == [0, 1, 2, 3]
    assert told(receiver).count(9) >= 2


async def test_a_job_of_the_line_that_crashes_too_often_fails_the_head_and_no_other(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    row = await subscribe(receiver.url, ordered=True)
    receiver.answers = [answer(500)]
    with workrow_clock.at("2027-05-01 12:00") as time:
        await tell_many(3)
        await later(workrow_jobs, time)
        (head, second, _) = await deliveries()
        assert head.job_id is not None
        async with database.session() as session, session.begin():
            assert not await service.give_up(session, second.id, head.job_id)
            assert await service.give_up(session, head.id, head.job_id)
        await later(workrow_jobs, time, seconds=62)
    assert await statuses() == ["failed", "delivered", "delivered"]
    assert told(receiver) == [0, 1, 2]
    assert (await subscription(row.id)).failures == 0


async def test_the_line_of_a_deleted_subscription_ends_in_peace(receiver: Receiver, workrow_jobs: Harness) -> None:
    row = await subscribe(receiver.url, ordered=True)
    await tell_many(2)
    async with database.session() as session, session.begin():
        await subscriptions.remove(session, row.id, actor="test")
    assert [each.result for each in await workrow_jobs.drain()] == ["nothing is in line"] * 2


async def test_the_line_gets_another_job_for_one_that_crashed_before_it_had_begun(
    receiver: Receiver, workrow_jobs: Harness, conn: psycopg.Connection[Any]
) -> None:
    row = await subscribe(receiver.url, ordered=True)
    await tell_many(2)
    lost = scalar(conn, "SELECT max(id) FROM workrow.jobs WHERE task = 'webhooks.deliver'")
    await workrow_jobs.app.job(lost).cancel()
    failure = workrow.Failure(
        job_id=lost,
        task="webhooks.deliver",
        queue="webhooks",
        args={"delivery_id": 2, "subscription_id": row.id},
        status="failed",
        reason="crashed",
        attempts=0,
        crashes=3,
        failed_at=clock.now(),
    )
    await tasks.give_up.enqueue(None, failure=failure)
    await workrow_jobs.drain()
    assert told(receiver) == [0, 1]
    assert await statuses() == ["delivered"] * 2
