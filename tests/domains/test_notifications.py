"""Digests, and messages to everybody."""

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

import workrow
from jobs import database
from jobs.bootstrap import database_url
from jobs.emails import bulks, digests, notifications, preferences, tasks
from jobs.emails.service import UnknownUser
from tests.domains.conftest import MailServer, jobs, scalar
from tests.domains.people import a_user, notify
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    """Only this domain: the schedules of the others would run for hours, too."""
    return workrow.App(database_url, sessions=database.session).include(tasks.emails)


async def nightly(clock: Clock) -> list[Any]:
    """The results of the clean-ups of the next half a day."""
    return [each.result for each in await clock.run_for(hours=14) if each.task == "emails.clean_up"]


async def test_notifications_within_minutes_become_one_mail(
    workrow_jobs: Harness, workrow_clock: Clock, mail: MailServer
) -> None:
    user_id, other = await a_user(), await a_user("grace@example.com")
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await notify(user_id, "Grace answered", "Grace <b>liked</b> it")
        await notify(other, "Ada asked")
        await clock.run_for(minutes=4)
        assert mail.received == []
        await notify(user_id, "Grace left")  # quiet for five minutes begins anew
        await clock.run_for(minutes=4)
        assert mail.recipients() == ["grace@example.com"]
        await clock.run_for(minutes=2)
        assert mail.recipients() == ["ada@example.com", "grace@example.com"]
        await notify(user_id, "Grace is back")
        await clock.run_for(minutes=6)
    first, second = [each for each in mail.received if each["To"].addresses[0].addr_spec == "ada@example.com"]
    assert first["Subject"] == "3 new for you"
    text = first.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- Grace answered",
        "- Grace <b>liked</b> it",
        "- Grace left",
    ]
    assert "&lt;b&gt;" in first.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert second["Subject"] == "1 new for you"


async def test_a_user_who_is_told_all_the_time_is_mailed_after_an_hour(
    workrow_jobs: Harness, workrow_clock: Clock, mail: MailServer
) -> None:
    user_id = await a_user()
    with workrow_clock.at("2027-05-01 12:00") as clock:
        for number in range(21):
            await notify(user_id, str(number))
            await clock.run_for(minutes=3)
    assert [message["Subject"] for message in mail.received] == ["20 new for you"]


async def test_a_digest_that_was_sent_is_not_sent_again_and_nothing_new_is_lost(
    workrow_jobs: Harness, mail: MailServer, conn: psycopg.Connection[Any]
) -> None:
    user_id = await a_user()
    await notify(user_id, "one")
    async with database.session() as session, session.begin():
        (cause,) = await digests.collect(session, user_id)  # and now its worker dies
    await notify(user_id, "two")
    for _ in range(2):
        await tasks.send_digest.enqueue(None, user_id=user_id)
        await workrow_jobs.drain()
    assert [message["Subject"] for message in mail.received] == ["1 new for you"] * 2
    assert mail.received[0]["Message-ID"] == f"<{cause}@workrow.example>"
    assert scalar(conn, "SELECT count(*) FROM email_notifications WHERE closed_at IS NULL") == 0


async def test_a_digest_to_who_has_unsubscribed_is_closed(
    workrow_jobs: Harness, mail: MailServer, conn: psycopg.Connection[Any]
) -> None:
    user_id = await a_user()
    await notify(user_id, "one")
    async with database.session() as session, session.begin():
        await preferences.suppress(session, "ada@example.com", reason="unsubscribed", words="test")
    await tasks.send_digest.enqueue(None, user_id=user_id)
    assert [each.result for each in await workrow_jobs.drain()] == [0]
    assert mail.received == []
    assert scalar(conn, "SELECT count(*) FROM email_notifications WHERE closed_at IS NULL") == 0


