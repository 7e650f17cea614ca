"""The names that we take from procrastinate's worker. Every use of its private ones by the worker goes through here."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attr
from croniter import CroniterBadDateError
from procrastinate.exceptions import ConnectorException
from procrastinate.periodic import MARGIN, PeriodicDeferrer, PeriodicRegistry, PeriodicTask, TaskAtTime
from procrastinate.worker import Worker

from workrow.arguments.secrets import masked
from workrow.configuration import check_worker
from workrow.database.held import AGAIN_SECONDS
from workrow.database.outage import is_lost, is_passing, told
from workrow.declare.periodic import arguments_at
from workrow.enqueue.hiding import OurJob
from workrow.logs import get_logger
from workrow.tasks import Task

logger = get_logger(__name__)

LONGEST_SLEEP = 3600.0
"""Seconds between two looks at lines that are never due again, or fail."""


class UpstreamWorker(Worker):
    """procrastinate's worker: its options, their checks, ``stop()`` and what middleware is given; not its loops."""

    def __init__(self, app: Any, **options: Any) -> None:
        check_worker(options)
        super().__init__(app, **options)
        self._periodic_problems: dict[str, str] = {}

    async def _periodic_deferrer(self) -> None:
        """The loop that serves ``@app.periodic``; returns at once when there is none."""
        registry = self.app.periodic_registry
        if registry.periodic_tasks:
            await Deferrer(self._periodic_problems, registry, **self.app.periodic_defaults).worker()

    def _resolve_task_middlewares(self, task: Any, task_is_async: bool) -> list[Any]:
        """The middleware around one task, outermost first."""
        return super()._resolve_task_middlewares(task, task_is_async)


class Deferrer(PeriodicDeferrer):
    """procrastinate's ticking of ``@app.periodic``: a task that cannot be deferred now, or at all, keeps no other one.

    Args:
        problems: takes what is wrong with tasks that cannot be deferred at all, in words.
        registry: the periodic tasks.
        **options: as procrastinate's.
    """

    def __init__(self, problems: dict[str, str], registry: PeriodicRegistry, **options: Any) -> None:
        super().__init__(registry, **options)
        self._problems = problems
        self._held: list[TaskAtTime] = []

    def get_next_tick(self, at: float) -> float:
        """Seconds until the next due time that there is."""
        waits = [LONGEST_SLEEP]
        for task in self.registry.periodic_tasks.values():
            with self._alone(task):
                waits.append(task.croniter.get_next(float, start_time=at) - at)
        return min(waits)

    def get_timestamps(self, periodic_task: PeriodicTask[Any, Any, Any], since: int | None, until: float) -> list[int]:
        """See procrastinate; none of a line that fails."""
        with self._alone(periodic_task):
            return [*super().get_timestamps(periodic_task, since, until)]
        return []

    async def defer_jobs(self, jobs_to_defer: Iterable[TaskAtTime]) -> None:
        """See procrastinate; what is held is left for `wait`, with the later due times of its task."""
        for each in jobs_to_defer:
            task = each[0]
            if any(task is held for held, _ in self._held):
                self._held.append(each)
                continue
            with self._alone(task):
                try:
                    await super().defer_jobs([(_checked(task), each[1])])
                except ConnectorException as error:
                    if error.__cause__ is None or not is_passing(error.__cause__):
                        raise
                    logger.info("%s: its job waits: an open transaction holds its key", task.task.name)
                    self._held.append(each)

    @contextmanager
    def _alone(self, task: PeriodicTask[Any, Any, Any]) -> Iterator[None]:
        key = f"{task.task.name}{task.periodic_id and ':'}{task.periodic_id}: cron={task.cron!r}"
        try:
            yield
        except CroniterBadDateError:
            pass  # its year is over, or still to come
        except Exception as error:
            if is_lost(error):
                raise
            problem = f"{key}: no jobs: {type(error).__name__}: {told(error)}"
            if self._problems.get(key) != problem:
                logger.error("%s", problem, exc_info=error)
            self._problems[key] = problem

    async def wait(self, next_tick: float) -> None:
        """Until the next due time; meanwhile, what was held is tried again."""
        until = time.monotonic() + next_tick + MARGIN
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, AGAIN_SECONDS) if self._held else left)
            held, self._held = self._held, []
            oldest = time.time() - self.max_delay
            for task, due in held:
                if due < oldest:
                    logger.warning(
                        "%s: its due time %d is given up: its key was held for too long", task.task.name, due
                    )
            await self.defer_jobs(each for each in held if each[1] >= oldest)


class _Checked:
    """A task as procrastinate's ticking takes it: the job's arguments are stored as those of any other call, and what
    is logged of it does not tell hidden ones.

    Args:
        task: the task.
        kwargs: the arguments of its line.
    """

    def __init__(self, task: Any, kwargs: dict[str, Any]) -> None:
        self.name, self.queueing_lock = task.name, task.queueing_lock
        self._task = task
        self._kwargs = kwargs

    def configure(self, *, task_kwargs: dict[str, Any], **options: Any) -> Any:
        """See procrastinate; of ``task_kwargs``, which may be shown, only the due time is new."""
        deferrer = self._task.configure(**options)
        bound = arguments_at(task_kwargs["timestamp"], self._task, self._kwargs)
        deferrer.job = OurJob.of(deferrer.job, task_kwargs=bound, hidden=self._task.hidden)
        return deferrer


def _checked(periodic: PeriodicTask[Any, Any, Any]) -> PeriodicTask[Any, Any, Any]:
    if not isinstance(periodic.task, Task):
        return periodic
    options: Any = {**periodic.configure_kwargs}
    kwargs = options.get("task_kwargs") or {}
    options["task_kwargs"] = masked(kwargs, periodic.task.hidden)
    task: Any = _Checked(periodic.task, kwargs)
    return attr.evolve(periodic, task=task, configure_kwargs=options)
