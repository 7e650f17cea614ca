"""When a worker has done enough, and ends in order, so that the next one starts afresh."""

import asyncio
import os
import random
from collections.abc import Callable

from workrow.errors import OptionError
from workrow.logs import get_logger
from workrow.worker.running.children.vitals import resident

logger = get_logger(__name__)

MIB = 2**20
JITTER = 10
"""One part in so many of ``max_jobs`` is left to chance: workers that started together do not end together."""
LOOK_SECONDS = 1.0
"""So long after a job the memory is looked at, for all jobs that end meanwhile: a look takes some ten microseconds."""


class Retirement:
    """Counts the jobs of one worker.

    Args:
        max_jobs: it ends after so many, or up to a tenth fewer; None: however many.
        max_memory: MiB of resident memory, after a job, at which it ends; its child processes have memory of their own.
        stop: asks it to.
    """

    def __init__(self, max_jobs: int | None, max_memory: int | None, stop: Callable[[], object]) -> None:
        self._left = None if max_jobs is None else max_jobs - random.randint(0, max_jobs // JITTER)
        self._max_memory = max_memory
        self._stop = stop
        self._look_due = False
        self._over = False

    @property
    def job_ended(self) -> Callable[[], None] | None:
        """To be called after each job; None if nothing bounds the worker's life."""
        return None if self._left is None and self._max_memory is None else self._count

    def check(self) -> None:
        """Raise OptionError if the worker holds too much before its first job."""
        if self._max_memory is not None and self._used() >= self._max_memory:
            raise OptionError(
                f"max_memory={self._max_memory}: the worker holds {self._used()} MiB before its first job; give it more"
            )

    def _count(self) -> None:
        if self._over:
            return
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._retire("it has run its max_jobs")
                return
        if self._max_memory is not None and not self._look_due:
            self._look_due = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look, self._max_memory)

    def _look(self, most: int) -> None:
        self._look_due = False
        if not self._over and (used := self._used()) > most:
            self._retire(f"it holds {used} MiB, its max_memory is {most}")

    def _retire(self, why: str) -> None:
        self._over = True
        logger.info("the worker ends in order: %s", why)
        self._stop()

    def _used(self) -> int:
        return resident(os.getpid()) // MIB
