"""What running tasks say of their progress, for all jobs of a worker in one statement."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import psycopg

from workrow.context import Step
from workrow.database.held import Held
from workrow.database.link import Row
from workrow.database.outage import LOST
from workrow.worker.arrays import literal
from workrow.worker.outcome import Claimed, dump_step, plain_step

SPACING_SECONDS = 0.25
"""The shortest time between two statements: what is said meanwhile, the last word of each job, is written by the
next."""


class ProgressWriter:
    """Where tasks, in whatever thread, leave their last word.

    Args:
        run: runs a statement by its name.
    """

    def __init__(self, run: Callable[..., Awaitable[list[Row]]]) -> None:
        self._run = run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: deque[Claimed] = deque()
        self._changed = asyncio.Event()
        self._rung = False

    def say(self, claimed: Claimed, step: Step) -> None:
        """Note how far a job has come; from any thread. Of what is said in quick succession the last word counts."""
        claimed.progress = step
        # each flag is lowered before what it stands for is read: what comes after that raises it again
        if not (claimed.progress_due or claimed.progress_held):
            claimed.progress_due = True
            self._due.append(claimed)
            if not self._rung and self._loop:
                self._rung = True
                self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self) -> None:
        """Write until cancelled."""
        self._loop = asyncio.get_running_loop()
        if self._due:
            self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._rung = False
            await self._write()
            await asyncio.sleep(SPACING_SECONDS)

    async def _write(self) -> None:
        batch: dict[int, tuple[Claimed, Step | None]] = {}
        while self._due:
            claimed = self._due.popleft()
            claimed.progress_due = False
            if (step := claimed.progress) is not claimed.progress_written:
                batch[claimed.id] = (claimed, step)
        if not batch:
            return
        said = list(batch.values())
        try:
            rows = await self._run(
                "progress_jobs",
                ids=literal(str(claimed.id) for claimed, _ in said),
                tokens=literal(str(claimed.token) for claimed, _ in said),
                owners=literal(str(claimed.owner) for claimed, _ in said),
                progresses=[dump_step(step) for _, step in said],
            )
        except psycopg.errors.UntranslatableCharacter:
            self._again(said)
            for claimed, _ in said:
                claimed.progress = plain_step(claimed.progress)
            return
        except (Held, *LOST):
            self._again(said)
            raise
        for row in rows:
            claimed, step = batch[row[0]]
            claimed.progress_written = step

    def _again(self, said: list[tuple[Claimed, Step | None]]) -> None:
        for claimed, _ in said:
            claimed.progress_due = True
            self._due.append(claimed)
        self._changed.set()