async def test_at_ten_past_two_what_was_told_three_months_ago_is_forgotten(
    workrow_jobs: Harness, workrow_clock: Clock, mail: MailServer, conn: psycopg.Connection[Any]
) -> None:
    user_id = await a_user()
    mail.answers["ada@example.com"] = "451 4.7.1 Later"
    with workrow_clock.at("2027-05-01 12:00", "Europe/Berlin") as clock:
        await tasks.send_welcome.enqueue(None, user_id=user_id)
        await workrow_jobs.drain(raise_on_failure=False)
        mail.answers.clear()
        await notify(user_id, "one")
        await clock.run_for(hours=1)
        clock.jump(days=90)
        assert await nightly(clock) == [2]
    left = "SELECT (SELECT count(*) FROM email_notifications), (SELECT count(*) FROM email_failures)"
    assert conn.execute(left).fetchone() == (0, 0)
    assert scalar(conn, "SELECT count(*) FROM email_deliveries") == 2


async def test_a_notification_exists_exactly_if_its_transaction_commits(conn: psycopg.Connection[Any]) -> None:
    user_id = await a_user()
    async with database.session() as session:
        await notifications.notify(session, user_id, "one")
        await session.rollback()
    assert (scalar(conn, "SELECT count(*) FROM email_notifications"), jobs(conn)) == (0, [])
    with pytest.raises(UnknownUser, match="no user 12345"):
        await notify(12345, "one")


async def test_a_message_to_everybody_is_a_workflow_with_progress(
    client: httpx.AsyncClient, workrow_jobs: Harness, mail: MailServer, conn: psycopg.Connection[Any]
) -> None:
    for number in range(4):
        await a_user(f"user{number}@example.com")
    gone = await a_user("gone@example.com")
    conn.execute("UPDATE users SET deactivated_at = now() WHERE id = %s", (gone,))
    mail.answers["user0@example.com"] = "550 5.1.1 No such mailbox"
    async with database.session() as session, session.begin():
        await preferences.suppress(session, "user1@example.com", reason="unsubscribed", words="test")
    asked = await client.post("/emails/bulk", json={"subject": "We move", "text": "On Monday.\nTo Berlin."})
    assert asked.status_code == 202
    url = f"/emails/bulk/{asked.json()['id']}"
    await workrow_jobs.drain(limit=2)
    half = (await client.get(url)).json()
    assert (half["state"], half["size"], half["done"]) == (
        "running",
        5,
        1,
    )  # the one that laid out the rest waits for it
    await workrow_jobs.drain()
    ended = (await client.get(url)).json()
    assert (ended["state"], ended["progress"], ended["sent"], ended["unsent"]) == ("succeeded", 1.0, 2, 1)
    assert mail.recipients() == ["user2@example.com", "user3@example.com"]
    assert {message["Subject"] for message in mail.received} == {"We move"}
    await tasks.send_bulk.enqueue(None, bulk_id=ended["id"], user_id=scalar(conn, "SELECT max(id) - 1 FROM users"))
    await workrow_jobs.drain()
    assert len(mail.received) == 2


async def test_a_message_to_nobody_ends(client: httpx.AsyncClient, workrow_jobs: Harness) -> None:
    id = (await client.post("/emails/bulk", json={"subject": "Hello", "text": "x"})).json()["id"]
    await workrow_jobs.drain()
    ended = (await client.get(f"/emails/bulk/{id}")).json()
    assert (ended["state"], ended["sent"], ended["unsent"]) == ("succeeded", 0, 0)


async def test_too_many_recipients_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulks, "MOST", 1)
    await asyncio.gather(a_user(), a_user("grace@example.com"))
    async with database.session() as session:
        with pytest.raises(bulks.TooManyRecipients, match="more than 1 recipients"):
            await bulks.recipients(session)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/emails/bulk", {"subject": "a\nBcc: x@y.z", "text": "x"}),
        ("/emails/bulk", {"subject": " ", "text": "x"}),
        ("/emails/bulk", {"subject": "a", "text": "x\u0000"}),
        ("/users/1/notifications", {"text": ""}),
    ],
)
async def test_what_cannot_be_said_is_422(client: httpx.AsyncClient, path: str, body: dict[str, str]) -> None:
    assert (await client.post(path, json=body)).status_code == 422
