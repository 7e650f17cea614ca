"""What changes chats. Each change locks its chat first, and works in the caller's transaction.

A message or a draft is acknowledged when it is in its ``unsaved_…`` table, in the cache, and has a job that will bring
it to its place: all three commit together. The cache may be lost at any time; the other two are not.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.cache import service as cache
from jobs.chats import lookup, tasks
from jobs.chats.lookup import DraftValue, MessageValue, UnknownChat
from jobs.chats.models import Chat, Message, UnsavedDraft, UnsavedMessage
from jobs.database import rowcount
from jobs.users.models import User

LONGEST_TITLE = 200
LONGEST_TEXT = 4000
"""Characters of a message or a draft."""
NOW = func.statement_timestamp()  # the transaction began before it had the lock: its time is not in order

# nothing, if the sender is not there or the message is
ADD_MESSAGE = text("""
    INSERT INTO unsaved_messages (chat_id, sender_id, client_id, text, posted_at)
    SELECT :chat_id, id, :client_id, :text, statement_timestamp()
    FROM users
    WHERE
        id = :sender_id
        AND NOT EXISTS (SELECT FROM messages WHERE messages.chat_id = :chat_id AND messages.client_id = :client_id)
    ON CONFLICT (chat_id, client_id) DO NOTHING
    RETURNING id, posted_at
