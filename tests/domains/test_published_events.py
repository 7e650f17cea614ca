"""What the domains tell of: exactly what has changed, with the change, and once."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database
from jobs.calls import events as provider_events
from jobs.calls import service as calls
from jobs.calls.provider import Report
from jobs.calls.states import State
from jobs.campaigns import service as campaigns
from jobs.campaigns.models import Campaign
from jobs.emails import preferences
from jobs.emails.smtp import RefusedAddress
from jobs.leads import imports, tasks
from jobs.leads import service as leads
from jobs.leads.models import Lead
from jobs.users import links
from jobs.users import service as users
from jobs.users.links import Purpose
from jobs.users.models import User
from jobs.webhooks.catalog import EVENTS
from tests.domains.calling import order, read
from tests.domains.conftest import jobs, scalar
from tests.domains.leads import imported, people, start
from tests.domains.people import a_user
from tests.domains.receiver import Receiver
from tests.domains.webhooks import subscribe
from workrow.testing import Harness

pytestmark = pytest.mark.usefixtures("receiver", "application")
Conn = psycopg.Connection[Any]
WORDS = "550 5.1.1 No such mailbox"
GOOD = {"email": "ada@firm.example", "phone": "+14155552671", "company": "Firm"}
"""60 points: a lead that is qualified."""


@dataclass
class Change:
    """What changes something, in a transaction, and what is told of that."""

    act: Callable[[AsyncSession], Awaitable[object]]
    data: dict[str, Any]


async def add(row: Any) -> Any:
    async with database.session() as session, session.begin():
        session.add(row)
    return row.id


async def registration() -> Change:
    async def act(session: AsyncSession) -> None:
        with suppress(users.EmailTaken):
            await users.register(session, name="Ada", email="Ada@example.com")

    return Change(act, {"user_id": 1, "email": "ada@example.com"})


async def verification() -> Change:
    token = links.link(Purpose.VERIFY, await a_user()).rpartition("/")[2]
    return Change(lambda session: users.verify(session, token), {"user_id": 1, "email": "ada@example.com"})


async def deactivation() -> Change:
    now = datetime.now(UTC)
    id = await add(User(name="Ada", email="ada@example.com", last_seen_at=now - timedelta(days=9)))
    cutoff = now - timedelta(days=5)
    return Change(lambda s: users.deactivate_inactive(s, cutoff), {"user_id": id, "email": "ada@example.com"})


async def bounce() -> Change:
    async def act(session: AsyncSession) -> None:
        unsent = RefusedAddress(WORDS)
        unsent.verdict = "bounced"
        unsent.letter = {"cause": "welcome.1", "kind": "welcome", "recipient": "ada@example.com", "job_id": 1}
        await preferences.note(session, unsent)

    return Change(act, {"email": "ada@example.com", "words": WORDS})


async def unsubscription() -> Change:
    token = links.link(Purpose.UNSUBSCRIBE, await a_user()).rpartition("/")[2]
    said = {"email": "ada@example.com", "words": "by the link in an e-mail"}
    return Change(lambda session: users.unsubscribe(session, token), said)


async def qualification() -> Change:
    id = await add(Lead(**GOOD))
    return Change(lambda session: leads.qualify(session, id, id), {"lead_id": id, "score": 60})


async def end_of_a_call() -> Change:
    lead_id = await add(Lead(phone="+4930123456"))
    call = await read(await order(lead_id=lead_id))
    async with database.session() as session, session.begin():
        await calls.move(session, call.id, State.DIALING, cause="test")
    report = Report(status=State.BUSY)
    said = {"call_id": call.id, "key": str(call.key), "lead_id": lead_id, "state": "busy"}
    return Change(lambda session: calls.apply(session, call.id, report, cause="test"), said)


async def end_of_a_campaign() -> Change:
    id = await add(Campaign(name="Spring", concurrency=2))
    said = {"targets": 0, "completed": 0, "failed": 0, "no_answer": 0, "busy": 0, "cancelled": 0, "skipped": 0}
    data = {"campaign_id": id, "name": "Spring", "cancelled": False, "report": said}
    return Change(lambda session: campaigns.report(session, id), data)


CHANGES = {
    "user.registered": registration,
    "user.verified": verification,
    "user.deactivated": deactivation,
    "email.bounced": bounce,
    "email.unsubscribed": unsubscription,
    "lead.qualified": qualification,
    "call.ended": end_of_a_call,
    "campaign.completed": end_of_a_campaign,
}


def published(conn: Conn) -> list[tuple[str, dict[str, Any]]]:
    """What was told, in order."""
    rows = conn.execute(
        "SELECT event.type, CAST(event.body AS jsonb) -> 'data' FROM webhook_deliveries AS delivery"
        " JOIN webhook_events AS event ON event.id = delivery.event_id ORDER BY delivery.id"
    )
    return [(type, data) for type, data in rows]


def deliveries(conn: Conn) -> list[dict[str, Any]]:
    return jobs(conn, "webhooks.deliver")


@pytest.mark.parametrize("type", CHANGES)
async def test_a_change_is_told_of_with_its_commit_and_once(type: str, conn: Conn, receiver: Receiver) -> None:
    change = await CHANGES[type]()
    await subscribe(receiver.url, type)
    for _ in range(2):
        async with database.session() as session, session.begin():
            await change.act(session)
        assert published(conn) == [(type, change.data)]
        assert len(deliveries(conn)) == 1


@pytest.mark.parametrize("type", CHANGES)
async def test_a_change_that_rolls_back_is_not_told_of(type: str, conn: Conn, receiver: Receiver) -> None:
    change = await CHANGES[type]()
    await subscribe(receiver.url, type)
    async with database.session() as session:
        await change.act(session)
        await session.rollback()
    assert (published(conn), deliveries(conn)) == ([], [])
    async with database.session() as session, session.begin():
        await change.act(session)
    assert len(published(conn)) == 1


async def test_an_import_is_told_of_when_its_last_batch_commits(conn: Conn, receiver: Receiver) -> None:
    await subscribe(receiver.url, "lead.import_completed")

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    started, _ = await start(people(3))
    with pytest.raises(ZeroDivisionError):
        await imports.run(started.id, fail, lambda *_: None)
    assert published(conn) == []
    for _ in range(2):
        await imports.run(started.id, tasks.qualify.enqueue, lambda *_: None)
        said = {"import_id": started.id, "name": "leads.csv", "imported": 3, "merged": 0, "refused": 0}
        assert published(conn) == [("lead.import_completed", said)]


async def test_who_is_scored_again_or_is_not_qualified_is_not_told_of(conn: Conn, receiver: Receiver) -> None:
    await subscribe(receiver.url, "lead.qualified")
    await imported(people(2))
    ids = [id for (id,) in conn.execute("SELECT id FROM leads ORDER BY id")]
    async with database.session() as session, session.begin():
        await session.execute(update(Lead).where(Lead.id == ids[1]).values(phone=None, company=None))
        await leads.qualify(session, *ids)
    assert [data["lead_id"] for _, data in published(conn)] == [ids[0]]
    async with database.session() as session, session.begin():
        await leads.tag(session, ids[0], add=["vip"])
        await leads.tag(session, ids[1], add=["vip"])
    assert len(published(conn)) == 1
    # a row of another file makes the other one qualified as well
    await imported(b"email,name,company,source\n" + b"ada1@firm1.example,Ada King,Firm,referral\n")
    assert [data["lead_id"] for _, data in published(conn)] == ids


async def test_what_the_provider_says_twice_or_late_is_told_of_once(conn: Conn, receiver: Receiver) -> None:
    call = await read(await order())
    await subscribe(receiver.url, "call.ended")
    async with database.session() as session, session.begin():
        await calls.move(session, call.id, State.DIALING, cause="test")
    outcomes = []
    for id, status in [("1", "ringing"), ("2", "completed"), ("2", "completed"), ("3", "failed")]:
        body = Report(status=State(status)).model_dump_json()[:-1] + f', "key": "{call.key}"}}'
        async with database.session() as session, session.begin():
            outcomes.append(await provider_events.receive(session, id, body.encode()))
    assert outcomes == ["applied", "applied", "repeated", "late"]
    assert [(type, data["state"]) for type, data in published(conn)] == [("call.ended", "completed")]


async def test_calls_that_end_together_are_told_of_one_by_one(conn: Conn, receiver: Receiver) -> None:
    known = [await read(await order(f"+493012345{n}")) for n in range(3)]
    await subscribe(receiver.url, "call.ended", ordered=True)
    await subscribe(f"{receiver.url}/2", "*")
    async with database.session() as session, session.begin():
        stopped = await calls.stop_scheduled(session, [call.key for call in known], State.CANCELLED, cause="test")
    assert stopped == 3
    told = [data["call_id"] for _, data in published(conn)]
    assert told == [call.id for call in known for _ in range(2)]
    in_order = [job for job in deliveries(conn) if job["args"]["subscription_id"] == 1]
    assert [job["args"]["delivery_id"] for job in in_order] == [1, 3, 5]


async def test_what_nobody_hears_of_costs_one_statement_however_much_it_is(receiver: Receiver, conn: Conn) -> None:
    await subscribe(receiver.url, "order.paid")
    now = datetime.now(UTC)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    for number in range(20):
        await add(User(name="x", email=f"{number}@example.com", last_seen_at=now - timedelta(days=9)))
    event.listen(database.engine().sync_engine, "before_cursor_execute", note)
    async with database.session() as session, session.begin():
        assert await users.deactivate_inactive(session, now - timedelta(days=5)) == 20
    assert len(statements) == 3  # who it is, the change, and who hears of it
    assert scalar(conn, "SELECT count(*) FROM webhook_events") == 0


async def test_a_registration_reaches_a_receiver(
    client: httpx.AsyncClient, receiver: Receiver, workrow_jobs: Harness
) -> None:
    wanted = {"url": receiver.url, "events": ["user.registered"]}
    made = (await client.post("/webhooks/subscriptions", json=wanted)).json()
    answer = await client.post("/register", json={"name": "Ada", "email": "ada@example.com"})
    assert answer.status_code == 201
    await workrow_jobs.drain()
    (request,) = receiver.received
    assert request.is_signed_with(made["secret"])
    assert request.json()["type"] == "user.registered"
    assert request.json()["data"] == {"user_id": 1, "email": "ada@example.com"}


async def test_who_subscribes_to_a_type_of_their_own_is_told_which_there_are(
    client: httpx.AsyncClient, receiver: Receiver
) -> None:
    assert (await client.get("/webhooks/events")).json() == EVENTS
    answer = await client.post("/webhooks/subscriptions", json={"url": receiver.url, "events": ["user.registred"]})
    assert answer.status_code == 201
    hint = answer.json()["hint"]
    assert hint.startswith("the application itself never tells of user.registred, only who calls POST /webhooks/events")
    assert all(type in hint for type in EVENTS)
    told = await client.post("/webhooks/events", json={"type": "user.registred", "data": {"id": str(uuid4())}})
    assert told.json()["deliveries"] == 1
    path = f"/webhooks/subscriptions/{answer.json()['id']}"
    assert (await client.patch(path, json={"events": ["*", "user.registered"]})).json()["hint"] is None


def test_every_event_is_in_the_list_and_in_the_documentation() -> None:
    assert {*CHANGES, "lead.import_completed"} == EVENTS.keys()
    page = (Path(__file__).parents[2] / "docs" / "application.md").read_text()
    section = page.partition("### Events")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z._]+)` \|", section, re.MULTILINE) == list(EVENTS)
