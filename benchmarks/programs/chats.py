"""Messages of chats, for the workload ``application``. The database is that of DATABASE_URL.

``ours CHATS MESSAGES``: in each chat somebody posts so many messages, one after the other; a worker runs elsewhere.
``raw CHATS MESSAGES``: the same rows, each by one INSERT that commits, on a connection for each chat.
As the other clients (`benchmarks.programs.protocol`) they print "ready", wait for a line, and report as JSON.
"""

import asyncio
import json
import sys
import time
import uuid

import psycopg

from benchmarks.programs.waiting import ready, until
from jobs import database
from jobs.bootstrap import create_app
from jobs.chats import writing
from jobs.settings import get_settings
from jobs.users.models import User

TEXT = "Could you have a look at the offer that I sent you on Monday? I would like to answer them this week. " * 2
INSERT = """
    INSERT INTO messages (id, chat_id, sender_id, client_id, text, posted_at)
    VALUES (%s, %s, %s, gen_random_uuid(), %s, statement_timestamp())
"""


async def chats(count: int) -> tuple[int, list[int]]:
    """Somebody, and so many chats of theirs."""
    async with database.session() as session, session.begin():
        user = User(name="Ada", email="ada@example.com")
        session.add(user)
        await session.flush()
        return user.id, [(await writing.create_chat(session, user_id=user.id, title="x")).id for _ in range(count)]


async def ours(count: int, messages: int) -> None:
    """From the first post to the last message at its place; "posted" is when the last one was acknowledged."""

    async def post(chat_id: int, messages: int) -> None:
        for _ in range(messages):
            async with database.session() as session, session.begin():
                await writing.post_message(session, chat_id, client_id=uuid.uuid4(), sender_id=user_id, text=TEXT)

    app = create_app()
    async with app.open_async():
        user_id, ids = await chats(count)
        await asyncio.gather(*(post(id, 1) for id in ids))
        await until(f"SELECT count(*) = {count} FROM messages")
        begun = ready()
        await asyncio.gather(*(post(id, messages) for id in ids))
        posted = time.time()
        await until(f"SELECT count(*) = {count * (messages + 1)} FROM messages")
        print(json.dumps({"begun": begun, "ended": time.time(), "posted": posted}), flush=True)
    await database.engine().dispose()


async def raw(count: int, messages: int) -> None:
    """What the database takes of one process, a transaction for each row."""
    user_id, ids = await chats(count)
    url = get_settings().database_url
    connections = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in ids]

    async def insert(connection: psycopg.AsyncConnection, chat: int, messages: range) -> None:
        for number in messages:
            await connection.execute(INSERT, (number * count + chat, ids[chat], user_id, TEXT))

    async def each(messages: range) -> None:
        await asyncio.gather(*(insert(connection, chat, messages) for chat, connection in enumerate(connections)))

    await each(range(10))
    begun = ready()
    await each(range(10, 10 + messages))
    print(json.dumps({"begun": begun, "ended": time.time()}), flush=True)
    for connection in connections:
        await connection.close()
    await database.engine().dispose()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ours", count, messages]:
            asyncio.run(ours(int(count), int(messages)))
        case ["raw", count, messages]:
            asyncio.run(raw(int(count), int(messages)))
        case other:
            sys.exit(f"{other}: ours CHATS MESSAGES or raw CHATS MESSAGES")
