"""Who is never mailed, and the record of every send."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest

from jobs.emails import tasks
from jobs.settings import get_settings
from jobs.users.links import Purpose, link
from tests.domains.conftest import MailServer, jobs, scalar
from tests.domains.people import a_user, notify

Work = Callable[[], Awaitable[None]]
pytestmark = pytest.mark.usefixtures("application")


def verdicts(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT kind, recipient, verdict, words FROM email_failures ORDER BY id").fetchall()


def path(user_id: int) -> str:
    return link(Purpose.UNSUBSCRIBE, user_id).removeprefix("http://localhost:8000")


async def test_an_address_that_bounces_is_never_mailed_again(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any]
) -> None:
    user_id = await a_user()
    mail.answers["ada@example.com"] = "550 5.1.1 No such mailbox"
    await tasks.send_welcome.enqueue(None, user_id=user_id)
    await work()
    mail.answers.clear()
    await tasks.send_verification.enqueue(None, user_id=user_id)
    await work()
    assert mail.received == []
    assert [(job["status"], job["discarded"]) for job in jobs(conn)] == [("failed", True)] * 2
    first, second = verdicts(conn)
    assert first == ("welcome", "ada@example.com", "bounced", "550 5.1.1 No such mailbox")
    assert second[:3] == ("verification", "ada@example.com", "suppressed")
    assert "is never mailed: bounced on" in second[3]
    assert scalar(conn, "SELECT count(*) FROM email_deliveries") == 0


async def test_a_deferral_is_recorded_and_suppresses_nobody(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any]
) -> None:
    mail.answers["ada@example.com"] = "451 4.7.1 Later"
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    await work()
    assert verdicts(conn) == [("welcome", "ada@example.com", "deferred", "451 4.7.1 Later")]
    assert scalar(conn, "SELECT count(*) FROM email_suppressions") == 0


async def test_a_server_that_refuses_what_a_mail_says_suppresses_nobody(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> str:
        return "554 5.7.1 This looks like spam"

    monkeypatch.setattr(mail, "handle_DATA", refuse)
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    await work()
    assert [verdict for _, _, verdict, _ in verdicts(conn)] == ["refused"]
    assert scalar(conn, "SELECT count(*) FROM email_suppressions") == 0


async def test_every_mail_to_a_user_has_the_headers_of_rfc_8058_and_one_click_ends_them(
    client: httpx.AsyncClient,
    mail: MailServer,
    work: Work,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = "https://an-application-with-a-long-name.departments.example.com"
    monkeypatch.setenv("WORKROW_BASE_URL", site)
    get_settings.cache_clear()
    user_id = await a_user()
    await tasks.send_welcome.enqueue(None, user_id=user_id)
    await work()
    (message,) = mail.received
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = message["List-Unsubscribe"].strip("<>")
    assert url.startswith(f"{site}/unsubscribe/")
    assert url in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    one_click = {"List-Unsubscribe": "One-Click"}
    answer = await client.post(url.removeprefix(site), data=one_click)
    assert answer.status_code == 200
    await tasks.send_password_reset.enqueue(None, user_id=user_id, request_id="r1")
    await work()
    assert len(mail.received) == 1
    assert scalar(conn, "SELECT reason FROM email_suppressions WHERE address = 'ada@example.com'") == "unsubscribed"


async def test_following_the_link_asks_and_changes_nothing(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    user_id = await a_user()
    page = await client.get(path(user_id))
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert scalar(conn, "SELECT count(*) FROM email_suppressions") == 0
    for _ in range(2):
        assert (await client.post(path(user_id))).status_code == 200
    assert scalar(conn, "SELECT count(*) FROM email_suppressions") == 1


async def test_the_link_does_not_age(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id = await a_user()
    url = path(user_id)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: 4_000_000_000.0)
    assert (await client.post(url)).status_code == 200


@pytest.mark.parametrize("token", ["x", "MQ.aaaa.bbbb"])
async def test_a_wrong_link_unsubscribes_nobody(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any], token: str
) -> None:
    assert (await client.post(f"/unsubscribe/{token}")).status_code == 400
    verify = link(Purpose.VERIFY, await a_user()).rpartition("/")[2]
    assert (await client.post(f"/unsubscribe/{verify}")).status_code == 400
    assert scalar(conn, "SELECT count(*) FROM email_suppressions") == 0


async def test_preferences_are_read_changed_and_lifted(client: httpx.AsyncClient) -> None:
    url = f"/users/{await a_user()}/preferences"
    assert (await client.get(url)).json()["mailed"] is True
    changed = (await client.put(url, json={"mailed": False})).json()
    assert (changed["mailed"], changed["reason"]) == (False, "unsubscribed")
    assert (await client.put(url, json={"mailed": True})).json()["mailed"] is True
    assert (await client.put("/users/12345/preferences", json={"mailed": True})).status_code == 404


async def test_what_became_of_each_mail_and_the_figures_of_a_user(
    client: httpx.AsyncClient, mail: MailServer, work: Work
) -> None:
    user_id = await a_user()
    await tasks.send_welcome.enqueue(None, user_id=user_id)
    await work()
    mail.answers["ada@example.com"] = "451 4.7.1 Later"
    await tasks.send_verification.enqueue(None, user_id=user_id)
    await work()
    await notify(user_id, "one")
    found = (await client.get("/emails/sends", params={"address": "ADA@example.com"})).json()
    assert [(each["kind"], each["verdict"], each["words"]) for each in found] == [
        ("verification", "deferred", "451 4.7.1 Later"),
        ("welcome", "sent", None),
    ]
    figures = (await client.get(f"/users/{user_id}/metrics")).json()
    assert (figures["emails_sent"], figures["emails_failed"], figures["notifications_waiting"]) == (1, 1, 1)
    assert (figures["active"], figures["verified"]) == (True, False)
    assert (await client.post(f"/users/{user_id}/seen")).status_code == 204
    assert (await client.post("/users/12345/seen")).status_code == 404
