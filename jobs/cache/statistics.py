"""How full the cache is, and how often it has the answer."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.cache.counters import COUNTERS
from jobs.settings import get_settings

# the view `cache_hit_rate` has it by the hour of the clock; here it is the last sixty minutes
READ = text("""
    SELECT
        count(key) AS entries,
        count(key) FILTER (WHERE expires_at <= statement_timestamp()) AS expired,
        coalesce(sum(size), 0) AS bytes,
        counts.hits,
        counts.misses
    FROM (
        SELECT CAST(coalesce(sum(hits), 0) AS bigint) AS hits, CAST(coalesce(sum(misses), 0) AS bigint) AS misses
        FROM cache_counts
        WHERE counted_at > statement_timestamp() - interval '1 hour'
    ) AS counts
    LEFT JOIN cache_entries ON true
    GROUP BY counts.hits, counts.misses
""")


@dataclass(frozen=True)
class Statistics:
    """The cache in numbers; hits and misses are those of the last hour.

    Attributes:
        entries: values, with those that wait for eviction.
        expired: of these, the ones that wait for eviction.
        bytes: what keys and values take.
        max_bytes: what eviction brings it back to.
        hits: reads that found a value.
        misses: reads that found none.
    """

    entries: int
    expired: int
    bytes: int
    max_bytes: int
    hits: int
    misses: int

    @property
    def hit_rate(self) -> float | None:
        """From 0 to 1; None if nobody asked."""
        asked = self.hits + self.misses
        return round(self.hits / asked, 4) if asked else None


async def read(session: AsyncSession) -> Statistics:
    """The statistics, with what this process has counted until now."""
    await COUNTERS.write(session)
    found = (await session.execute(READ)).one()
    return Statistics(
        found.entries, found.expired, found.bytes, get_settings().cache_max_bytes, found.hits, found.misses
    )
