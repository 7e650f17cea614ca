"""Hear of new jobs and of jobs to abort."""

import json
import logging
from collections.abc import Awaitable, Callable

import psycopg
from procrastinate.manager import get_channel_for_queues
from psycopg import sql

logger = logging.getLogger(__name__)

CHECK_SECONDS = 30.0
"""How often a silent connection is asked whether it lives."""


class Listener:
    """Listens on a connection of its own.

    Args:
        connect: makes a connection in autocommit mode.
        queues: whose notifications; None for all.
        on_job: called with the id of a new job; 0 if it is not known which.
        on_abort: called with the id of a job to abort.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[psycopg.AsyncConnection]],
        queues: list[str] | None,
        on_job: Callable[[int], None],
        on_abort: Callable[[int], None],
    ) -> None:
        self._connect = connect
        self._queues = queues
        self._on_job = on_job
        self._on_abort = on_abort

    async def run(self) -> None:
        """Listen until the connection is lost.

        Raises:
            psycopg.OperationalError: it was lost.
        """
        async with await self._connect() as connection:
            for channel in get_channel_for_queues(self._queues):
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._on_job(0)  # what came while nobody listened
            while True:
                async for notification in connection.notifies(timeout=CHECK_SECONDS):
                    self._hear(notification.payload)
                await connection.execute("SELECT 1")

    def _hear(self, payload: str) -> None:
        try:
            message = json.loads(payload)
            job_id = int(message["job_id"])
        except (ValueError, TypeError, KeyError):
            logger.warning("ignoring a notification that is not procrastinate's: %.100r", payload)
            return
        if message.get("type") == "abort_job_requested":
            self._on_abort(job_id)
        else:
            self._on_job(job_id)
