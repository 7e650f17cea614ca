"""What is in the cache, and how to drop of it."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from jobs.api.requests import Transaction, View, problems
from jobs.cache import service as cache
from jobs.cache import statistics

routes = APIRouter(tags=["cache"])
REFUSALS: dict[type[Exception], int] = {cache.BadName: 422}


class StatisticsView(View):
    """What the cache holds. Hits and misses are those of the last hour; ``hit_rate`` is null if nobody asked."""

    entries: int
    expired: int = Field(description="of the entries: those that wait for eviction")
    bytes: int
    max_bytes: int
    hits: int
    misses: int
    hit_rate: float | None


class Dropped(BaseModel):
    """How many values were there."""

    dropped: int


@routes.get("/cache/statistics")
async def cache_statistics(session: Transaction) -> StatisticsView:
    """How full the cache is, and how often it has the answer."""
    return StatisticsView.model_validate(await statistics.read(session))


@routes.delete("/cache/keys/{key:path}", responses=problems(422))
async def drop_key(key: str, session: Transaction) -> Dropped:
    """Forget the value of a key."""
    return Dropped(dropped=await cache.drop(session, key))


@routes.delete("/cache/tags/{tag:path}", responses=problems(422))
async def drop_tag(tag: str, session: Transaction) -> Dropped:
    """Forget every value that has this tag."""
    return Dropped(dropped=await cache.drop_tags(session, tag))
