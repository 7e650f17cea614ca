"""What subscribers are told, how often, and what happens when they do not listen."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from jobs import database
from jobs.webhooks import publishing, service, subscriptions, tasks
from jobs.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookSubscription
from jobs.webhooks.publishing import BadEvent, NotReplayable, Published, publish
from jobs.webhooks.subscriptions import BadSubscription, UnknownSubscription
from tests.domains.conftest import jobs, scalar
from tests.domains.receiver import Receiver, answer
from workrow import clock
from workrow.testing import Clock, Harness, Ran

pytestmark = pytest.mark.usefixtures("receiver", "application")


async def subscribe(url: str, *events: str, ordered: bool = False, max_running: int = 5) -> WebhookSubscription:
    async with database.session() as session, session.begin():
        return await subscriptions.create(
            session, url=url, events=events or ["*"], description="", ordered=ordered, max_running=max_running
        )


async def tell(type: str = "user.registered", **data: Any) -> Published:
    async with database.session() as session, session.begin():
        return await publish(session, type, data)


async def subscription(id: int) -> WebhookSubscription:
    async with database.session() as session:
        return await subscriptions.get(session, id)


async def deliveries() -> list[WebhookDelivery]:
    async with database.session() as session:
        return list(await session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


async def statuses() -> list[str]:
    return [each.status for each in await deliveries()]


async def attempts() -> list[WebhookAttempt]:
    async with database.session() as session:
        order = (WebhookAttempt.delivery_id, WebhookAttempt.number)
        return list(await session.scalars(select(WebhookAttempt).order_by(*order)))


def told(receiver: Receiver) -> list[int]:
    """The numbers in the messages that arrived."""
    return [request.json()["data"]["n"] for request in receiver.received]


async def test_an_event_reaches_each_subscription_of_its_type_signed(
    receiver: Receiver, workrow_jobs: Harness, conn: psycopg.Connection[Any]
) -> None:
    one = await subscribe(f"{receiver.url}/1", "user.registered", "user.left")
    every = await subscribe(f"{receiver.url}/2", "*")
    await subscribe(f"{receiver.url}/3", "order.paid")
    event = await tell(user_id=7, name="Zoë")
    assert event.deliveries == 2
    await workrow_jobs.assert_enqueued(tasks.deliver, args={"subscription_id": one.id}, queue="webhooks", count=1)
    ran = await workrow_jobs.drain()
    assert [each.result for each in ran if each.task == "webhooks.deliver"] == ["delivered after 1 attempts"] * 2
    first, second = sorted(receiver.received, key=lambda request: request.path)
    assert [first.path, second.path] == ["/hook/1", "/hook/2"]
    assert first.is_signed_with(one.secret)
    assert second.is_signed_with(every.secret)
    assert not first.is_signed_with(every.secret)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == event.id
    assert first.headers["content-type"] == "application/json"
    assert abs(int(first.headers["webhook-timestamp"]) - clock.now().timestamp()) < 60
    assert first.json().keys() == {"type", "timestamp", "data"}
    assert (first.json()["type"], first.json()["data"]) == ("user.registered", {"user_id": 7, "name": "Zoë"})
    for delivery, attempt, job in zip(
        await deliveries(), await attempts(), jobs(conn, "webhooks.deliver"), strict=True
    ):
        assert (delivery.status, delivery.attempts, delivery.job_id) == ("delivered", 1, job["id"])
        assert (attempt.number, attempt.status_code, attempt.error, attempt.snippet) == (1, 200, None, "ok")
        assert job["args"] == {"delivery_id": delivery.id, "subscription_id": delivery.subscription_id}


async def test_a_transaction_that_rolls_back_tells_nobody(receiver: Receiver, conn: psycopg.Connection[Any]) -> None:
    await subscribe(receiver.url)
    async with database.session() as session:
        await publish(session, "user.registered", {})
        await session.rollback()
    assert await deliveries() == []
    assert jobs(conn, "webhooks.%") == []


async def test_an_event_that_nobody_hears_of_leaves_nothing(receiver: Receiver, conn: psycopg.Connection[Any]) -> None:
    off = await subscribe(receiver.url, "*")
    await subscribe(receiver.url, "order.paid")
    async with database.session() as session, session.begin():
        await subscriptions.change(session, off.id, active=False)
    assert (await tell()).deliveries == 0
    assert scalar(conn, "SELECT count(*) FROM webhook_events") == 0


UNSENDABLE: list[tuple[str, dict[str, Any], str]] = [
    ("User.Registered", {}, "event type 'User.Registered': write lower-case words"),
    ("", {}, "event type ''"),
    ("*", {}, r"event type '\*'"),
    ("a." * 100 + "a", {}, "event type"),
    ("a", {"x": object()}, "a: data=.* is no JSON"),
    ("a", {"x": float("inf")}, "is no JSON"),
    ("a", {"x": "\ud800"}, "is no JSON"),
    ("a", {"x": "x" * 300_000}, "a message of 3000.. bytes, 262144 at most"),
]


async def test_an_event_that_cannot_be_sent_is_refused_and_the_transaction_goes_on(receiver: Receiver) -> None:
    await subscribe(receiver.url)
    async with database.session() as session, session.begin():
        for type, data, words in UNSENDABLE:
            with pytest.raises(BadEvent, match=words):
                await publish(session, type, data)
        assert (await publish(session, "a", {"nul": "\x00", "emoji": "🎉"})).deliveries == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(500, "boom\x00"), "500 Internal Server Error"),
        (answer(404), "404 Not Found"),
        (answer(302, Location="http://169.254.169.254/"), "302 Found: redirects are not followed"),
        (answer(307, Location="/hook"), "307 Temporary Redirect: redirects are not followed"),
        (answer(799), "799"),
        (b"", "Server disconnected without sending a response."),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Padding: 1\r\n" * 50_000, "Receive buffer too long"),
        ("silence", "no answer within 2 s"),
        ("drip", "no answer within 2 s"),
    ],
)
async def test_an_attempt_that_fails_is_written_down_and_made_again(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock, reply: bytes | str, error: str
) -> None:
    row = await subscribe(receiver.url)
    receiver.answers = [reply]
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await tell()
        ran = await workrow_jobs.drain(raise_on_failure=False)
        assert [each.status for each in ran] == ["todo"]
        (first,) = await attempts()
        assert error in str(first.error)
        assert first.status_code == (int(error[:3]) if error[:3].isdigit() else None)
        assert first.duration_ms >= (1900 if isinstance(reply, str) else 0)
        assert await statuses() == ["pending"]
        failing = await subscription(row.id)
        assert (failing.failures, failing.failing_since) == (1, clock.now())
        await later(workrow_jobs, clock, seconds=6)
    assert await statuses() == ["delivered"]
    assert [request.headers["webhook-id"] for request in receiver.received][-1] == receiver.received[0].headers[
        "webhook-id"
    ]
    assert receiver.received[0].body == receiver.received[-1].body
    assert len(receiver.received) == 2  # no redirect was followed
    works = await subscription(row.id)
    assert (works.failures, works.failing_since, works.disabled_at) == (0, None, None)


async def test_nobody_listens_there(receiver: Receiver, workrow_jobs: Harness) -> None:
    await subscribe("http://127.0.0.1:1/hook")
    await tell()
    await workrow_jobs.drain(raise_on_failure=False)
    (attempt,) = await attempts()
    assert (attempt.status_code, attempt.error) == (None, "All connection attempts failed")


async def test_an_answer_without_end_is_cut_and_counts(receiver: Receiver, workrow_jobs: Harness) -> None:
    receiver.answers = ["endless"]
    await subscribe(receiver.url)
    await tell()
    await workrow_jobs.drain()
    (attempt,) = await attempts()
    assert (attempt.status_code, attempt.snippet) == (200, "x" * 1000)
    assert receiver.sent < 20_000_000  # what fits into the buffers of the two sockets


async def test_429_holds_everything_for_this_subscription_and_nothing_else(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    await subscribe(f"{receiver.url}/busy", "a")
    await subscribe(f"{receiver.url}/other", "b")
    receiver.answers = [answer(429, "slow down", Retry_After="600")]
    with workrow_clock.at("2027-05-01 12:00") as clock:
        for n in range(3):
            await tell("a", n=n)
        await tell("b", n=9)
        await workrow_jobs.drain(raise_on_failure=False)
        assert told(receiver) == [0, 9]
        await later(workrow_jobs, clock, minutes=9)
        assert told(receiver) == [0, 9]
        await later(workrow_jobs, clock, minutes=3)
    assert sorted(told(receiver)) == [0, 0, 1, 2, 9]
    assert await statuses() == ["delivered"] * 4
    assert [each.attempts for each in await deliveries()] == [2, 1, 1, 1]


async def later(workrow_jobs: Harness, clock: Clock, **span: float) -> list[Ran]:
    """So much time passes, and then what is due is run."""
    clock.jump(**span)
    return await workrow_jobs.drain(queues=["webhooks"], raise_on_failure=False)


async def exhaust(workrow_jobs: Harness, clock: Clock) -> None:
    """Whatever was published gets its attempts."""
    await later(workrow_jobs, clock)
    for step in tasks.STEPS:
        await later(workrow_jobs, clock, seconds=step * 1.1 + 1)


async def test_attempts_go_on_for_three_days_and_then_the_delivery_has_failed(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    receiver.otherwise = answer(500)
    row = await subscribe(receiver.url)
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await tell()
        await later(workrow_jobs, clock)
        for step in tasks.STEPS:
            assert await statuses() == ["pending"]
            assert await later(workrow_jobs, clock, seconds=step * 0.9 - 1) == []
            assert await later(workrow_jobs, clock, seconds=step * 0.2 + 2) != []
    (delivery,) = await deliveries()
    assert (delivery.status, delivery.attempts, len(receiver.received)) == ("failed", 10, 10)
    assert sum(tasks.STEPS) > 3 * 86_400
    assert (await subscription(row.id)).disabled_at is None  # three days are not five


async def test_a_job_that_crashes_too_often_fails_its_delivery(receiver: Receiver, workrow_jobs: Harness) -> None:
    await subscribe(receiver.url)
    await tell()
    (delivery,) = await deliveries()
    assert delivery.job_id is not None
    async with database.session() as session, session.begin():
        await service.give_up(session, delivery.id, delivery.job_id + 1)  # another job's end is nothing to it
    assert await statuses() == ["pending"]
    async with database.session() as session, session.begin():
        await service.give_up(session, delivery.id, delivery.job_id)
    assert await statuses() == ["failed"]
    await workrow_jobs.drain()
    assert receiver.received == []


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
                await publishing.replay_failed(session, row.id, since)
            on = await subscriptions.change(session, row.id, active=True)
            assert (on.disabled_at, on.disabled_reason, on.failures, on.failing_since) == (None, None, 0, None)
            job = await publishing.replay_failed(session, row.id, since)
        await workrow_jobs.drain()
    assert await job.result(timeout=0) == 2
    assert told(receiver) == [0, 1, 1, 2]
    assert await statuses() == ["delivered"] * 3


async def test_one_delivery_is_replayed_with_the_same_id(receiver: Receiver, workrow_jobs: Harness) -> None:
    await subscribe(receiver.url)
    await tell(n=1)
    (delivery,) = await deliveries()
    async with database.session() as session, session.begin():
        with pytest.raises(NotReplayable, match=f"on its way: see /jobs/{delivery.job_id}"):
            await publishing.replay(session, delivery.id)
    await workrow_jobs.drain()
    async with database.session() as session, session.begin():
        again = await publishing.replay(session, delivery.id)
        assert (again.status, again.ended_at) == ("pending", None)
        assert again.job_id != delivery.job_id
    await workrow_jobs.drain()
    first, second = receiver.received
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert [each.number for each in await attempts()] == [1, 2]


async def test_a_delivery_whose_job_was_cancelled_can_be_replayed(receiver: Receiver, workrow_jobs: Harness) -> None:
    await subscribe(receiver.url)
    await tell(n=1)
    (delivery,) = await deliveries()
    assert delivery.job_id is not None
    await workrow_jobs.app.job(delivery.job_id).cancel()
    async with database.session() as session, session.begin():
        await publishing.replay(session, delivery.id)
    await workrow_jobs.drain()
    assert told(receiver) == [1]


async def test_both_secrets_sign_while_one_is_replaced(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    row = await subscribe(receiver.url)
    old = row.secret
    with workrow_clock.at("2027-05-01 12:00") as clock:
        async with database.session() as session, session.begin():
            new = (await subscriptions.rotate(session, row.id)).secret
        for hours in (0, 23, 2):
            clock.jump(hours=hours)
            await tell()
            await workrow_jobs.drain()
    assert [request.is_signed_with(new) for request in receiver.received] == [True] * 3
    assert [request.is_signed_with(old) for request in receiver.received] == [True, True, False]


async def test_an_ordered_subscription_waits_for_what_came_before(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    await subscribe(f"{receiver.url}/ordered", "a", ordered=True)
    await subscribe(f"{receiver.url}/other", "a")
    receiver.delay = 0.01
    with workrow_clock.at("2027-05-01 12:00") as clock:
        for n in range(4):
            await tell("a", n=n)
        receiver.otherwise = answer(500)
        await later(workrow_jobs, clock)
        await later(workrow_jobs, clock, seconds=6)
        await later(workrow_jobs, clock, minutes=4)
        receiver.otherwise = answer(200)
        await later(workrow_jobs, clock, minutes=2)
    ordered = [each for each in receiver.received if each.path.endswith("ordered")]
    assert [each.json()["data"]["n"] for each in ordered] == [0, 0, 0, 1, 2, 3]
    assert await statuses() == ["delivered"] * 8


async def test_what_an_ordered_subscription_cannot_get_does_not_hold_the_rest_for_ever(
    receiver: Receiver, workrow_jobs: Harness, workrow_clock: Clock
) -> None:
    await subscribe(receiver.url, ordered=True)
    receiver.answers = [answer(500)] * 10
    with workrow_clock.at("2027-05-01 12:00") as clock:
        for n in range(2):
            await tell(n=n)
        await exhaust(workrow_jobs, clock)
        await later(workrow_jobs, clock, hours=5)
    assert told(receiver) == [0] * 10 + [1]
    assert await statuses() == ["failed", "delivered"]


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
                await subscriptions.remove(session, row.id)


async def test_the_delivery_of_a_deleted_subscription_ends_in_peace(receiver: Receiver, workrow_jobs: Harness) -> None:
    row = await subscribe(receiver.url)
    await tell()
    async with database.session() as session, session.begin():
        await subscriptions.remove(session, row.id)
        with pytest.raises(UnknownSubscription, match=f"no webhook subscription {row.id}"):
            await subscriptions.get(session, row.id)
    (ran,) = await workrow_jobs.drain()
    assert ran.result == "deleted after 0 attempts"


async def test_a_subscription_that_is_deleted_while_somebody_publishes_is_no_error_there(receiver: Receiver) -> None:
    row = await subscribe(receiver.url)
    async with database.session() as session, session.begin():
        await subscriptions.remove(session, row.id)
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
        async with database.session() as session:
            assert await service.prune(session, 30) == 5
    assert scalar(conn, "SELECT count(*) FROM webhook_events") == 2
    assert scalar(conn, "SELECT count(*) FROM webhook_deliveries") == 2
    assert scalar(conn, "SELECT count(*) FROM webhook_attempts") == 0
