"""Leads are scored by rules, changed and tagged."""

import asyncio
from typing import Any

import psycopg
import pytest

from jobs import database
from jobs.leads import rules, service, tasks, values
from jobs.leads.imports import Books
from jobs.leads.models import Lead
from tests.domains.conftest import jobs, scalar, until
from tests.domains.leads import file_of, imported, leads, people
from workrow.testing import Harness

Conn = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("application")


async def lead(**values: Any) -> Lead:
    """A lead, scored."""
    async with database.session() as session, session.begin():
        added = Lead(**values)
        session.add(added)
        await session.flush()
        await service.qualify(session, added.id, added.id)
        await session.refresh(added)
        return added


@pytest.mark.parametrize(
    ("known", "names", "score", "status"),
    [
        ({"email": "ada@firm.example"}, ["business-email"], 25, "unqualified"),
        ({"email": "ada@gmail.com"}, ["free-email"], 5, "unqualified"),
        ({"email": "info@firm.example"}, ["business-email", "role-email"], 15, "unqualified"),
        ({"email": "x@mailinator.com", "phone": "+14155552671"}, ["throw-away-email", "phone"], -20, "unqualified"),
        ({"phone": "+14155552671", "time_zone": "Europe/Paris"}, ["phone", "time-zone"], 25, "unqualified"),
        (
            {"email": "ada@firm.example", "name": "Ada King", "company": "Firm"},
            ["business-email", "company", "full-name"],
            50,
            "qualified",
        ),
        ({"phone": "+14155552671", "source": "Referral", "name": "Ada"}, ["phone", "warm-source"], 40, "unqualified"),
        ({"email": "ada@firm.example", "status": "won"}, ["business-email"], 25, "won"),
    ],
)
async def test_the_rules(known: dict[str, Any], names: list[str], score: int, status: str) -> None:
    scored = await lead(**known)
    assert [reason["rule"] for reason in scored.reasons] == names
    assert sum(reason["points"] for reason in scored.reasons) == scored.score == score
    assert (scored.status, scored.rules_version) == (status, rules.VERSION)


async def test_scoring_twice_writes_once(conn: Conn) -> None:
    scored = await lead(email="ada@firm.example")
    before = leads(conn, "xmin::text")
    async with database.session() as session, session.begin():
        assert await service.qualify(session, scored.id, scored.id) == 0
    assert leads(conn, "xmin::text") == before


async def test_new_rules_score_all_leads_anew_in_parts(
    conn: Conn, workrow_jobs: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await imported(people(25))
    await workrow_jobs.drain()
    await tasks.rescore.enqueue(None)
    await workrow_jobs.drain()
    (nothing,) = jobs(conn, "leads.total")
    assert nothing["result"] == 0

    monkeypatch.setattr(rules, "VERSION", rules.VERSION + 1)
    monkeypatch.setattr(service, "PART", 10)
    first, second = await tasks.rescore.enqueue(None), await tasks.rescore.enqueue(None)
    assert first.id == second.id
    await workrow_jobs.drain()
    assert [each["result"] for each in jobs(conn, "leads.qualify")][-3:] == [10, 10, 5]
    assert jobs(conn, "leads.total")[-1]["result"] == 25
    assert set(leads(conn, "rules_version")) == {(rules.VERSION,)}
    workflow = scalar(conn, "SELECT state FROM workrow.workflows ORDER BY id DESC LIMIT 1")
    assert workflow == "succeeded"


async def test_a_change_is_scored_and_two_leads_never_share_an_address() -> None:
    ada, bob = await lead(email="ada@firm.example"), await lead(email="bob@firm.example")
    async with database.session() as session, session.begin():
        changed = await service.change(session, ada.id, {"company": "Firm", "name": "Ada King"})
        assert (changed.score, changed.status) == (50, "qualified")
        assert changed.updated_at > ada.updated_at
        with pytest.raises(service.AddressTaken, match=f"bob@firm.example is the address of lead {bob.id}"):
            await service.change(session, ada.id, {"email": "bob@firm.example"})
    async with database.session() as session:
        with pytest.raises(service.Unreachable, match="leave one of them"):
            await service.change(session, ada.id, {"email": None})
    async with database.session() as session:
        with pytest.raises(service.UnknownLead, match="no lead 12345"):
            await service.change(session, 12345, {"name": "x"})


async def test_a_change_of_address_and_an_import_wait_for_each_other(conn: Conn) -> None:
    ada = await lead(email="ada@firm.example")
    async with database.session() as session, session.begin():
        await service.change(session, ada.id, {"email": "new@firm.example"})
        importing = asyncio.create_task(imported(file_of("email,name", "new@firm.example,Ada")))
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        await until(lambda: scalar(conn, query) > 0)
    assert (await importing)[1] == Books(0, 1, 0)
    assert leads(conn) == [("new@firm.example", None, "Ada")]


async def test_tags_are_added_and_removed() -> None:
    ada = await lead(email="ada@firm.example", tags=["old", "kept"])
    async with database.session() as session, session.begin():
        tagged = await service.tag(session, ada.id, add=["VIP ", "vip"], remove=["Old", "other"])
        assert tagged.tags == ["kept", "vip"]
        with pytest.raises(values.BadValue, match="33 tags"):
            await service.tag(session, ada.id, add=[str(i) for i in range(31)])
