"""End waiting jobs that nobody will start (too late, or in no line); wake, and tell workflows, what nobody did."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from workrow.logs import get_logger

logger = get_logger(__name__)

MAX_ROWS = 1000
WORKFLOWS = 100
"""So many that have not ended are looked through at a time: all nodes of each."""
PAUSE_SECONDS = 15.0
"""For so long, about, a job that nobody starts any more is still seen to wait. No worker starts it, sweep or not."""
LINES_A_LOOK = 1000
"""So many lines are looked at in each sweep, in turns: 10 ms."""


class Expirer:
    """Each worker runs one; the database gives each stale job to one of them.

    Args:
        run: runs a statement of ``workrow/sql`` and returns its rows.
    """

    def __init__(self, run: Callable[..., Awaitable[list[tuple[Any, ...]]]]) -> None:
        self._run = run
        self._after_line = ""
        self._after_workflow = 0

    async def run(self) -> None:
        """Sweep until cancelled; not at once: a worker that has just started ends what it meets itself."""
        pause = PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))
            pause = await self.run_once()

    async def run_once(self) -> float:
        """End what is stale, and look through some of the workflows; the seconds until the next look."""
        ended = MAX_ROWS
        while ended >= MAX_ROWS:
            ((ended,),) = await self._run("sweep_expired", max_rows=MAX_ROWS)
            if ended:
                logger.warning("%d jobs expired before anybody started them", ended)
        ((ended, self._after_line),) = await self._run(
            "end_odd_lines", after=self._after_line, lines=LINES_A_LOOK, max_rows=MAX_ROWS
        )
        if ended:
            logger.error('%d jobs were quarantined: their column "line" holds a text that is no line', ended)
        await self._run("wake_missed")
        ((self._after_workflow,),) = await self._run("sweep_workflows", after=self._after_workflow, max_rows=WORKFLOWS)
        return PAUSE_SECONDS
