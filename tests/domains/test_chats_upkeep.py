"""What is deleted and purged of chats, and the list of recent ones."""

from collections.abc import Awaitable, Callable

import pytest

from jobs.chats import lookup, service, writing
from tests.domains.cached import Conn, crash, read, transaction
from tests.domains.chatting import a_chat, a_user, place, post, put_draft, texts
from workrow.testing import Clock, Harness, Ran

pytestmark = pytest.mark.usefixtures("application")
Work = Callable[[], Awaitable[None]]


@pytest.mark.parametrize("saved", [False, True])
async def test_a_deleted_message_is_not_seen_wherever_it_is(saved: bool, work: Work, conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    gone = (await post(chat, user, "gone")).message.id
    await post(chat, user, "stays")
    if saved:
        await work()
    async with transaction() as session:
        await writing.delete_message(session, chat, gone)
    for forget in (False, True):
        if forget:
            crash(conn)
        assert await texts(chat) == ["stays"]
    await work()
    assert await texts(chat) == ["stays"]
    assert place(conn, "messages", "text, deleted_at IS NOT NULL") == [("gone", True), ("stays", False)]
    with pytest.raises(writing.UnknownMessage, match=f"there is no message {gone} in chat {chat}"):
        async with transaction() as session:
            await writing.delete_message(session, chat, gone)


async def test_a_deleted_chat_is_not_there() -> None:
    chat = await a_chat(user := await a_user())
    await post(chat, user, "hello")
    await put_draft(chat, user, 1)
    async with transaction() as session:
        await writing.delete_chat(session, chat)
    for use in (texts(chat), texts(chat, limit=100), post(chat, user), put_draft(chat, user, 2)):
        with pytest.raises(lookup.UnknownChat, match=f"there is no chat {chat}"):
            await use
    async with transaction() as session:
        assert await lookup.recent_chats(session, user) == []


async def night(clock: Clock) -> list[Ran]:
    """What the purge of 4:00 did, which is in the next minute."""
    return [each for each in await clock.run_for(minutes=1) if each.task == "chats.purge"]


async def test_what_was_deleted_is_purged_after_thirty_days_in_batches(
    workrow_jobs: Harness, workrow_clock: Clock, monkeypatch: pytest.MonkeyPatch, conn: Conn
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    with workrow_clock.at("2027-05-01 12:00", "Europe/Berlin") as clock:
        user = await a_user()
        stays, goes = await a_chat(user), await a_chat(user)
        first = (await post(stays, user, "gone")).message.id
        await post(stays, user, "stays")
        for n in range(5):
            await post(goes, user, str(n))
        await put_draft(goes, user, 1)
        await clock.run_for(seconds=10)
        async with transaction() as session:
            await writing.delete_message(session, stays, first)
            await writing.delete_chat(session, goes)
        clock.jump(days=29, hours=15, minutes=59)
        assert [each.result for each in await night(clock)] == [{"messages": 0, "chats": 0}]
        clock.jump(hours=23, minutes=59)
        conn.execute(
            """INSERT INTO unsaved_messages (chat_id, client_id, sender_id, text, posted_at)
               SELECT id, gen_random_uuid(), user_id, 'late', now() FROM chats"""
        )
        assert [each.result for each in await night(clock)] == [{"messages": 6, "chats": 1}]
    assert place(conn, "messages") == ["stays"]
    assert (place(conn, "unsaved_messages"), place(conn, "drafts")) == (["late"], [])  # of the chat that stays
    assert conn.execute("SELECT id FROM chats").fetchall() == [(stays,)]
    async with transaction() as session:  # what comes for it now has nothing to do
        assert await service.persist_messages(session, goes) == 0
        assert await service.persist_draft(session, goes, user) is None


async def test_recent_chats_are_cached_and_follow_each_change(work: Work, conn: Conn) -> None:
    user = await a_user()
    one, two = await a_chat(user), await a_chat(user)

    async def recent() -> list[int]:
        async with transaction() as session:
            return [chat.id for chat in await lookup.recent_chats(session, user)]

    assert await recent() == [two, one]
    conn.execute("UPDATE chats SET title = 'behind the back of the service'")
    async with transaction() as session:
        assert {chat.title for chat in await lookup.recent_chats(session, user)} == {"A chat"}
    await post(one, user)
    await work()
    assert await recent() == [one, two]
    three = await a_chat(user)
    assert await recent() == [one, three, two]
    async with transaction() as session:
        await writing.delete_chat(session, one)
    assert await recent() == [three, two]


async def test_warming_brings_the_recent_chats_of_who_wrote(workrow_jobs: Harness, conn: Conn) -> None:
    user = await a_user()
    await post(await a_chat(user), user)
    await a_chat(await a_user("grace"))
    await workrow_jobs.drain()
    crash(conn)
    async with transaction() as session:
        assert await lookup.warm_recent(session) == 1
    assert (await read(lookup.recent_key(user)))["chats"][0]["title"] == "A chat"
