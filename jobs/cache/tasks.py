"""Jobs of the cache. Each may run twice: what is evicted or warm already is left alone."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.cache import eviction, warming
from jobs.policies import RETRY

cache = workrow.Blueprint("cache", queue="cache", retry=RETRY)


@dataclass(frozen=True)
class Evicted:
    """How many values were evicted, because their time was over, or to fit the budget."""

    expired: int
    least_used: int


@cache.task(schedule=workrow.Schedule(every=timedelta(minutes=1), overlap="skip"))
async def evict() -> Evicted:
    """Every minute: make room, in batches that commit."""
    await database.in_batches(eviction.forget_old_drops)
    await database.in_batches(eviction.forget_old_counts)
    expired = await database.in_batches(eviction.evict_expired)
    return Evicted(expired, least_used=await database.in_batches(eviction.evict_least_used))


@cache.task(schedule=workrow.Schedule(every=timedelta(minutes=5), overlap="skip"), transactional=True)
async def warm_all(session: AsyncSession) -> int:
    """Every five minutes: a job for each warmer; returns how many."""
    return len(await warm.enqueue_many(session, [{"name": name} for name in sorted(warming.WARMERS)]))


@cache.task(unique=("name",), transactional=True, discard_on=(warming.UnknownWarmer,))
async def warm(session: AsyncSession, name: str) -> int:
    """Bring the values of one warmer into the cache; returns how many."""
    return await warming.warm(session, name)
