"""What is read of chats: of the cache, or else of the tables, in one statement over what is saved and what is not yet.

A job moves a message from ``unsaved_messages`` to ``messages`` in one transaction, so that one statement sees it once.
"""

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.cache import service as cache
from jobs.cache.warming import warmer
from jobs.chats.models import Chat, Draft, Message, UnsavedDraft, UnsavedMessage

TABLES: tuple[type[Message] | type[UnsavedMessage], ...] = (Message, UnsavedMessage)
TAIL = 50
"""Messages of a chat that are cached: the newest."""
TAIL_BYTES = 48 * 1024
"""What they may take as JSON; of long ones there are fewer."""
REST_BYTES = 200
"""Of a message's JSON without its text: not more."""
RECENT = 20
KEPT = timedelta(hours=6)
"""How long the cache keeps what nobody changes."""
WARMED_USERS = 100


class UnknownChat(Exception):
    """There is no such chat, or it is deleted."""


class NoDraft(Exception):
    """The user has no draft in this chat."""


class _Value(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class MessageValue(_Value):
    """A message. ``client_id`` is the id that its client gave it, ``id`` its place in the chat."""

    id: int
    client_id: uuid.UUID
    sender_id: int
    text: str
    posted_at: datetime


class Tail(_Value):
    """The newest messages of a chat, newest first. ``older``: whether there are more."""

    messages: list[MessageValue]
    older: bool

    def with_new(self, message: MessageValue) -> "Tail":
        """This tail with one more message, in so far as it fits."""
        return _fitting([message, *self.messages], older=self.older)


class DraftValue(_Value):
    """A version of a draft."""

    version: int
    text: str


class ChatValue(_Value):
    """A chat in a list."""

    id: int
    title: str
    created_at: datetime
    last_message_at: datetime | None


class Recent(_Value):
    """A user's chats, that with the newest message first."""

    chats: list[ChatValue]


def tail_key(chat_id: int) -> str:
    """The cache's key of the newest messages."""
    return f"chats:{chat_id}:tail"


def draft_key(chat_id: int, user_id: int) -> str:
    """The cache's key of a draft."""
    return f"chats:{chat_id}:draft:{user_id}"


def chat_tag(chat_id: int) -> str:
    """The tag of all that is cached of a chat."""
    return f"chat:{chat_id}"


def recent_key(user_id: int) -> str:
    """The cache's key of a user's recent chats."""
    return f"chats:recent:{user_id}"


async def messages(
    session: AsyncSession, chat_id: int, *, before: int | None = None, limit: int = TAIL
) -> list[MessageValue]:
    """Messages of a chat, newest first.

    Args:
        session: a transaction.
        chat_id: the chat.
        before: only those with a smaller id; None begins with the newest.
        limit: how many at most.

    Raises:
        UnknownChat: it is not there, or deleted.
    """
    if before is None and limit <= TAIL:
        found = await tail(session, chat_id)
        if limit <= len(found.messages) or not found.older:
            return found.messages[:limit]
    await _check_chat(session, chat_id)
    return await _stored(session, chat_id, before=before, limit=limit)


async def tail(session: AsyncSession, chat_id: int) -> Tail:
    """The newest messages of a chat.

    Raises:
        UnknownChat: it is not there, or deleted.
    """

    async def read(session: AsyncSession) -> Any:
        await _check_chat(session, chat_id)
        stored = await _stored(session, chat_id, before=None, limit=TAIL + 1)
        return _fitting(stored, older=False).model_dump(mode="json")

    found = await cache.get_or_set(session, tail_key(chat_id), read, ttl=KEPT, tags=[chat_tag(chat_id)])
    return Tail.model_validate(found)


async def message_of_client(session: AsyncSession, chat_id: int, client_id: uuid.UUID) -> MessageValue | None:
    """The message to which its client gave this id, be it deleted or not."""
    both = union_all(*(_of_chat(table, chat_id).where(table.client_id == client_id) for table in TABLES))
    found = (await session.execute(both)).one_or_none()
    return None if found is None else MessageValue.model_validate(found)


async def draft(session: AsyncSession, chat_id: int, user_id: int) -> DraftValue:
    """The newest version of a user's draft in a chat.

    Raises:
        UnknownChat: it is not there, or deleted.
        NoDraft: this user never typed anything in it.
    """

    async def read(session: AsyncSession) -> Any:
        await _check_chat(session, chat_id)
        one, other = (
            select(table.version, table.text).where(table.chat_id == chat_id, table.user_id == user_id)
            for table in (Draft, UnsavedDraft)
        )
        both = union_all(one, other).subquery()
        found = (await session.execute(select(both).order_by(both.c.version.desc()).limit(1))).one_or_none()
        if found is None:
            raise NoDraft(f"user {user_id} has no draft in chat {chat_id}")
        return DraftValue.model_validate(found).model_dump(mode="json")

    key = draft_key(chat_id, user_id)
    return DraftValue.model_validate(await cache.get_or_set(session, key, read, ttl=KEPT, tags=[chat_tag(chat_id)]))


async def recent_chats(session: AsyncSession, user_id: int) -> list[ChatValue]:
    """The user's chats with the newest messages, up to 20. A message counts when it is at its place."""

    async def read(session: AsyncSession) -> Any:
        newest = (Chat.last_message_at.desc().nulls_last(), Chat.id.desc())
        statement = select(Chat).where(Chat.user_id == user_id, Chat.deleted_at.is_(None)).order_by(*newest)
        found = await session.scalars(statement.limit(RECENT))
        return Recent(chats=[ChatValue.model_validate(each) for each in found]).model_dump(mode="json")

    return Recent.model_validate(await cache.get_or_set(session, recent_key(user_id), read, ttl=KEPT)).chats


@warmer("chats.recent")
async def warm_recent(session: AsyncSession) -> int:
    """The recent chats of the users in whose chats somebody wrote last."""
    newest = select(Chat.user_id).where(Chat.deleted_at.is_(None), Chat.last_message_at.is_not(None))
    users = await session.scalars(newest.order_by(Chat.last_message_at.desc()).limit(WARMED_USERS))
    found = sorted({*users})
    for user_id in found:
        await recent_chats(session, user_id)
    return len(found)


async def _check_chat(session: AsyncSession, chat_id: int) -> None:
    if await session.scalar(select(Chat.id).where(Chat.id == chat_id, Chat.deleted_at.is_(None))) is None:
        raise UnknownChat(f"there is no chat {chat_id}")


async def _stored(session: AsyncSession, chat_id: int, *, before: int | None, limit: int) -> list[MessageValue]:
    live = (_of_chat(table, chat_id).where(table.deleted_at.is_(None)) for table in TABLES)
    both = union_all(*live).subquery()
    statement = select(both).order_by(both.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(both.c.id < before)
    return [MessageValue.model_validate(each) for each in await session.execute(statement)]


def _of_chat(table: type[Message] | type[UnsavedMessage], chat_id: int) -> Select[int, uuid.UUID, int, str, datetime]:
    columns = (table.id, table.client_id, table.sender_id, table.text, table.posted_at)
    return select(*columns).where(table.chat_id == chat_id)


def _fitting(messages: list[MessageValue], *, older: bool) -> Tail:
    """The newest of these that may be cached, which are in order already."""
    taken: list[MessageValue] = []
    room = TAIL_BYTES
    for message in messages[:TAIL]:
        room -= len(json.dumps(message.text)) + REST_BYTES
        if room < 0:
            break
        taken.append(message)
    return Tail(messages=taken, older=older or len(taken) < len(messages))
