"""The names that we take from procrastinate's worker. Every use of its private ones by the worker goes through here."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from procrastinate.exceptions import ConnectorException
from procrastinate.periodic import MARGIN, PeriodicDeferrer, TaskAtTime
from procrastinate.worker import Worker

from workrow.configuration import check_worker
from workrow.database.held import AGAIN_SECONDS
from workrow.database.outage import is_passing

logger = logging.getLogger(__name__)


class UpstreamWorker(Worker):
    """procrastinate's worker: its options, their checks, ``stop()`` and what middleware is given; not its loops."""

    def __init__(self, app: Any, **options: Any) -> None:
        check_worker(options)
        super().__init__(app, **options)

    async def _periodic_deferrer(self) -> None:
        """The loop that serves ``@app.periodic``; returns at once when there is none."""
        await Deferrer(self.app.periodic_registry, **self.app.periodic_defaults).worker()

    def _resolve_task_middlewares(self, task: Any, task_is_async: bool) -> list[Any]:
        """The middleware around one task, outermost first."""
        return super()._resolve_task_middlewares(task, task_is_async)


class Deferrer(PeriodicDeferrer):
    """procrastinate's ticking of ``@app.periodic``; what somebody's open transaction holds keeps no other task."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held: list[TaskAtTime] = []

    async def defer_jobs(self, jobs_to_defer: Iterable[TaskAtTime]) -> None:
        """See procrastinate; what is held is left for `wait`, with the later due times of its task."""
        for each in jobs_to_defer:
            task = each[0]
            if any(task is held for held, _ in self._held):
                self._held.append(each)
                continue
            try:
                await super().defer_jobs([each])
            except ConnectorException as error:
                if error.__cause__ is None or not is_passing(error.__cause__):
                    raise
                logger.info("%s: its job waits: an open transaction holds its key", task.task.name)
                self._held.append(each)

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
