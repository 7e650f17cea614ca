"""A cache for values that can be computed again: get, set, get_or_set, drop, each in the caller's transaction.

What others see is what has committed. A value that was computed from data which somebody changed meanwhile is never
stored: `drop`, `drop_tags` and `set` note that they happened (`CacheDrop`) under a lock of the name, and who stores a
computed value tries that lock first, then compares the notes with those from before the computation.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import DateTime, Row, delete, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.cache.counters import COUNTERS
from jobs.cache.models import CacheDrop, CacheEntry
from jobs.database import rowcount
from jobs.settings import get_settings

logger = logging.getLogger(__name__)

LONGEST_NAME = 500
"""Characters of a key or a tag."""
TOUCHED_EVERY = timedelta(minutes=1)
"""A read notes its time at most so often: the order of eviction need not be exact, and other reads write nothing."""
NOW = func.statement_timestamp(type_=DateTime(timezone=True))
ALIVE = or_(CacheEntry.expires_at.is_(None), CacheEntry.expires_at > NOW)
# seeds of the hashes that advisory locks are taken on: one kind for who computes, one for who drops
FLIGHT, DROP = 0x63616368, 0x64726F70

_STORE = """
    INSERT INTO cache_entries (key, value, tags, size, expires_at, used_at)
    SELECT
        :key, CAST(:value AS json), CAST(:tags AS text[]), :size,
        statement_timestamp() + CAST(:ttl AS interval), statement_timestamp()
    {source}
    ON CONFLICT (key) DO UPDATE
    SET
        value = excluded.value, tags = excluded.tags, size = excluded.size,
        expires_at = excluded.expires_at, used_at = excluded.used_at
"""
KEEP = text(_STORE.format(source=""))
# both in one statement: unlike DELETE, ON CONFLICT finds what has committed while this waited for the lock
SET = text(f"""
    WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended(:name, :seed))),

    noted AS (
        INSERT INTO cache_drops (name, transaction, dropped_at)
        SELECT :name, CAST(CAST(pg_current_xact_id() AS text) AS bigint), statement_timestamp() FROM locked
        ON CONFLICT (name) DO UPDATE SET transaction = excluded.transaction, dropped_at = excluded.dropped_at
    )

    {_STORE.format(source="FROM locked")}
