"""Batches that wait for more jobs, without a slot."""

import asyncio
import contextlib
import contextvars
import inspect
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workrow.declare.batch import BatchHandler
from workrow.errors import ArgumentError
from workrow.tasks import Task
from workrow.worker.outcome import Claimed

GATHERED_MAX = 1000
"""So many jobs, or those of one batch, a lane holds for batches that are not full; beyond it the oldest one starts."""
REMEMBERED = 1000
"""Claimed jobs after which the older ones count half, in how common those of batches are."""


@dataclass(slots=True)
class Gathered:
    """Jobs that gather.

    Attributes:
        size: how many make it full.
        ready_at: when it was full or had waited long enough; 0: it is neither.
    """

    size: int
    jobs: list[Claimed] = field(default_factory=list)
    ready_at: float = 0.0


class Gathering:
    """The batches of one lane.

    Args:
        tasks: of the app, by their names and aliases.
        start: called when a batch has waited long enough.

    Attributes:
        tasks: those of them that take batches.
        ready: batches that wait for nothing but a slot.
        context: the worker's, of no job.
    """

    def __init__(self, tasks: Mapping[str, Any], start: Callable[[], None]) -> None:
        self.tasks = {
            name: _Known(task, task.execution.batch)
            for name, task in tasks.items()
            if isinstance(task, Task) and task.execution.batch
        }
        self.ready: deque[Gathered] = deque()
        self.context = contextvars.copy_context()
        self._start = start
        self._open: dict[tuple[str, object], Gathered] = {}
        self._count = 0
        self._most = max([GATHERED_MAX, *(known.handler.size for known in self.tasks.values())])
        self._common, self._others = 0, 0

    @property
    def jobs(self) -> list[Claimed]:
        """All jobs that are here."""
        return [claimed for batch in (*self.ready, *self._open.values()) for claimed in batch.jobs]

    def add(self, claimed: Claimed) -> None:
        """Put a job into its batch."""
        known = self.tasks[claimed.task]
        if claimed.crashes:
            # it may have killed its worker: it runs alone, so that it takes no others with it again
            self._is_ready(Gathered(1, [claimed]))
            return
        key = known.key(claimed)
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = Gathered(known.handler.size)
            asyncio.get_running_loop().call_later(known.handler.within, self._due, key, batch)
        batch.jobs.append(claimed)
        self._count += 1
        if len(batch.jobs) == batch.size:
            self._close(key)
        elif self._count > self._most:
            self._close(next(iter(self._open)))

    def hurry(self) -> None:
        """Nothing more comes: all are ready."""
        for key in list(self._open):
            self._close(key)

    def count(self, claimed: Iterable[Claimed]) -> None:
        """Jobs were claimed: see how common those of batches are."""
        for each in claimed:
            if each.task in self.tasks:
                self._common += 1
            else:
                self._others += 1
        if self._common + self._others > REMEMBERED:
            self._common, self._others = self._common // 2, self._others // 2

    def room(self, free: int) -> int:
        """How many jobs to claim beyond the free slots: what the open batches lack, but so few that the plain jobs
        among them find a slot."""
        if not self._open:
            return 0
        return min(self.lacking, free * self._common // (self._others + 1))

    @property
    def lacking(self) -> int:
        """How many jobs the open batches have room for."""
        return min(sum(batch.size - len(batch.jobs) for batch in self._open.values()), self._most - self._count)

    def take(self, gone: set[int]) -> None:
        """Take the jobs out whose ``id()`` is among these."""
        for batch in (*self.ready, *self._open.values()):
            batch.jobs = [each for each in batch.jobs if id(each) not in gone]
        self.ready = deque(batch for batch in self.ready if batch.jobs)
        self._open = {key: batch for key, batch in self._open.items() if batch.jobs}
        self._count = sum(len(batch.jobs) for batch in self._open.values())

    def stale(self, seconds: float) -> list[Claimed]:
        """The jobs of batches that have waited for a slot for longer."""
        since = time.monotonic() - seconds
        return [claimed for batch in self.ready if batch.ready_at < since for claimed in batch.jobs]

    def _close(self, key: tuple[str, object]) -> None:
        batch = self._open.pop(key)
        self._count -= len(batch.jobs)
        self._is_ready(batch)

    def _is_ready(self, batch: Gathered) -> None:
        batch.ready_at = time.monotonic()
        self.ready.append(batch)

    def _due(self, key: tuple[str, object], batch: Gathered) -> None:
        if self._open.get(key) is batch:
            self._close(key)
            self._start()


class _Known:
    """A task that takes batches."""

    def __init__(self, task: Task[..., Any], handler: BatchHandler) -> None:
        self.handler = handler
        self._task = task
        parameters = task.signature.parameters
        given = {name: parameters[name].default for name in handler.by}
        self._defaults = {name: default for name, default in given.items() if default is not inspect.Parameter.empty}
        with contextlib.suppress(ArgumentError):
            self._defaults = task.parameters.dump(task.name, self._defaults)

    def key(self, claimed: Claimed) -> tuple[str, object]:
        """Jobs of the same key go into one batch."""
        if not self.handler.by:
            return self._task.name, None
        try:
            args = self._defaults | self._task.payload.upcasted(claimed.args, claimed.version)
            values = json.dumps([args[name] for name in self.handler.by], sort_keys=True, default=repr)
        except Exception:
            return self._task.name, claimed.id  # alone: its run says what is wrong with its arguments
        return self._task.name, values
