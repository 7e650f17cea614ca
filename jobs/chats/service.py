"""Bringing what was acknowledged to its place, and purging what was deleted long ago."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.cache import service as cache
from jobs.chats import lookup
from jobs.chats.models import Chat
from jobs.database import rowcount
from jobs.settings import get_settings

BATCH = 1000
"""Rows that one transaction purges."""
OVERDUE = timedelta(minutes=5)
"""What waits longer for its place gets another job: the first one must have failed for good."""

MOVE_MESSAGES = text("""
    WITH moved AS (
        DELETE FROM unsaved_messages
        WHERE chat_id = :chat_id
        RETURNING id, chat_id, client_id, sender_id, text, posted_at, deleted_at
    ),

    saved AS (
        INSERT INTO messages (id, chat_id, client_id, sender_id, text, posted_at, deleted_at)
        SELECT id, chat_id, client_id, sender_id, text, posted_at, deleted_at FROM moved ORDER BY id
        RETURNING posted_at
    ),

    counted AS (SELECT count(*) AS moved, max(posted_at) AS newest FROM saved)

    UPDATE chats SET last_message_at = counted.newest
    FROM counted
    WHERE chats.id = :chat_id AND counted.moved > 0
    RETURNING counted.moved
""")
MOVE_DRAFT = text("""
    WITH moved AS (
        DELETE FROM unsaved_drafts
        WHERE chat_id = :chat_id AND user_id = :user_id
        RETURNING chat_id, user_id, version, text, typed_at
    )

    INSERT INTO drafts AS stored (chat_id, user_id, version, text, typed_at)
    SELECT chat_id, user_id, version, text, typed_at FROM moved
    ON CONFLICT (chat_id, user_id) DO UPDATE
    SET version = excluded.version, text = excluded.text, typed_at = excluded.typed_at
    WHERE stored.version < excluded.version
    RETURNING version
""")
OVERDUE_MESSAGES = text("""
    SELECT chat_id
    FROM unsaved_messages
    WHERE posted_at < now() - :overdue
    GROUP BY chat_id
    ORDER BY min(id) LIMIT :batch
""")
OVERDUE_DRAFTS = text("""
    SELECT chat_id, user_id FROM unsaved_drafts WHERE typed_at < now() - :overdue ORDER BY typed_at LIMIT :batch
""")
# rows that somebody has locked are left for the next night
PURGE_MESSAGES = text("""
    DELETE FROM messages WHERE id = ANY(ARRAY(
        SELECT id FROM messages WHERE deleted_at < now() - :kept LIMIT :batch FOR UPDATE SKIP LOCKED
    ))
""")
PURGE_MESSAGES_OF_CHATS = text("""
    DELETE FROM messages WHERE id = ANY(ARRAY(
        SELECT messages.id
        FROM chats
        JOIN messages ON messages.chat_id = chats.id
        WHERE chats.deleted_at < now() - :kept
        LIMIT :batch
        FOR UPDATE OF messages SKIP LOCKED
    ))
""")
PURGE_CHATS = text("""
    DELETE FROM chats WHERE id = ANY(ARRAY(
        SELECT id
        FROM chats
        WHERE
            deleted_at < now() - :kept
            AND NOT EXISTS (SELECT FROM messages WHERE messages.chat_id = chats.id)
        LIMIT :batch
        FOR UPDATE SKIP LOCKED
    ))
""")


async def persist_messages(session: AsyncSession, chat_id: int) -> int:
    """Bring the chat's messages to their place, in their order; returns how many were not there yet.

    All that were acknowledged before the chat was locked here, and so those of every post that has found this one's
    job waiting: a post holds the lock from before it enqueues to its commit. Twice does nothing.
    """
    owner = await _lock(session, chat_id)
    if owner is None:
        return 0  # purged, and its messages with it
    moved = await session.scalar(MOVE_MESSAGES, {"chat_id": chat_id})
    if moved:
        await cache.drop(session, lookup.recent_key(owner))
    return moved or 0


async def persist_draft(session: AsyncSession, chat_id: int, user_id: int) -> int | None:
    """Bring the newest version of a draft to its place; returns it, or None if a newer one or the same was there."""
    if await _lock(session, chat_id) is None:
        return None
    version: int | None = await session.scalar(MOVE_DRAFT, {"chat_id": chat_id, "user_id": user_id})
    return version


async def overdue_messages(session: AsyncSession) -> list[dict[str, Any]]:
    """The chats that have messages which are not at their place after five minutes, as arguments of their jobs."""
    found = await session.execute(OVERDUE_MESSAGES, {"overdue": OVERDUE, "batch": BATCH})
    return [dict(each) for each in found.mappings()]


async def overdue_drafts(session: AsyncSession) -> list[dict[str, Any]]:
    """The drafts that are not at their place after five minutes, as arguments of their jobs."""
    found = await session.execute(OVERDUE_DRAFTS, {"overdue": OVERDUE, "batch": BATCH})
    return [dict(each) for each in found.mappings()]


async def purge_messages(session: AsyncSession) -> int:
    """Delete a batch of the messages that were deleted ``chats_purge_after_days`` ago, or whose chat was."""
    return await _purge(session, PURGE_MESSAGES) or await _purge(session, PURGE_MESSAGES_OF_CHATS)


async def purge_chats(session: AsyncSession) -> int:
    """Delete a batch of the chats that were deleted so long ago and have no message left, with their drafts."""
    return await _purge(session, PURGE_CHATS)


async def _lock(session: AsyncSession, chat_id: int) -> int | None:
    """Lock the chat for a change; returns its owner, None if it is not there."""
    owner: int | None = await session.scalar(
        select(Chat.user_id).where(Chat.id == chat_id).with_for_update(key_share=True)
    )
    return owner


async def _purge(session: AsyncSession, statement: Any) -> int:
    kept = timedelta(days=get_settings().chats_purge_after_days)
    return rowcount(await session.execute(statement, {"kept": kept, "batch": BATCH}))
