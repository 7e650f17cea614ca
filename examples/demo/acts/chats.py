"""People chat: messages and drafts are written behind a cache, in order."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from examples.demo.books import Entry
from examples.demo.client import LOOK_SECONDS, Client

DRAFTS = 10
QUIET_MESSAGES = 30
UNWRITTEN = "SELECT count(*) FROM workrow.jobs WHERE task LIKE 'chats.persist%' AND finished_at IS NULL AND {}"
WAITED = """SELECT 1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(EPOCH FROM started_at - created_at))
            FROM workrow.jobs WHERE task = 'chats.persist_messages' AND created_at >= %s"""


class Chats:
    """``count`` chats of ``messages`` messages each, and then, when all else is over, a few slow ones.

    Args:
        count, messages: how many, of each.
        url: of the service.
        database_url: where users are found, and what is written.
        quiet: set when nothing else happens any more.
        patience: of the client.
    """

    name = "messages"

    def __init__(
        self, count: int, messages: int, url: str, database_url: str, quiet: asyncio.Event, *, patience: float = 0.0
    ) -> None:
        self._count = count
        self._messages = messages
        self._url = url
        self._database_url = database_url
        self._quiet = quiet
        self._patience = patience
        self.posted: dict[int, list[str]] = {}
        """What each chat's messages are, as far as the service has said that it has them."""
        self._done = 0
        self._quiet_since: datetime | None = None

    async def play(self) -> None:
        async with Client(self._url) as client, await self._connect() as connection:
            users = await self._users(connection)
            await self.talk(users)
            await self._quiet.wait()
            self._quiet_since = datetime.now(UTC)
            (chat_id, said), *_ = self.posted.items()
            for _ in range(QUIET_MESSAGES):
                await self._post(client, chat_id, users[0], said)
                await asyncio.sleep(0.05)
            while await self._unwritten(connection):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)

    async def talk(self, users: Sequence[int]) -> None:
        """All of it but the slow ones at the end; these users take turns."""
        async with Client(self._url, patience=self._patience) as client, asyncio.TaskGroup() as chatting:
            for n in range(self._count):
                chatting.create_task(self._chat(client, users[n % len(users)], n))

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(self._database_url, autocommit=True)

    async def _users(self, connection: psycopg.AsyncConnection[Any]) -> list[int]:
        while True:
            rows = await (await connection.execute("SELECT id FROM users ORDER BY id LIMIT 10")).fetchall()
            if len(rows) >= 2:
                return [id for (id,) in rows]
            await asyncio.sleep(LOOK_SECONDS)

    async def _unwritten(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        # an overdue draft or message is a schedule's, which comes again and again
        row = await (await connection.execute(UNWRITTEN.format("task <> 'chats.persist_overdue'"))).fetchone()
        return bool(row and row[0])

    async def _chat(self, client: Client, user_id: int, number: int) -> None:
        opened = await client.ask("POST", "/chats", json={"user_id": user_id, "title": f"Chat {number}"})
        chat_id = opened.json()["id"]
        said = self.posted[chat_id] = []
        for _ in range(self._messages):
            await self._post(client, chat_id, user_id, said)
            self._done += 1
        path = f"/chats/{chat_id}/drafts/{user_id}"
        # they may overtake each other: the last one wins all the same, and an older one is refused
        versions = random.Random(number).sample(range(1, DRAFTS + 1), DRAFTS)
        drafts = [{"version": version, "text": f"draft {version}"} for version in versions]
        await asyncio.gather(*(client.ask("PUT", path, json=draft, allowed=(409,)) for draft in drafts))

    async def _post(self, client: Client, chat_id: int, user_id: int, said: list[str]) -> None:
        text = f"message {len(said)}"
        body = {"client_id": str(uuid.uuid4()), "sender_id": user_id, "text": text}
        await client.ask("POST", f"/chats/{chat_id}/messages", json=body)
        said.append(text)

    def progress(self) -> tuple[int, int]:
        return self._done, self._count * self._messages

    def entries(self, connection: psycopg.Connection[Any]) -> list[Entry]:
        return entries(connection, [self])

    def figures(self, connection: psycopg.Connection[Any]) -> list[tuple[str, float | None, str]]:
        row = connection.execute(WAITED, [self._quiet_since]).fetchone()
        return [
            (
                "a message from enqueue to start when all is quiet, p50 (ms)",
                row and row[0],
                "SQL: chats.persist_messages",
            )
        ]


def entries(connection: psycopg.Connection[Any], acts: Sequence[Chats]) -> list[Entry]:
    """The books of these acts, which are all who chat."""
    posted = {chat_id: said for act in acts for chat_id, said in act.posted.items()}
    written: dict[int, list[str]] = {}
    for chat_id, text in connection.execute("SELECT chat_id, text FROM messages ORDER BY id"):
        written.setdefault(chat_id, []).append(text)
    in_order = sum(written.get(chat_id, []) == said for chat_id, said in posted.items())
    latest = connection.execute("SELECT count(*) FROM drafts WHERE version = %s", [DRAFTS]).fetchone()
    return [
        Entry(
            "messages in the table = messages posted",
            sum(map(len, written.values())),
            sum(map(len, posted.values())),
        ),
        Entry("chats whose messages are in order = chats", in_order, len(posted)),
        Entry("drafts at their last version = chats", latest[0] if latest else 0, len(posted)),
    ]
