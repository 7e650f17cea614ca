"""Who collects the jobs that are enqueued here, if anybody does: a batch."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Collector(Protocol):
    """What collects. Inside of its blocks nobody does: what they give is the transaction to insert on, and whom to tell
    the ids of what was inserted.

    Attributes:
        in_block: it is the block of a batch, and not one of its jobs.
    """

    in_block: bool

    def inside(
        self, on: Any, manager: Any, origin: Any = None
    ) -> AbstractContextManager[tuple[Any, Callable[..., Any]]]: ...
    def inside_async(
        self, on: Any, manager: Any, origin: Any = None
    ) -> AbstractAsyncContextManager[tuple[Any, Callable[..., Awaitable[Any]]]]: ...


collecting: ContextVar[Collector | None] = ContextVar("workrow_collecting", default=None)


def collected(
    collector: Collector, on: Any, manager: Any, insert: Callable[[Any], list[T]], origin: Any = None
) -> list[T]:
    """Insert jobs that are collected; those that a rule found instead are not."""
    with collector.inside(on, manager, origin) as (target, join):
        jobs = insert(target)
        join([job.id for job in jobs if getattr(job, "created", True)])  # type: ignore[attr-defined]
    return jobs


async def collected_async(
    collector: Collector, on: Any, manager: Any, insert: Callable[[Any], Awaitable[list[T]]], origin: Any = None
) -> list[T]:
    """The same in an async transaction."""
    async with collector.inside_async(on, manager, origin) as (target, join):
        jobs = await insert(target)
        await join([job.id for job in jobs if getattr(job, "created", True)])  # type: ignore[attr-defined]
    return jobs
