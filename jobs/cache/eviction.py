"""What makes room: expired values go first, then those that nobody has used for longest. Each function is one batch."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.database import rowcount
from jobs.settings import get_settings

BATCH = 1000
"""Rows that one transaction deletes."""
DROPS_KEPT = timedelta(hours=1)
"""How long a computation may take and still be seen to be outdated."""
COUNTS_KEPT = timedelta(days=7)

EXPIRED = text("""
    DELETE FROM cache_entries WHERE key = ANY(ARRAY(
        SELECT key FROM cache_entries
        WHERE expires_at <= statement_timestamp()
        ORDER BY expires_at LIMIT :batch
        FOR UPDATE SKIP LOCKED
    ))
""")
# of the batch that was unused for longest, as many as free what is too much
LEAST_USED = text("""
    DELETE FROM cache_entries WHERE key = ANY(ARRAY(
        SELECT key
        FROM (
            SELECT key, sum(size) OVER (ORDER BY used_at, key) - size AS freed_before
            FROM (
                SELECT key, size, used_at FROM cache_entries
                ORDER BY used_at, key LIMIT :batch
                FOR UPDATE SKIP LOCKED
            ) AS unused
        ) AS running
        WHERE freed_before < (SELECT sum(size) FROM cache_entries) - :budget
    ))
""")
OLD_DROPS = text("""
    DELETE FROM cache_drops WHERE name = ANY(ARRAY(
        SELECT name FROM cache_drops
        WHERE dropped_at < statement_timestamp() - :kept
        ORDER BY dropped_at LIMIT :batch
        FOR UPDATE SKIP LOCKED
    ))
""")
OLD_COUNTS = text("""
    DELETE FROM cache_counts WHERE id = ANY(ARRAY(
        SELECT id FROM cache_counts
        WHERE counted_at < statement_timestamp() - :kept
        ORDER BY counted_at LIMIT :batch
        FOR UPDATE SKIP LOCKED
    ))
""")


async def evict_expired(session: AsyncSession) -> int:
    """Delete a batch of values whose time is over; returns how many."""
    return await _delete(session, EXPIRED)


async def evict_least_used(session: AsyncSession) -> int:
    """Delete a batch of the values that were unused for longest, until the rest fits ``cache_max_bytes``."""
    return await _delete(session, LEAST_USED, budget=get_settings().cache_max_bytes)


async def forget_old_drops(session: AsyncSession) -> int:
    """Delete a batch of notes on drops that no running computation can be older than."""
    return await _delete(session, OLD_DROPS, kept=DROPS_KEPT)


async def forget_old_counts(session: AsyncSession) -> int:
    """Delete a batch of what was counted more than a week ago."""
    return await _delete(session, OLD_COUNTS, kept=COUNTS_KEPT)


async def _delete(session: AsyncSession, statement: Any, **parameters: Any) -> int:
    return rowcount(await session.execute(statement, {"batch": BATCH, **parameters}))
