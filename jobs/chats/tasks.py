"""Jobs of the chats domain. Each may run twice: it moves what is not at its place, and then nothing is left to move."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.chats import service
from jobs.policies import RETRY
from jobs.settings import declared_timezone

chats = workrow.Blueprint("chats", queue="chats", retry=RETRY)
QUIET = workrow.Debounce(2, by=("chat_id", "user_id"), max_wait=10)
"""A draft is written when nobody has typed for two seconds, and every ten seconds of typing."""


@dataclass(frozen=True)
class Purged:
    """How many were deleted for good."""

    messages: int
    chats: int


@chats.task(transactional=True, unique=workrow.Unique(by=("chat_id",), states=("todo",)))
async def persist_messages(session: AsyncSession, chat_id: int, up_to: int | None = None) -> int:
    """Bring the messages of a chat to their place; returns how many. Whoever posts while it waits needs no other job.

    ``up_to`` is in jobs that an earlier version has enqueued, and says nothing any more.
    """
    return await service.persist_messages(session, chat_id)


@chats.task(transactional=True, debounce=QUIET)
async def persist_draft(session: AsyncSession, chat_id: int, user_id: int) -> int | None:
    """Bring a draft to its place; returns its version, None if that or a newer one was there."""
    return await service.persist_draft(session, chat_id, user_id)


@chats.task(schedule=workrow.Schedule(every=timedelta(minutes=5), overlap="skip"), transactional=True)
async def persist_overdue(session: AsyncSession) -> int:
    """Every five minutes: new jobs for what waits for its place, though the first one has failed; returns how many."""
    messages, drafts = await service.overdue_messages(session), await service.overdue_drafts(session)
    enqueued = await persist_messages.enqueue_many(session, messages)
    return len([*enqueued, *await persist_draft.enqueue_many(session, drafts)])


@chats.task(schedule=workrow.Schedule(cron="0 4 * * *", timezone=declared_timezone(), overlap="skip"))
async def purge() -> Purged:
    """Every night: delete for good, in batches that commit, what was deleted ``chats_purge_after_days`` ago."""
    return Purged(await database.in_batches(service.purge_messages), await database.in_batches(service.purge_chats))
