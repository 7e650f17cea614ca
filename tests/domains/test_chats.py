"""Messages: acknowledged once, seen at once, in order, and brought to their place whatever the cache forgets."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import workrow
from jobs import database
from jobs.bootstrap import create_app
from jobs.cache import eviction
from jobs.chats import lookup, service, writing
from jobs.settings import get_settings
from tests.domains.cached import Conn, crash, read, transaction
from tests.domains.chatting import a_chat, a_user, place, post, put_draft, texts
from tests.domains.conftest import jobs, scalar, until
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")
Work = Callable[[], Awaitable[None]]


async def test_a_message_is_acknowledged_with_its_job_and_then_brought_to_its_place(work: Work, conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    posted = await post(chat, user, "hello")
    assert (place(conn, "unsaved_messages"), place(conn, "messages")) == (["hello"], [])
    (job,) = jobs(conn, "chats.%")
    assert (job["args"], job["lock"]) == ({"chat_id": chat}, f"chat:{chat}")
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


@asynccontextmanager
async def two_workers(application: workrow.App) -> AsyncIterator[None]:
    """Workers of two apps, one job at a time each, for as long as the block runs."""
    other = create_app()
    async with other.open_async():
        workers = [
            asyncio.create_task(app.run_worker_async(concurrency=1, install_signal_handlers=False, queues=["chats"]))
            for app in (application, other)
        ]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def test_messages_of_a_chat_are_in_order_with_two_workers(application: workrow.App, conn: Conn) -> None:
    user = await a_user()
    chats = [await a_chat(user) for _ in range(4)]
    posts = [(chat, n) for chat in chats for n in range(15)]
    random.Random(7).shuffle(posts)
    await asyncio.gather(*(post(chat, user, str(n)) for chat, n in posts[:30]))
    async with two_workers(application):
        await asyncio.gather(*(post(chat, user, str(n)) for chat, n in posts[30:]))
        await until(lambda: len(place(conn, "messages")) == 60)
        await until(lambda: {job["status"] for job in jobs(conn, "chats.persist_messages")} == {"succeeded"})
    ran = jobs(conn, "chats.persist_messages")
    assert len({job["worker_id"] for job in ran}) == 2
    assert sum(job["result"] for job in ran) == 60
    for chat in chats:
        saved = conn.execute(
            "SELECT posted_at, saved_at FROM messages WHERE chat_id = %s ORDER BY id", (chat,)
        ).fetchall()
        assert [at for at, _ in saved] == sorted(at for at, _ in saved)
        assert [at for _, at in saved] == sorted(at for _, at in saved)


async def test_a_job_that_runs_twice_moves_nothing_again(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    for text in ("one", "two"):
        await post(chat, user, text)
    for moved in (2, 0):
        async with transaction() as session:
            assert await service.persist_messages(session, chat) == moved
    assert place(conn, "messages") == ["one", "two"]


async def test_who_posts_while_a_job_waits_needs_no_other_and_while_it_runs_gets_one(work: Work, conn: Conn) -> None:
    one, other = await a_chat(user := await a_user()), await a_chat(user)
    for text in ("one", "two", "three"):
        await post(one, user, text)
        await post(other, user, text)
    assert [job["args"]["chat_id"] for job in jobs(conn, "chats.%")] == [one, other]
    await work()
    assert [job["result"] for job in jobs(conn, "chats.%")] == [3, 3]
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    await post(one, user, "four")
    assert len(jobs(conn, "chats.%")) == 3


async def test_a_job_waits_for_a_post_that_has_found_it_waiting(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    await post(chat, user, "one")

    async def persist() -> int:
        async with transaction() as session:
            return await service.persist_messages(session, chat)

    async with database.session() as session, session.begin():
        await writing.post_message(session, chat, client_id=uuid.uuid4(), sender_id=user, text="two")
        job = asyncio.create_task(persist())
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await until(lambda: scalar(conn, waits) > 0)
    assert await job == 2
    assert len(jobs(conn, "chats.%")) == 1


async def test_a_job_of_an_earlier_version_still_runs(work: Work, conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    await post(chat, user, "one")
    conn.execute("UPDATE procrastinate_jobs SET args = args || '{\"up_to\": 1}'")
    await work()
    assert place(conn, "messages") == ["one"]


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


async def test_reading_posting_and_evicting_at_the_same_time_leave_no_outdated_tail(
    monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    monkeypatch.setenv("WORKROW_CACHE_MAX_BYTES", "0")
    get_settings.cache_clear()
    chat = await a_chat(user := await a_user())

    async def evict() -> None:
        async with transaction() as session:
            await eviction.evict_least_used(session)

    async def see(text: str) -> None:
        await post(chat, user, text)
        assert text in await texts(chat)

    several = [each for n in range(20) for each in (see(str(n)), texts(chat), evict())]
    await asyncio.gather(*several, work())
    assert sorted(await texts(chat), key=int) == [str(n) for n in range(20)]


async def test_a_cache_that_may_hold_nothing_refuses_no_message(monkeypatch: pytest.MonkeyPatch, conn: Conn) -> None:
    monkeypatch.setenv("WORKROW_CACHE_MAX_VALUE_BYTES", "1")
    get_settings.cache_clear()
    chat = await a_chat(user := await a_user())
    await post(chat, user, "hello")
    await put_draft(chat, user, 1)
    assert await texts(chat) == ["hello"]
    assert scalar(conn, "SELECT count(*) FROM cache_entries") == 0


async def test_an_impossible_text_is_refused(conn: Conn) -> None:
    chat = await a_chat(user := await a_user())
    for text in ("", "x" * 4001, "a\0", "\ud800"):
        with pytest.raises(ValueError, match="a message has"):
            await post(chat, user, text)
    with pytest.raises(writing.UnknownUser, match="there is no user 12345"):
        await post(chat, 12345)
    assert jobs(conn, "chats.%") == []
