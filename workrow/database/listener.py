"""Hear of what happens in the database: of new jobs, of jobs to abort, of the ends of jobs."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterable

import psycopg
from procrastinate.manager import get_channel_for_queues
from psycopg import sql

from workrow.database.connector import is_pooled
from workrow.database.link import Connect, close
from workrow.logs import get_logger
from workrow.sql import fragment

logger = get_logger(__name__)

CHECK_SECONDS = 20.0
"""How often a silent connection is asked whether it still hears: it notifies itself."""
ANSWER_SECONDS = 5.0
ID_MOST = 2**63 - 1
ASK = f"SELECT pg_notify(%s, '') WHERE {fragment('room_to_notify')}"


class Listener:
    """Listens on a connection of its own.

    Args:
        connect: makes a connection in autocommit mode, to the server itself and not to a pooler.
        channels: what to listen to.
        hear: called with the payload of each notification.
        on_ready: called when it listens, at first and after each lost connection: before that, nothing was heard.
        on_deaf: called when there is a pooler between, behind which nothing can be heard.
    """

    def __init__(
        self,
        connect: Connect,
        channels: Iterable[str],
        hear: Callable[[str], None],
        on_ready: Callable[[], None],
        on_deaf: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._channels = [*channels]
        self._canary = f"workrow_canary_{uuid.uuid4().hex}"
        self._alive = False
        self._hear = hear
        self._on_ready = on_ready
        self._on_deaf = on_deaf

    async def run(self) -> None:
        """Listen until the connection is lost.

        Raises:
            psycopg.OperationalError: it was lost, or does not hear any more.
        """
        connection = await self._connect()
        try:
            if await is_pooled(connection):
                logger.warning(
                    "a pooler stands before the database, LISTEN does not work through it: polling instead; "
                    "App(…, direct_url=…) names the server itself"
                )
                self._on_deaf()
                await asyncio.Event().wait()
            async with asyncio.timeout(CHECK_SECONDS):
                await self._listen(connection, self._canary)
                heard = await self._listen(connection, *self._channels)
            self._on_ready()
            while True:
                await self._hear_for(connection, CHECK_SECONDS)
                async with asyncio.timeout(ANSWER_SECONDS):
                    heard += await self._listen(connection, *self._channels[heard:])
                await self._ask(connection)
        finally:
            await close(connection)

    def add(self, channels: Iterable[str]) -> None:
        """Listen to these, too, in `CHECK_SECONDS` at the latest."""
        self._channels += [each for each in channels if each not in self._channels]

    @staticmethod
    async def _listen(connection: psycopg.AsyncConnection, *channels: str) -> int:
        """Returns how many they are: more may have come meanwhile."""
        for channel in channels:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        return len(channels)

    async def _hear_for(
        self, connection: psycopg.AsyncConnection, seconds: float, stop_after: int | None = None
    ) -> None:
        # to the end of what one read has brought: psycopg 3.3.9 drops what is left in a generator that is left
        async for notification in connection.notifies(timeout=seconds, stop_after=stop_after):
            self._alive = True
            if notification.channel != self._canary:
                self._hear(notification.payload)

    async def _ask(self, connection: psycopg.AsyncConnection) -> None:
        self._alive = False
        async with asyncio.timeout(ANSWER_SECONDS):
            cursor = await connection.execute(ASK, [self._canary])
        if not cursor.rowcount:
            return  # it answers, and there is no room to notify
        await self._hear_for(connection, ANSWER_SECONDS, stop_after=1)
        if not self._alive:
            raise psycopg.OperationalError("the listening connection does not hear its own notification")


def job_channels(queues: list[str] | None) -> list[str]:
    """Where procrastinate, and our triggers, tell of jobs in these queues; None for all."""
    return [*get_channel_for_queues(queues)]


def of_jobs(on_job: Callable[[int], None], on_abort: Callable[[int], None]) -> Callable[[str], None]:
    """What to do with the payloads of these channels: call ``on_job`` with the id of a new job, ``on_abort`` with the
    id of one to abort."""

    def hear(payload: str) -> None:
        kind, job_id = _read(payload)
        if kind == "abort_job_requested":
            on_abort(job_id)
        elif kind is not None:
            on_job(job_id)

    return hear


def _read(payload: str) -> tuple[str | None, int]:
    """What is said, and of which job (0: of none); nothing if it is not ours. Any role that may connect can say
    anything, so that it may lead to a look, and to nothing else."""
    try:
        message = json.loads(payload)
        kind, job_id = message["type"], message["job_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        kind = job_id = None
    if isinstance(kind, str) and type(job_id) is int and 0 <= job_id <= ID_MOST:
        return kind, job_id
    logger.debug("ignoring a notification that is not procrastinate's: %.100r", payload)
    return None, 0
