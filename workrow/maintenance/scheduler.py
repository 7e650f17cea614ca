"""Enqueue what schedules have due, once for all workers."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from psycopg.rows import dict_row

from workrow import sql
from workrow.arguments.jsonb import dump_arguments
from workrow.database.outage import Outage, is_lost
from workrow.maintenance.tick import Tick, enqueue
from workrow.schedules.rows import as_json
from workrow.tasks import Task, known_versions

logger = logging.getLogger(__name__)

SCHEDULES = "workrow_schedules"
"""The channel on which changes of schedules are told."""
MAX_DELAY = timedelta(minutes=10)
"""A due time that was missed by more than this is not made up for; procrastinate's default, ``max_delay``."""
LONGEST_SLEEP = timedelta(minutes=1)
"""So that a changed clock, or a sleeping laptop, delays a tick by no more than this."""
POLL = timedelta(seconds=1)
"""The longest sleep of a worker that cannot hear of new and changed schedules."""
TAKEN = timedelta(milliseconds=200)
"""How soon to look again where another worker holds what is due."""
TOUCH_SECONDS = 60.0
AFTER_ERROR = timedelta(seconds=5)
BATCH = 500


class Scheduler:
    """Ticks the schedules that tasks declare, and those that were created at run time for tasks that it knows.

    Each worker runs one. Who takes a row that is due enqueues its job, and moves it to the next due time in the same
    transaction.

    Args:
        connector: an opened async connector of psycopg.
        tasks: the app's tasks.
        max_delay: how late a due time may still be made up for.
    """

    def __init__(
        self, connector: BaseConnector, tasks: Iterable[Task[Any, Any]], max_delay: timedelta = MAX_DELAY
    ) -> None:
        self._connector = connector
        self._tasks = {name: task for task in tasks for name in (task.name, *task.aliases)}
        self._declared = {
            name: (task, schedule) for task in self._tasks.values() for name, schedule in task.schedules.items()
        }
        self._params = {
            "tasks": sorted(self._tasks),
            "names": sorted(self._declared),
            "signatures": known_versions(self._tasks),
        }
        self._max_delay = max_delay
        self._changed = asyncio.Event()
        self._touched = -TOUCH_SECONDS
        self._hears = False

    def listening(self, hears: bool) -> None:
        """Whether `wake` will be called when a schedule changes; without it, the scheduler looks once a second."""
        self._hears = hears
        self.wake()

    def hears(self, others: Callable[[str], None]) -> Callable[[str], None]:
        """What to do with a notification: `wake` if it is of schedules, else what ``others`` does."""

        def hear(payload: str) -> None:
            if payload == "schedules":
                self.wake()
            else:
                others(payload)

        return hear

    def wake(self) -> None:
        """Look now: a schedule was created or changed."""
        self._changed.set()

    async def start(self) -> None:
        """Write down what the code declares."""
        if not self._declared:
            return
        rows = [
            as_json(
                *(name, task.name, schedule, dump_arguments(task.name, task.check_schedule(schedule))),
                task.payload.stored_version,
            )
            for name, (task, schedule) in self._declared.items()
        ]
        known = await self._connector.execute_query_all_async(
            query=sql.load("declare_schedules"), schedules=json.dumps(rows)
        )
        for name in self._declared.keys() - {row["name"] for row in known}:
            logger.error(
                "the schedule %s is declared by a task, but the database has a dynamic one of that name, which stays; "
                "delete or rename one of them",
                name,
            )

    async def run(self) -> None:
        """Tick until cancelled; a database error is logged and tried again."""
        started = False
        outage = Outage("schedules")
        while True:
            try:
                if not started:
                    await self.start()
                    started = True
                delay = min(await self.run_once(), LONGEST_SLEEP if self._hears else POLL)
            except (ConnectorException, psycopg.Error) as error:
                delay = AFTER_ERROR
                if is_lost(error):
                    outage.noted(error.__cause__ or error, delay.total_seconds())
                else:
                    logger.warning("the scheduler failed; trying again", exc_info=True)
            else:
                outage.over()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay.total_seconds()):
                    await self._changed.wait()
            self._changed.clear()

    async def run_once(self) -> timedelta:
        """Enqueue what is due, and return how long until the next due time (a minute at most)."""
        if time.monotonic() - self._touched > TOUCH_SECONDS:
            await self._touch()
        while True:
            rows = await self._connector.execute_query_all_async(query=sql.load("next_schedule"), **self._params)
            wait = rows[0]["wait"] if rows else None
            if wait is None or wait > 0:
                return LONGEST_SLEEP if wait is None else min(timedelta(seconds=wait), LONGEST_SLEEP)
            if not await self._tick():
                return TAKEN

    async def _touch(self) -> None:
        """Say that the code still declares its schedules; a row that somebody deleted comes back."""
        names = self._params["names"]
        if names:
            rows = await self._connector.execute_query_all_async(query=sql.load("touch_schedules"), names=names)
            if len(rows) < len(names):
                await self.start()
        self._touched = time.monotonic()

    async def _tick(self) -> int:
        """Take what is due and nobody else holds; returns how many schedules."""
        pool: Any = self._connector.pool  # type: ignore[attr-defined]
        async with pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(sql.load("claim_schedules"), {**self._params, "limit": BATCH})
            rows = await cursor.fetchall()
            if rows:
                ticks = [Tick(row, self._tasks[row["task"]], self._max_delay) for row in rows]
                await enqueue(connection, ticks)
                moves = json.dumps([tick.move() for tick in ticks])
                await connection.execute(sql.load("move_schedules"), {"moves": moves})
        return len(rows)
