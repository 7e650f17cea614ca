"""Drafts: the highest version wins, in whatever order they come, and whatever is lost in between."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.cache import service as cache
from jobs.chats import lookup, service, writing
from jobs.chats.lookup import DraftValue
from tests.domains.cached import Conn, crash, read, transaction
from tests.domains.chatting import a_chat, a_user, draft, place, put_draft
from tests.domains.conftest import jobs
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")


async def persist(chat: int, user: int) -> int | None:
    async with transaction() as session:
        return await service.persist_draft(session, chat, user)


async def test_a_burst_is_written_once_when_it_is_over(workrow_jobs: Harness, workrow_clock: Clock, conn: Conn) -> None:
    with workrow_clock.at("2027-05-01 12:00") as clock:
        chat = await a_chat(user := await a_user())
        for version in range(1, 6):
            await put_draft(chat, user, version)
            assert await draft(chat, user) == DraftValue(version=version, text=f"v{version}")
            assert (await read(lookup.draft_key(chat, user)))["version"] == version
            assert await clock.run_for(seconds=1) == []
        assert place(conn, "drafts") == []
        (ran,) = await clock.run_for(seconds=2)
        assert (ran.task, ran.args, ran.result) == ("chats.persist_draft", {"chat_id": chat, "user_id": user}, 5)
    assert (place(conn, "drafts"), place(conn, "unsaved_drafts")) == (["v5"], [])


async def test_who_types_without_a_pause_is_saved_every_ten_seconds(
    workrow_jobs: Harness, workrow_clock: Clock, conn: Conn
) -> None:
    with workrow_clock.at("2027-05-01 12:00") as clock:
        chat = await a_chat(user := await a_user())
        for version in range(1, 12):
            await put_draft(chat, user, version)
            await clock.run_for(seconds=1)
        assert place(conn, "drafts") == ["v10"]
        assert await draft(chat, user) == DraftValue(version=11, text="v11")


async def test_an_older_draft_is_refused_with_the_stored_version(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    await put_draft(chat, user, 7)
    for state in ("cached", "not cached", "saved"):
        if state != "cached":
            crash(conn)
        if state == "saved":
            await persist(chat, user)
        for version, text in ((6, None), (7, "another")):
            with pytest.raises(writing.OutdatedDraft, match=f"version {version} of this draft.*version 7 is stored"):
                await put_draft(chat, user, version, text)
        assert await put_draft(chat, user, 7) == DraftValue(version=7, text="v7")  # the same again is no error
    assert len(jobs(conn, "chats.%")) == 1


async def test_a_hundred_drafts_out_of_order_end_with_the_highest(
    workrow_jobs: Harness, workrow_clock: Clock, conn: Conn
) -> None:
    chat = await a_chat(user := await a_user())
    versions = list(range(1, 101))
    random.Random(3).shuffle(versions)
    answers = await asyncio.gather(*(put_draft(chat, user, each) for each in versions), return_exceptions=True)
    stored = [answer.version for answer in answers if isinstance(answer, DraftValue)]
    assert all(isinstance(answer, DraftValue | writing.OutdatedDraft) for answer in answers)
    assert max(stored) == 100
    assert len(stored) < 100
    crash(conn)
    assert await draft(chat, user) == DraftValue(version=100, text="v100")
    await persist(chat, user)
    assert place(conn, "drafts", "version, text") == [(100, "v100")]


async def test_the_table_takes_no_older_version_whoever_left_it(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    await put_draft(chat, user, 7)
    assert await persist(chat, user) == 7
    conn.execute(
        """INSERT INTO unsaved_drafts (chat_id, user_id, version, text, typed_at)
           SELECT chat_id, user_id, 6, 'old', typed_at FROM drafts"""
    )
    assert await persist(chat, user) is None
    assert (place(conn, "drafts"), place(conn, "unsaved_drafts")) == (["v7"], [])


async def test_persisting_beside_typing_loses_no_version(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())

    async def typing() -> None:
        for version in range(1, 31):
            await put_draft(chat, user, version)

    async def persisting() -> None:
        for _ in range(30):
            await persist(chat, user)

    await asyncio.gather(typing(), persisting(), persisting())
    await persist(chat, user)
    assert place(conn, "drafts", "version, text") == [(30, "v30")]


STEPS = st.lists(st.one_of(st.integers(0, 6), st.sampled_from(["persist", "crash", "read", "evict"])), max_size=14)


@given(steps=STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_last_writer_wins_whatever_happens(conn: Conn, steps: list[int | str]) -> None:
    user = the_typist(conn)
    chat = await a_chat(user)
    highest: int | None = None
    for step in steps:
        if isinstance(step, int):
            if highest is None or step >= highest:
                await put_draft(chat, user, step)
                highest = step
            else:
                with pytest.raises(writing.OutdatedDraft):
                    await put_draft(chat, user, step)
        elif step == "persist":
            await persist(chat, user)
        elif step == "crash":
            crash(conn)
        elif step == "evict":
            async with transaction() as session:
                await cache.drop(session, lookup.draft_key(chat, user))
        await expect(chat, user, highest)
    await persist(chat, user)
    crash(conn)
    await expect(chat, user, highest)
    rows = conn.execute("SELECT version, text FROM drafts WHERE chat_id = %s", (chat,)).fetchall()
    assert rows == ([] if highest is None else [(highest, f"v{highest}")])


async def expect(chat: int, user: int, version: int | None) -> None:
    if version is None:
        with pytest.raises(lookup.NoDraft, match=f"user {user} has no draft in chat {chat}"):
            await draft(chat, user)
    else:
        assert await draft(chat, user) == DraftValue(version=version, text=f"v{version}")


def the_typist(conn: Conn) -> int:
    """The one user of all examples."""
    row = conn.execute(
        """INSERT INTO users (email, name) VALUES ('typist@example.com', 'Typist')
           ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING id"""
    ).fetchone()
    assert row is not None
    return int(row[0])


async def test_users_have_drafts_of_their_own() -> None:
    ada, grace = await a_user(), await a_user("grace")
    chat = await a_chat(ada)
    await put_draft(chat, ada, 5)
    await put_draft(chat, grace, 1, "")
    assert (await draft(chat, ada)).text == "v5"
    assert (await draft(chat, grace)).text == ""
