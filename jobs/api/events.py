"""How a job is doing, told as it changes: server-sent events. One look at the database is for all listeners."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import exc, text

from jobs import database
from jobs.api.views import JobView

INTERVAL = 0.25
"""Seconds from one look to the next, while somebody listens."""
HEARTBEAT = 15.0
"""Seconds without news after which a comment is sent: proxies close what is silent."""
LONGEST = 600.0
"""Seconds after which a stream ends whatever the job does, so that a service can stop. Browsers connect again."""
MOST = 2000
"""Listeners of one process."""
ENDED = frozenset({"succeeded", "failed", "cancelled", "aborted"})
LAST = "end"

logger = logging.getLogger(__name__)
Read = Callable[[Collection[int]], Awaitable[Mapping[int, JobView]]]


class TooManyListeners(Exception):
    """This process has as many as it takes."""


class Listener:
    """Somebody who waits for news of a job. Only the latest are kept, so that who reads slowly holds nothing up."""

    def __init__(self) -> None:
        self._news: JobView | None = None
        self._changed = asyncio.Event()

    def tell(self, view: JobView | None) -> None:
        """The job as it is now; None: it is not there any more."""
        self._news = view
        self._changed.set()

    async def hear(self) -> JobView | None:
        """What was told last, once there is something that was not heard yet."""
        await self._changed.wait()
        self._changed.clear()
        return self._news


class Watch:
    """Looks at all jobs that somebody listens to, on one connection, while somebody does."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._listeners: dict[int, set[Listener]] = {}
        self._looking: asyncio.Task[None] | None = None

    def make_room(self) -> None:
        """Raise TooManyListeners if there are `MOST` already."""
        if sum(map(len, self._listeners.values())) >= MOST:
            raise TooManyListeners(f"{MOST} listen already: try again later, or ask GET /jobs/{{id}} now and then")

    @contextmanager
    def listening(self, job_id: int) -> Iterator[Listener]:
        """A listener, for as long as the block runs."""
        listener = Listener()
        self._listeners.setdefault(job_id, set()).add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield listener
        finally:
            self._listeners[job_id].discard(listener)
            if not self._listeners[job_id]:
                del self._listeners[job_id]

    async def close(self) -> None:
        """Return when nothing looks any more, which is soon after the last listener has left."""
        self._listeners.clear()
        if self._looking is not None:
            await self._looking

    async def _look(self) -> None:
        while self._listeners:
            try:
                found = await self._read(list(self._listeners))
            except exc.SQLAlchemyError as error:
                logger.warning("events of jobs: the database failed: %s", " ".join(str(error).split()))
            else:
                for job_id, listeners in list(self._listeners.items()):
                    for listener in listeners:
                        listener.tell(found.get(job_id))
            await asyncio.sleep(INTERVAL)


async def read(ids: Collection[int]) -> Mapping[int, JobView]:
    """The jobs with these ids that there are."""
    query = text(f"SELECT {', '.join(JobView.model_fields)} FROM workrow.jobs WHERE id = ANY(:ids)")
    async with database.session() as session:
        rows = (await session.execute(query, {"ids": list(ids)})).all()
    return {row.id: JobView.model_validate(row) for row in rows}


WATCH = Watch(read)


async def stream(first: JobView) -> AsyncIterator[str]:
    """The events of one job: ``job`` for each change, and then ``end``, or ``gone`` if there is no such job any more.

    Args:
        first: the job as it is now.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + LONGEST
    view: JobView | None = first
    yield _event(first)
    with WATCH.listening(first.id) as listener:
        while view is not None and view.status not in ENDED and clock() < until:
            before = view
            try:
                async with asyncio.timeout(HEARTBEAT):
                    while (view := await listener.hear()) == before:
                        pass
            except TimeoutError:
                view = before
                yield ": nothing new\n\n"
            else:
                yield _event(view) if view is not None else f"event: gone\nid: {LAST}\ndata: {{}}\n\n"


def _event(view: JobView) -> str:
    name, id = ("end", f"id: {LAST}\n") if view.status in ENDED else ("job", "")
    return f"event: {name}\n{id}data: {view.model_dump_json()}\n\n"
