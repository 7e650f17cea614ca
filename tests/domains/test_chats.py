"""Messages: acknowledged once, seen at once, in order, and brought to their place whatever the cache forgets."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest

import workrow
from jobs import database
from jobs.bootstrap import create_app
from jobs.chats import lookup, service, writing
from jobs.settings import get_settings
from tests.domains.cached import Conn, crash, read, transaction
from tests.domains.chatting import a_chat, a_user, place, post, put_draft, texts
from tests.domains.conftest import jobs, scalar
from workrow.testing import Clock, Harness, Ran

pytestmark = pytest.mark.usefixtures("application")
Work = Callable[[], Awaitable[None]]


async def test_a_message_is_acknowledged_with_its_job_and_then_brought_to_its_place(work: Work, conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    posted = await post(chat, user, "hello")
    assert (place(conn, "unsaved_messages"), place(conn, "messages")) == (["hello"], [])
    (job,) = jobs(conn, "chats.%")
    assert (job["args"], job["lock"]) == ({"chat_id": chat, "up_to": posted.message.id}, f"chat:{chat}")
    assert [each["text"] for each in (await read(lookup.tail_key(chat)))["messages"]] == ["hello"]
    assert await texts(chat) == ["hello"]
    await work()
    assert (place(conn, "unsaved_messages"), place(conn, "messages")) == ([], ["hello"])
    assert await texts(chat) == ["hello"]
    assert scalar(conn, "SELECT posted_at FROM messages") == posted.message.posted_at


async def test_a_post_that_rolls_back_leaves_nothing(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    async with database.session() as session:
        await writing.post_message(session, chat, client_id=uuid.uuid4(), sender_id=user, text="x")
        await session.rollback()
    assert place(conn, "unsaved_messages") == jobs(conn, "chats.%") == await texts(chat) == []


async def test_nothing_is_lost_when_the_cache_is_lost_between_post_and_persist(work: Work, conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    await post(chat, user, "one")
    await work()
    await post(chat, user, "two")
    crash(conn)
    assert await texts(chat) == ["two", "one"]
    crash(conn)
    await post(chat, user, "three")
    assert await texts(chat) == ["three", "two", "one"]
    crash(conn)
    await work()
    assert place(conn, "messages") == ["one", "two", "three"]
    assert await texts(chat) == ["three", "two", "one"]


async def test_the_same_post_again_is_the_same_message(work: Work, conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    client_id = uuid.uuid4()
    answers = await asyncio.gather(*(post(chat, user, "x", client_id) for _ in range(10)))
    assert sorted(answer.new for answer in answers) == [False] * 9 + [True]
    await work()
    answers.append(await post(chat, user, "x", client_id))  # it is at its place now
    async with transaction() as session:
        await writing.delete_message(session, chat, answers[0].message.id)
    answers.append(await post(chat, user, "x", client_id))  # it does not come back
    assert len({answer.message for answer in answers}) == 1
    assert await texts(chat) == []
    assert len(place(conn, "messages")) == len(jobs(conn, "chats.%")) == 1
    with pytest.raises(writing.OtherMessage, match="another text or sender"):
        await post(chat, user, "y", client_id)
    assert (await post(await a_chat(user), user, "y", client_id)).new  # an id is one of its chat


async def test_messages_of_a_chat_are_in_order_with_two_workers(application: workrow.App, conn: Conn) -> None:
    user = await a_user()
    chats = [await a_chat(user) for _ in range(4)]
    posts = [(chat, n) for chat in chats for n in range(12)]
    random.Random(7).shuffle(posts)
    acknowledged = dict[int, list[int]]()

    async def posting(chat: int, n: int) -> None:
        message = (await post(chat, user, str(n))).message
        acknowledged.setdefault(chat, []).append(message.id)

    await asyncio.gather(*(posting(*each) for each in posts))
    other = create_app()
    async with other.open_async():
        workers = [
            app.run_worker_async(wait=False, concurrency=4, install_signal_handlers=False, listen_notify=False)
            for app in (application, other)
        ]
        await asyncio.gather(*workers)
    ran = jobs(conn, "chats.persist_messages")
    # a job brings all up to its message: had one overtaken another, it would have moved two, and the other none
    assert [job["result"] for job in ran] == [1] * 48
    assert {job["worker_id"] for job in ran} != {None}
    for chat in chats:
        saved = conn.execute("SELECT id, posted_at FROM messages WHERE chat_id = %s ORDER BY id", (chat,)).fetchall()
        assert [id for id, _ in saved] == sorted(acknowledged[chat])
        assert [at for _, at in saved] == sorted(at for _, at in saved)


async def test_a_job_that_runs_late_or_twice_moves_nothing_again(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    first, second = [(await post(chat, user, text)).message.id for text in ("one", "two")]
    for up_to, moved in ((second, 2), (first, 0), (second, 0)):
        async with transaction() as session:
            assert await service.persist_messages(session, chat, up_to) == moved
    assert place(conn, "messages") == ["one", "two"]


async def test_what_a_failed_job_left_gets_another(workrow_jobs: Harness, workrow_clock: Clock, conn: Conn) -> None:
    with workrow_clock.at("2027-05-01 12:00") as clock:
        chat = await a_chat(user := await a_user())
        await post(chat, user, "left")
        await put_draft(chat, user, 1)
        conn.execute("DELETE FROM procrastinate_jobs")  # as if both had failed for good
        await clock.run_for(minutes=4)
        assert place(conn, "messages") == []
        await clock.run_for(minutes=7)
    assert (place(conn, "messages"), place(conn, "drafts")) == (["left"], ["v1"])


async def test_pages_go_by_the_last_message_and_over_what_is_not_saved(work: Work) -> None:
    chat = await a_chat(user := await a_user())
    ids = [(await post(chat, user, str(n))).message.id for n in range(4)]
    await work()
    ids += [(await post(chat, user, str(n))).message.id for n in range(4, 7)]
    assert await texts(chat, limit=3) == ["6", "5", "4"]
    await post(chat, user, "new")  # shifts nothing
    assert await texts(chat, before=ids[4], limit=3) == ["3", "2", "1"]
    assert await texts(chat, before=ids[5], limit=2) == ["4", "3"]
    assert await texts(chat, before=ids[1], limit=3) == ["0"]
    assert await texts(chat, before=ids[0], limit=3) == []


async def test_the_cache_has_the_newest_and_the_tables_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "TAIL", 3)
    monkeypatch.setattr(lookup, "TAIL_BYTES", 3000)
    chat = await a_chat(user := await a_user())
    for text in ("a", "b", "c", "d", "x" * 2000, "y" * 1900):
        await post(chat, user, text)
    cached = await read(lookup.tail_key(chat))
    assert ([each["text"][0] for each in cached["messages"]], cached["older"]) == (["y"], True)
    assert [text[0] for text in await texts(chat, limit=3)] == ["y", "x", "d"]
    assert [text[0] for text in await texts(chat, limit=9)] == ["y", "x", "d", "c", "b", "a"]


async def test_a_cache_that_may_hold_nothing_refuses_no_message(monkeypatch: pytest.MonkeyPatch, conn: Conn) -> None:
    monkeypatch.setenv("WORKROW_CACHE_MAX_VALUE_BYTES", "1")
    get_settings.cache_clear()
    chat = await a_chat(user := await a_user())
    await post(chat, user, "hello")
    await put_draft(chat, user, 1)
    assert await texts(chat) == ["hello"]
    assert scalar(conn, "SELECT count(*) FROM cache_entries") == 0


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
        assert await service.persist_messages(session, goes, 10**6) == 0
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


async def test_an_impossible_text_is_refused(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    for text in ("", "x" * 4001, "a\0", "\ud800"):
        with pytest.raises(ValueError, match="a message has"):
            await post(chat, user, text)
    with pytest.raises(writing.UnknownUser, match="there is no user 12345"):
        await post(chat, 12345)
    assert jobs(conn, "chats.%") == []
