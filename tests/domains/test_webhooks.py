"""What subscribers are told, how often, and what is written down of it."""

from typing import Any

import psycopg
import pytest

from jobs import database
from jobs.webhooks import publishing, service, subscriptions, tasks
from jobs.webhooks.publishing import BadEvent, NotReplayable, publish
from tests.domains.conftest import jobs, scalar
from tests.domains.receiver import Receiver, answer
from tests.domains.webhooks import attempts, deliveries, later, statuses, subscribe, subscription, tell, told
from workrow import clock
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("receiver", "application")


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
        await subscriptions.change(session, off.id, active=False, actor="test")
    assert (await tell()).deliveries == 0
    assert scalar(conn, "SELECT count(*) FROM webhook_events") == 0


DEEP: dict[str, Any] = {}
for _ in range(100_000):
    DEEP = {"x": DEEP}
UNSENDABLE: list[tuple[str, dict[str, Any], str]] = [
    ("User.Registered", {}, "event type 'User.Registered': write lower-case words"),
    ("", {}, "event type ''"),
    ("*", {}, r"event type '\*'"),
    ("a." * 100 + "a", {}, "event type"),
    ("a", DEEP, "nested too deeply"),
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
        (b"SSH-2.0-OpenSSH_9.6" + b"x" * 50_000 + b"\r\n\r\n", "illegal status line"),
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
        assert len(str(first.error)) <= 500
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


async def test_an_answer_that_breaks_off_after_its_status_counts(receiver: Receiver, workrow_jobs: Harness) -> None:
    receiver.answers = [b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf\x00\xff"]
    await subscribe(receiver.url)
    await tell()
    await workrow_jobs.drain()
    (attempt,) = await attempts()
    assert (attempt.status_code, attempt.error, attempt.snippet) == (202, None, "half\ufffd\ufffd")
    assert await statuses() == ["delivered"]


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


async def test_one_delivery_is_replayed_with_the_same_id(receiver: Receiver, workrow_jobs: Harness) -> None:
    await subscribe(receiver.url)
    await tell(n=1)
    (delivery,) = await deliveries()
    async with database.session() as session, session.begin():
        with pytest.raises(NotReplayable, match=f"on its way: see /jobs/{delivery.job_id}"):
            await publishing.replay(session, delivery.id, actor="test")
    await workrow_jobs.drain()
    async with database.session() as session, session.begin():
        again = await publishing.replay(session, delivery.id, actor="test")
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
        await publishing.replay(session, delivery.id, actor="test")
    await workrow_jobs.drain()
    assert told(receiver) == [1]
