"""What tests of cached things share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database
from jobs.cache import service

Conn: TypeAlias = psycopg.Connection[Any]


@asynccontextmanager
async def transaction() -> AsyncIterator[AsyncSession]:
    async with database.session() as session, session.begin():
        yield session


async def put(key: str, value: Any, **options: Any) -> None:
    async with transaction() as session:
        await service.set(session, key, value, **options)


async def read(key: str) -> Any:
    async with transaction() as session:
        return await service.get(session, key, "nothing")


async def drop_tag(*tags: str) -> int:
    async with transaction() as session:
        return await service.drop_tags(session, *tags)


def crash(conn: Conn) -> None:
    """What a crash of the server leaves of the cache."""
    conn.execute("TRUNCATE cache_entries, cache_drops, cache_counts")


class Computed:
    """A computation that counts its calls."""

    def __init__(self, value: Any = "computed") -> None:
        self.value = value
        self.calls = 0

    async def __call__(self, _: AsyncSession) -> Any:
        self.calls += 1
        return self.value

    async def ask(self, key: str = "k", **options: Any) -> Any:
        async with transaction() as session:
            return await service.get_or_set(session, key, self, **options)
