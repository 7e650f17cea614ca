"""The months of the log: they are made before they come, and dropped as a whole.

No statement waits for a lock longer than ``LOCK_TIMEOUT``, for whoever writes an event would wait behind it: it fails
then, and the task's retry policy tries again.
"""

import logging
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.audit.service import record

MONTHS_AHEAD = 2
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '500ms'")
DEFAULT = "events_default"

logger = logging.getLogger(__name__)

MISSING = text(
    """
    SELECT
        'events_' || to_char(month, 'YYYY_MM'),
        month AT TIME ZONE 'UTC',
        (month + interval '1 month') AT TIME ZONE 'UTC'
    FROM
        date_trunc('month', now() AT TIME ZONE 'UTC') AS this_month,
        generate_series(this_month, this_month + make_interval(months => :ahead), interval '1 month') AS month
    WHERE to_regclass('audit.events_' || to_char(month, 'YYYY_MM')) IS NULL
    ORDER BY month
    """
)
STRAYS = text(f"SELECT count(*) FROM audit.{DEFAULT} WHERE at >= :start AND at < :end")
OLD = text(
    r"""
    SELECT child.relname
    FROM pg_inherits AS part JOIN pg_class AS child ON child.oid = part.inhrelid
    WHERE
        part.inhparent = 'audit_events'::regclass
        AND child.relname ~ '^events_\d{4}_\d\d$'
        AND (to_date(right(child.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC'
            <= now() - make_interval(days => :days)
    ORDER BY child.relname
    """
)
DEFAULT_IS_OLD = text(f"SELECT max(at) < now() - make_interval(days => :days) FROM audit.{DEFAULT}")


async def extend(session: AsyncSession) -> list[str]:
    """Make the partitions of this month and the next two, as far as they are missing. Twice is no error.

    Events of a month that has no partition are in the default one; it gets none any more then, for moving them would
    stop everybody who writes. Nothing is lost by that, and they are pruned with the default partition.

    Returns:
        The names of those that were made.

    Raises:
        sqlalchemy.exc.OperationalError: a lock was not to be had; nothing was made.
    """
    made = []
    await session.execute(LOCK_TIMEOUT)
    for name, start, end in (await session.execute(MISSING, {"ahead": MONTHS_AHEAD})).all():
        if strays := await session.scalar(STRAYS, {"start": start, "end": end}):
            logger.warning("no partition audit.%s: %s events of that month are in audit.%s", name, strays, DEFAULT)
            continue
        await _attach(session, name, start, end)
        made.append(name)
    return made


async def _attach(session: AsyncSession, name: str, start: datetime, end: datetime) -> None:
    # PARTITION OF would lock the whole log; ATTACH locks the new partition and the default one, and writers go on
    await session.execute(
        text(f"CREATE TABLE audit.{name} (LIKE audit_events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    )
    await session.execute(
        text(
            f"ALTER TABLE audit_events ATTACH PARTITION audit.{name} "
            f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        )
    )


async def prune(session: AsyncSession, days: int) -> int:
    """Drop every month whose events are all older, one a transaction, and empty the default partition likewise.

    Each that had events is an event itself, with their number.

    Args:
        session: without a transaction.
        days: how long events are kept at least, by the database's clock.

    Returns:
        How many events went.

    Raises:
        ValueError: days is less than 1.
        sqlalchemy.exc.OperationalError: a lock was not to be had; what was dropped before stays dropped.
    """
    if not 1 <= days <= 36_500:
        raise ValueError(f"prune_logs(days={days}): must be 1 to 36500; this month is never dropped")
    total = 0
    async with session.begin():
        old = (await session.scalars(OLD, {"days": days})).all()
        total += await _remove(session, DEFAULT, f"TRUNCATE audit.{DEFAULT}", days)
    for name in old:
        async with session.begin():
            total += await _remove(session, name, f"DROP TABLE audit.{name}", days)
    return total


async def _remove(session: AsyncSession, name: str, statement: str, days: int) -> int:
    await session.execute(LOCK_TIMEOUT)
    # nobody adds an event between the count and the end; readers go on until the end
    await session.execute(text(f"LOCK TABLE audit.{name} IN SHARE MODE"))
    if name == DEFAULT and not await session.scalar(DEFAULT_IS_OLD, {"days": days}):
        return 0
    count: int = await session.scalar(text(f"SELECT count(*) FROM audit.{name}"))
    await session.execute(text(statement))
    if count:
        details = {"events": count, "days": days}
        await record(session, actor="task:audit.prune_logs", action="audit.pruned", subject=name, details=details)
    return count