""")


class UnknownUser(Exception):
    """Nobody has this id."""


class UnknownMessage(Exception):
    """There is no such message in this chat, or it is deleted."""


class OtherMessage(Exception):
    """The client has given the same id to two different messages."""


class OutdatedDraft(Exception):
    """The stored draft is of the same version or a newer one."""


@dataclass(frozen=True)
class Posted:
    """A message, and whether it is new: False if its client had posted it before."""

    message: MessageValue
    new: bool


def checked_title(title: str) -> str:
    """The title of a chat, single-spaced.

    Raises:
        ValueError: it is empty, longer than 200 characters, or has a character that cannot be stored.
    """
    return _checked("a title", " ".join(title.split()), 1, LONGEST_TITLE)


def checked_message(text: str) -> str:
    """The text of a message, as it is.

    Raises:
        ValueError: it is empty, longer than 4,000 characters, or has a character that cannot be stored.
    """
    return _checked("a message", text, 1, LONGEST_TEXT)


def checked_draft(text: str) -> str:
    """The text of a draft, as it is.

    Raises:
        ValueError: it is longer than 4,000 characters, or has a character that cannot be stored.
    """
    return _checked("a draft", text, 0, LONGEST_TEXT)


async def create_chat(session: AsyncSession, *, user_id: int, title: str) -> Chat:
    """A new chat of this user.

    Raises:
        UnknownUser: there is no such user.
        ValueError: the title is not acceptable.
    """
    await _check_user(session, user_id)
    chat = Chat(user_id=user_id, title=checked_title(title))
    session.add(chat)
    await session.flush()
    await cache.drop(session, lookup.recent_key(user_id))
    return chat


async def post_message(
    session: AsyncSession, chat_id: int, *, client_id: uuid.UUID, sender_id: int, text: str
) -> Posted:
    """Add a message to a chat. The same one again, by its client's id, is no second one, even if it is deleted by now.

    Raises:
        UnknownChat: the chat is not there, or deleted.
        UnknownUser: the sender is not there.
        OtherMessage: this id has another text or sender.
        ValueError: the text is not acceptable.
    """
    checked_message(text)
    await _lock(session, chat_id)
    tail = await lookup.tail(session, chat_id)
    values = {"chat_id": chat_id, "client_id": client_id, "sender_id": sender_id, "text": text}
    added = (await session.execute(ADD_MESSAGE, values)).one_or_none()
    if added is None:
        return await _known(session, chat_id, client_id=client_id, sender_id=sender_id, text=text)
    message = MessageValue(id=added.id, posted_at=added.posted_at, client_id=client_id, sender_id=sender_id, text=text)
    await _cache(session, chat_id, lookup.tail_key(chat_id), tail.with_new(message))
    await tasks.persist_messages.options(lock=f"chat:{chat_id}").enqueue(session, chat_id=chat_id)
    return Posted(message, new=True)


async def _known(session: AsyncSession, chat_id: int, *, client_id: uuid.UUID, sender_id: int, text: str) -> Posted:
    """Why a message was not added: it is there, or it cannot be."""
    known = await lookup.message_of_client(session, chat_id, client_id)
    if known is None:
        raise UnknownUser(f"there is no user {sender_id}")
    if (known.text, known.sender_id) != (text, sender_id):
        raise OtherMessage(f"message {client_id} of chat {chat_id} has another text or sender: give it another id")
    return Posted(known, new=False)


async def put_draft(session: AsyncSession, chat_id: int, user_id: int, *, version: int, text: str) -> DraftValue:
    """Store a version of a draft, unless it is older than what is stored. The same one again is no error.

    Raises:
        UnknownChat: the chat is not there, or deleted.
        UnknownUser: the user is not there.
        OutdatedDraft: a newer version is stored, or this version with another text.
        ValueError: the text is not acceptable.
    """
    given = DraftValue(version=version, text=checked_draft(text))
    await _lock(session, chat_id)
    await _check_user(session, user_id)
    try:
        stored = await lookup.draft(session, chat_id, user_id)
    except lookup.NoDraft:
        stored = None
    if stored == given:
        return stored
    if stored is not None and stored.version >= version:
        raise OutdatedDraft(
            f"version {version} of this draft is outdated: version {stored.version} is stored; take it, and give what "
            "is typed next a higher one"
        )
    values: dict[str, Any] = {"version": version, "text": text, "typed_at": NOW}
    statement = insert(UnsavedDraft).values(chat_id=chat_id, user_id=user_id, **values)
    await session.execute(statement.on_conflict_do_update(constraint="pk_unsaved_drafts", set_=values))
    await _cache(session, chat_id, lookup.draft_key(chat_id, user_id), given)
    await tasks.persist_draft.enqueue(session, chat_id=chat_id, user_id=user_id)
    return given


async def delete_message(session: AsyncSession, chat_id: int, message_id: int) -> None:
    """Nobody sees the message from now on; it is purged later.

    Raises:
        UnknownChat: the chat is not there, or deleted.
        UnknownMessage: there is no such message in it, or it is deleted already.
    """
    await _lock(session, chat_id)
    for table in (UnsavedMessage, Message):
        its = (table.chat_id == chat_id, table.id == message_id, table.deleted_at.is_(None))
        deleted = await session.execute(update(table).where(*its).values(deleted_at=NOW))
        if rowcount(deleted):
            await cache.drop(session, lookup.tail_key(chat_id))
            return
    raise UnknownMessage(f"there is no message {message_id} in chat {chat_id}")


async def delete_chat(session: AsyncSession, chat_id: int) -> None:
    """Nobody sees the chat from now on; it is purged later, with its messages and drafts.

    Raises:
        UnknownChat: the chat is not there, or deleted already.
    """
    owner = await _lock(session, chat_id)
    await session.execute(update(Chat).where(Chat.id == chat_id).values(deleted_at=NOW))
    await cache.drop_tags(session, lookup.chat_tag(chat_id))
    await cache.drop(session, lookup.recent_key(owner))


async def _lock(session: AsyncSession, chat_id: int) -> int:
    """Changes of a chat take turns, so that ids are in the order of commits; returns its owner."""
    live = select(Chat.user_id).where(Chat.id == chat_id, Chat.deleted_at.is_(None))
    owner: int | None = await session.scalar(live.with_for_update(key_share=True))
    if owner is None:
        raise UnknownChat(f"there is no chat {chat_id}")
    return owner


async def _cache(session: AsyncSession, chat_id: int, key: str, value: lookup.Tail | DraftValue) -> None:
    tags = [lookup.chat_tag(chat_id)]
    try:
        await cache.set(session, key, value.model_dump(mode="json"), ttl=lookup.KEPT, tags=tags)
    except cache.BadValue:  # the cache is told to hold less: reads fall back to the tables
        await cache.drop(session, key)


async def _check_user(session: AsyncSession, user_id: int) -> None:
    if await session.scalar(select(User.id).where(User.id == user_id)) is None:
        raise UnknownUser(f"there is no user {user_id}")


def _checked(what: str, text: str, shortest: int, longest: int) -> str:
    if not shortest <= len(text) <= longest:
        raise ValueError(f"{what} has {shortest} to {longest} characters, this one has {len(text)}")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{what} has no NUL and no half of a character: {text[:50]!a}")
    return text
