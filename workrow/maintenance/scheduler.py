"""Enqueue periodic tasks when they are due, once for all workers."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException

from workrow import sql
from workrow.payload import dump_arguments
from workrow.tasks import Schedule, Task

logger = logging.getLogger(__name__)

MAX_DELAY = timedelta(minutes=10)
"""A due time that was missed by more than this is skipped; procrastinate's default, ``max_delay``."""
LONGEST_SLEEP = timedelta(minutes=1)
"""So that a changed clock, or a sleeping laptop, delays a tick by no more than this."""
AFTER_ERROR = timedelta(seconds=5)


class Scheduler:
    """Ticks the schedules that tasks declare.

    Each worker runs one; the database lets only the first of them enqueue a due time (see ``enqueue_tick.sql``).

    Args:
        connector: an opened async connector.
        tasks: the app's tasks.
        max_delay: how late a due time may still be made up for.
    """

    def __init__(
        self, connector: BaseConnector, tasks: Iterable[Task[Any, Any]], max_delay: timedelta = MAX_DELAY
    ) -> None:
        self._connector = connector
        self._tasks: list[tuple[Schedule, Task[Any, Any]]] = [
            (task.schedule, task) for task in tasks if task.schedule is not None
        ]
        self._max_delay = max_delay

    async def start(self) -> None:
        """Note schedules that the database has never seen."""
        for schedule, _task in self._tasks:
            await self._connector.execute_query_all_async(query=sql.load("declare_schedule"), schedule=schedule.name)

    async def run(self) -> None:
        """Tick until cancelled; a database error is logged and tried again."""
        started = False
        while True:
            try:
                if not started:
                    await self.start()
                    started = True
                delay = await self.run_once()
            except ConnectorException:
                logger.warning("the scheduler cannot reach the database; trying again", exc_info=True)
                delay = AFTER_ERROR
            await asyncio.sleep(delay.total_seconds())

    async def run_once(self) -> timedelta:
        """Enqueue what is due, and return how long until the next due time (a minute at most)."""
        if not self._tasks:
            return LONGEST_SLEEP
        now = await self._now()
        waits = [LONGEST_SLEEP]
        for schedule, task in self._tasks:
            due = schedule.timing.latest(now)
            if due is not None and now - due <= self._max_delay:
                await self._tick(schedule, task, due)
            following = schedule.timing.following(now)
            if following is not None:
                waits.append(following - now)
        return min(waits)

    async def _tick(self, schedule: Schedule, task: Task[Any, Any], due: datetime) -> None:
        arguments = {"timestamp": int(due.timestamp())} if "timestamp" in task.signature.parameters else {}
        rows = await self._connector.execute_query_all_async(
            query=sql.load("enqueue_tick"),
            schedule=schedule.name,
            tick=due,
            queue=task.queue,
            task=task.name,
            priority=task.priority,
            lock=task.lock,
            queueing_lock=task.queueing_lock,
            args=dump_arguments(task.name, arguments),
        )
        for row in rows:
            logger.info("enqueued %s[%s], due at %s", task.name, row["id"], due.isoformat())

    async def _now(self) -> datetime:
        rows = await self._connector.execute_query_all_async(query=sql.load("database_time"))
        now: datetime = rows[0]["now"]
        return now
