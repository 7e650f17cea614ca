"""What tests of chats share: each call is a transaction of its own, as a request is."""

import uuid
from typing import Any

from jobs.chats import lookup, writing
from jobs.chats.lookup import DraftValue
from jobs.users.models import User
from tests.domains.cached import Conn, transaction

__all__ = ["a_chat", "a_user", "draft", "place", "post", "put_draft", "texts"]


async def a_user(name: str = "ada") -> int:
    async with transaction() as session:
        user = User(name=name, email=f"{name}@example.com")
        session.add(user)
    return user.id


async def a_chat(user_id: int, title: str = "A chat") -> int:
    async with transaction() as session:
        return (await writing.create_chat(session, user_id=user_id, title=title)).id


async def post(chat_id: int, sender_id: int, text: str = "hello", client_id: uuid.UUID | None = None) -> writing.Posted:
    async with transaction() as session:
        return await writing.post_message(
            session, chat_id, client_id=client_id or uuid.uuid4(), sender_id=sender_id, text=text
        )


async def texts(chat_id: int, **page: Any) -> list[str]:
    """What one sees of a chat, newest first."""
    async with transaction() as session:
        return [message.text for message in await lookup.messages(session, chat_id, **page)]


async def put_draft(chat_id: int, user_id: int, version: int, text: str | None = None) -> DraftValue:
    async with transaction() as session:
        text = f"v{version}" if text is None else text
        return await writing.put_draft(session, chat_id, user_id, version=version, text=text)


async def draft(chat_id: int, user_id: int) -> DraftValue:
    async with transaction() as session:
        return await lookup.draft(session, chat_id, user_id)


def place(conn: Conn, table: str, columns: str = "text") -> list[Any]:
    """Rows of a table in the order of their ids."""
    order = "id" if table.endswith("messages") else "chat_id, user_id"
    found = conn.execute(f"SELECT {columns} FROM {table} ORDER BY {order}").fetchall()  # type: ignore[arg-type]
    return [row[0] if len(row) == 1 else row for row in found]
