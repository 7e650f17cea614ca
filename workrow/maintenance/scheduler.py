"""Enqueue what schedules have due, once for all workers."""

import asyncio
import contextlib
import json
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
from workrow.database.given import pool_of
from workrow.database.held import AGAIN_SECONDS, BRIEF_MS, run_bounded, run_free
from workrow.database.link import Link
from workrow.database.outage import Outage, is_lost, is_passing
from workrow.logs import get_logger
from workrow.maintenance.known import known_versions
from workrow.maintenance.tick import Batch, Tick
from workrow.schedules.rows import as_json
from workrow.tasks import Task

logger = get_logger(__name__)

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
AGAIN = timedelta(seconds=AGAIN_SECONDS)
AFTER_ERROR = timedelta(seconds=5)
BATCH = 500


class Scheduler:
    """Ticks the schedules that tasks declare, and those that were created at run time for tasks that it knows.

    Each worker runs one. Who is the first to deal with a row that is due enqueues its job, and moves it to the next due
    time in the same statement.

    Args:
        connector: the app's.
        tasks: the app's tasks.
        max_delay: how late a due time may still be made up for.

    Attributes:
        problems: what is wrong with schedules that could not be read when they were last due, by their names.
    """

    def __init__(
        self, connector: BaseConnector, tasks: Iterable[Task[Any, Any]], max_delay: timedelta = MAX_DELAY
    ) -> None:
        self._connector = connector
        self._tasks = {name: task for task in tasks for name in (task.name, *task.aliases)}
        self._declared = {
            name: (task, schedule) for task in self._tasks.values() for name, schedule in task.schedules.items()
        }
        self._undeclared: set[str] = set()
        self._declare_at = 0.0
        self._held: dict[str, float] = {}
        self._skips: list[dict[str, Any]] = []
        self.problems: dict[str, str] = {}
        self._known = {
            "tasks": sorted(self._tasks),
            "names": sorted(self._declared),
            "signatures": known_versions(self._tasks),
        }
        self._max_delay = max_delay
        self._changed = asyncio.Event()
        self._touched = -TOUCH_SECONDS
        self._hears = False
        self._worker_id: int | None = None
        self._born: int | None = None
        self._link: Link | None = None

    def works_on(self, link: Link) -> None:
        """Whose connection it shares, instead of one of the pool's."""
        self._link = link

    def works_for(self, worker_id: int) -> None:
        """Which worker this is; after a lost lease it has another id, and is no younger for that."""
        self._worker_id = worker_id
        self._born = self._born or worker_id

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
        """Write down what the code declares; what somebody's open transaction holds is tried again by `run_once`."""
        self._undeclared = set(self._declared)
        self._touched = time.monotonic()
        await self._declare()
        for name in self._undeclared:
            logger.warning("the schedule %s is declared later: an open transaction holds its row", name)

    async def _declare(self) -> None:
        self._declare_at = time.monotonic() + AGAIN_SECONDS
        if not self._undeclared:
            return
        pool = self._link or await pool_of(self._connector)
        names = sorted(self._undeclared)
        written, rows = await run_free(pool, names, sql.load("declare_schedules"), self._declarations)
        known = {name for (name,) in rows}
        self._undeclared.difference_update(written)
        for name in set(written) - known:
            logger.error(
                "the schedule %s is declared by a task, but the database has a dynamic one of that name, which stays; "
                "delete or rename one of them",
                name,
            )

    def _declarations(self, names: list[str]) -> dict[str, str]:
        """The parameters of ``declare_schedules.sql``."""
        rows = []
        for name in names:
            task, schedule = self._declared[name]
            args = dump_arguments(task.name, task.check_schedule(schedule))
            rows.append(as_json(name, task.name, schedule, args, task.payload.stored_version))
        return {"schedules": json.dumps(rows)}

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
                delay = TAKEN if is_passing(error) else AFTER_ERROR
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
        if self._undeclared and time.monotonic() >= self._declare_at:
            await self._declare()
        if time.monotonic() - self._touched > TOUCH_SECONDS:
            await self._touch()
        longest = AGAIN if self._undeclared else LONGEST_SLEEP
        while True:
            aside = self._aside
            if aside:
                longest = AGAIN
            rows = await self._run("next_schedule", **self._known, aside=aside)
            wait = rows[0]["wait"] if rows else None
            if wait is None or wait > 0:
                return longest if wait is None else min(timedelta(seconds=wait), longest)
            if not await self._tick(aside):
                return TAKEN

    @property
    def _aside(self) -> list[str]:
        """The schedules that were held a moment ago."""
        now = time.monotonic()
        return [name for name, until in self._held.items() if now < until]

    def aside(self) -> list[tuple[str, str, int | None]]:
        """The schedules whose jobs wait, for `workrow.maintenance.aside.Aside`."""
        return [("schedule", name, None) for name in {*self._held, *self._undeclared}]

    async def _run(self, statement: str, **params: Any) -> list[dict[str, Any]]:
        """The rows of a statement that is a transaction of its own: none is open while a task blocks the loop."""
        pool = self._link or await pool_of(self._connector)
        return await run_bounded(pool, sql.load(statement), params, row_factory=dict_row)

    async def _touch(self) -> None:
        """Say that the code still declares its schedules; a row that somebody deleted comes back.

        What the youngest worker declares is in force: an older release that started later and has left leaves its
        lines behind.
        """
        names = self._known["names"]
        if names:
            rows = await self._run("touch_schedules", names=names, worker_id=self._worker_id, born=self._born)
            if len(rows) + len(self._undeclared) < len(names):
                await self.start()
            elif ours := {row["name"] for row in rows if row["ours"]}:
                self._undeclared |= ours
                await self._declare()
        self._touched = time.monotonic()

    async def _tick(self, aside: list[str]) -> int:
        """Enqueue what is due and nobody else deals with; returns how many schedules."""
        rows = await self._run("find_due_schedules", **self._known, aside=aside, limit=BATCH)
        found = [Tick(row, self._tasks[row["task"]], self._max_delay) for row in rows]
        batch = Batch(found, self._held.keys())
        ids = batch.former
        batch.part({row["id"]: row["paused"] for row in await self._run("find_open_jobs", ids=ids)} if ids else {})
        if hidden := batch.hidden:
            await self._run("hide_arguments", hidden=json.dumps(hidden))
        ended = batch.ended(await self._run("tick_schedules", ticks=batch.text(), brief=BRIEF_MS)) if found else []
        for tick in ended:
            if tick.problem:
                self.problems[tick.name] = f"schedule {tick.name}: no jobs: {tick.problem}"
            else:
                self.problems.pop(tick.name, None)
        self._set_aside(batch.held, {tick.name for tick in ended})
        self._skips += [skip for tick in ended if (skip := tick.skips())]
        if self._skips:
            await self._run("note_skipped", skips=json.dumps(self._skips))
            self._skips.clear()
        for tick in ended:
            tick.tell()
        return len(ended) + len(batch.held)

    def _set_aside(self, held: set[str], free: set[str]) -> None:
        until = time.monotonic() + AGAIN_SECONDS
        for name in held:
            if name not in self._held:
                logger.warning("%s: its job waits: an open transaction holds its key", name)
            self._held[name] = until
        for name in free:
            self._held.pop(name, None)