""")


class BadName(ValueError):
    """A key or tag that the cache does not take."""


class BadValue(ValueError):
    """A value that the cache does not take."""


async def get(session: AsyncSession, key: str, default: Any = None) -> Any:
    """The value of the key, or the default.

    Raises:
        BadName: the key is empty, too long, or has a character that PostgreSQL does not take.
    """
    found = await _read(session, _checked(key))
    await COUNTERS.count(session, hit=found is not None)
    return default if found is None else found.value


async def set(
    session: AsyncSession, key: str, value: Any, *, ttl: timedelta | None = None, tags: Sequence[str] = ()
) -> None:
    """Give the key this value, whatever it had.

    Args:
        session: in a transaction; others see the value when it commits, and set or drop the same key only then.
        key: 1 to 500 characters.
        value: anything that JSON can say, up to ``cache_max_value_bytes``.
        ttl: after so long, by the database's clock, the value is gone; None keeps it until it is evicted.
        tags: names by which `drop_tags` finds it.

    Raises:
        BadName: the key or a tag is empty, too long, or has a character that PostgreSQL does not take.
        BadValue: the value is no JSON, or too large.
    """
    content, size = _json(_checked(key), value)
    if size > (limit := get_settings().cache_max_value_bytes):
        raise BadValue(
            f"cache key {key!r}: the value takes {size} bytes, at most {limit} are kept: cache a part of it, or "
            "raise WORKROW_CACHE_MAX_VALUE_BYTES"
        )
    row = {"key": key, "value": content, "tags": [_checked(tag) for tag in tags], "size": size, "ttl": ttl}
    await session.execute(SET, {**row, "name": f"key:{key}", "seed": DROP})


async def get_or_set(
    session: AsyncSession,
    key: str,
    compute: Callable[[AsyncSession], Awaitable[Any]],
    *,
    ttl: timedelta | None = None,
    tags: Sequence[str] = (),
    wait: float = 5,
) -> Any:
    """The value of the key; if there is none, what ``compute(session)`` returns, which is kept for others.

    Of many callers at the same time one computes. The others wait until it has committed, for ``wait`` seconds at most;
    then each computes for itself, rather than hang on a slow one. Their values are returned and not kept, and so is one
    that is too large for the cache, or outdated by a drop before it could be stored.

    Args:
        session: in a transaction, at READ COMMITTED.
        key: 1 to 500 characters.
        compute: what makes the value, from the session that it is given.
        ttl: how long the value is kept, by the database's clock; None: until it is evicted.
        tags: names by which `drop_tags` finds it.
        wait: seconds.

    Raises:
        BadName: the key or a tag is empty, too long, or has a character that PostgreSQL does not take.
        BadValue: the value is no JSON.
        Exception: what ``compute`` raises; nothing is kept then.
    """
    names = sorted([f"key:{_checked(key)}", *(f"tag:{_checked(tag)}" for tag in tags)])
    found, ours = await _read(session, key), False
    if found is None:
        found, ours = await _wait_for_turn(session, key, wait)
    await COUNTERS.count(session, hit=found is not None)
    if found is not None:
        return found.value
    before = await _drops(session, names)
    value = await compute(session)
    content, size = _json(key, value)
    if size > (limit := get_settings().cache_max_value_bytes):
        logger.warning("cache key %r: %s bytes are not kept, at most %s are", key, size, limit)
    elif ours and await _nobody_drops(session, names) and before == await _drops(session, names):
        row = {"key": key, "value": content, "tags": list(tags), "size": size, "ttl": ttl}
        await session.execute(KEEP, row)
    return json.loads(content)  # what a later hit will return: a list for a tuple


async def drop(session: AsyncSession, *keys: str) -> int:
    """Forget these keys; returns how many were there.

    Call it after the statements that change what the values were computed from, in the same transaction.
    """
    await _note_drop(session, [f"key:{_checked(key)}" for key in keys])
    return rowcount(await session.execute(delete(CacheEntry).where(CacheEntry.key.in_(keys))))


async def drop_tags(session: AsyncSession, *tags: str) -> int:
    """Forget everything that has one of these tags; returns how many keys that were. See `drop`."""
    await _note_drop(session, [f"tag:{_checked(tag)}" for tag in tags])
    return rowcount(await session.execute(delete(CacheEntry).where(CacheEntry.tags.overlap(list(tags)))))


async def _read(session: AsyncSession, key: str) -> Row[Any] | None:
    long_ago = (CacheEntry.used_at < NOW - TOUCHED_EVERY).label("long_ago")
    statement = select(CacheEntry.value, long_ago).where(CacheEntry.key == key, ALIVE)
    found = (await session.execute(statement)).one_or_none()
    if found is not None and found.long_ago:
        # SKIP LOCKED: of several readers one notes it, and none waits for the transaction of another
        await session.execute(
            text("""
                UPDATE cache_entries SET used_at = statement_timestamp()
                WHERE key = ANY(ARRAY(SELECT key FROM cache_entries WHERE key = :key FOR NO KEY UPDATE SKIP LOCKED))
            """),
            {"key": key},
        )
    return found


async def _wait_for_turn(session: AsyncSession, key: str, wait: float) -> tuple[Row[Any] | None, bool]:
    """The value that another caller has stored, if one has in time; and whether it is for this one to store it."""
    deadline = time.monotonic() + wait
    pause = 0.01
    # polled: who waits in the lock itself would be let in one by one, each with its whole transaction
    while not await session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(key, FLIGHT)))):
        if time.monotonic() >= deadline:
            return None, False
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.2)
        if (found := await _read(session, key)) is not None:
            return found, False
    return await _read(session, key), True  # the former holder may have stored it just before its end


async def _drops(session: AsyncSession, names: list[str]) -> list[tuple[str, int]]:
    """The latest drop of each of these names. A transaction's number never comes again, so a new drop always shows."""
    statement = select(CacheDrop.name, CacheDrop.transaction).where(CacheDrop.name.in_(names)).order_by(CacheDrop.name)
    return [(name, transaction) for name, transaction in await session.execute(statement)]


async def _nobody_drops(session: AsyncSession, names: list[str]) -> bool:
    """Whether no transaction that has dropped one of these names is still open; from now on such a one waits for us."""
    statement = text("""
        SELECT bool_and(pg_try_advisory_xact_lock_shared(hashtextextended(name, :seed)))
        FROM unnest(CAST(:names AS text[])) AS name
    """)
    return bool(await session.scalar(statement, {"names": names, "seed": DROP}))


async def _note_drop(session: AsyncSession, names: list[str]) -> None:
    # locked in one order, so that two callers with the same names do not wait for each other
    statement = text("""
        WITH locked AS MATERIALIZED (
            SELECT name, pg_advisory_xact_lock(hashtextextended(name, :seed))
            FROM (SELECT name FROM unnest(CAST(:names AS text[])) AS name ORDER BY name) AS sorted
        )

        INSERT INTO cache_drops (name, transaction, dropped_at)
        SELECT DISTINCT name, CAST(CAST(pg_current_xact_id() AS text) AS bigint), statement_timestamp() FROM locked
        ON CONFLICT (name) DO UPDATE SET transaction = excluded.transaction, dropped_at = excluded.dropped_at
    """)
    await session.execute(statement, {"names": names, "seed": DROP})


def _checked(name: str) -> str:
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadName(f"cache key or tag {name[:50]!a}: has {len(name)} characters, and may have 1 to {LONGEST_NAME}")
    if "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise BadName(f"cache key or tag {name!a}: has a NUL or half a character, which PostgreSQL does not take")
    return name


def _json(key: str, value: Any) -> tuple[str, int]:
    """The value as JSON, and how many bytes it takes with the key."""
    try:
        content = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue(f"cache key {key!r}: the value is no JSON: {error}") from None
    return content, len(key.encode()) + len(content)
