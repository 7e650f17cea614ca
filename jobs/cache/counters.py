"""Hits and misses: counted in memory, and written as one row of the process every ten seconds.

A row that all processes count in would be the busiest of the database, and each read would write. The price: what a
process has counted since it last wrote is lost when it ends, and so is what it wrote in a transaction that rolls back.
"""

import time
from dataclasses import dataclass, field

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.cache.models import CacheCount

WRITTEN_EVERY = 10.0
"""Seconds."""


@dataclass
class Counters:
    """What this process has counted since it last wrote."""

    hits: int = 0
    misses: int = 0
    written_at: float = field(default_factory=time.monotonic)

    async def count(self, session: AsyncSession, *, hit: bool) -> None:
        """Count a read; write, in the session's transaction, if it is time."""
        if hit:
            self.hits += 1
        else:
            self.misses += 1
        if time.monotonic() - self.written_at >= WRITTEN_EVERY:
            await self.write(session)

    async def write(self, session: AsyncSession) -> None:
        """Write what was counted, in the session's transaction."""
        hits, misses = self.hits, self.misses
        self.hits = self.misses = 0
        self.written_at = time.monotonic()
        if hits or misses:
            await session.execute(insert(CacheCount).values(hits=hits, misses=misses))


COUNTERS = Counters()
"""Those of this process."""
