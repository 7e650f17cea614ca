"""What fills the cache before it is asked: after a crash, or when values have expired. Domains register warmers."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

Warmer: TypeAlias = Callable[[AsyncSession], Awaitable[int]]
"""Brings values into the cache, in one transaction, and returns how many."""

WARMERS: dict[str, Warmer] = {}


class UnknownWarmer(LookupError):
    """No domain has registered a warmer of this name."""


def warmer(name: str) -> Callable[[Warmer], Warmer]:
    """Register a function that warms the cache; the name stands in its jobs.

    Raises:
        ValueError: the name is taken.
    """

    def register(function: Warmer) -> Warmer:
        if name in WARMERS:
            raise ValueError(f"there is a warmer {name!r} already: {WARMERS[name].__module__}; choose another name")
        WARMERS[name] = function
        return function

    return register


async def warm(session: AsyncSession, name: str) -> int:
    """Run this warmer; returns how many values it brought.

    Raises:
        UnknownWarmer: there is none of this name, any more or yet.
    """
    if name not in WARMERS:
        raise UnknownWarmer(f"there is no warmer {name!r}: known are {', '.join(sorted(WARMERS)) or 'none'}")
    return await WARMERS[name](session)
