"""Give the jobs of dead workers back to the queue."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

logger = logging.getLogger(__name__)

MAX_ROWS = 1000
LOOKS = 4
"""Looks in the time of one lease: a job is back at the latest after a lease and a quarter, if another worker lives."""


class Rescuer:
    """Each worker runs one; the database gives each orphan to one of them.

    Args:
        run: runs a statement of ``workrow/sql`` and returns its rows.
        lease: seconds.
        max_crashes: so many crashes put a job into quarantine.
        steady_for: for how many seconds this worker's own heartbeats have all arrived. Whoever comes back first after
            an outage must not take those for dead who have not come back yet.
    """

    def __init__(
        self,
        run: Callable[..., Awaitable[list[tuple[Any, ...]]]],
        lease: float,
        max_crashes: int,
        steady_for: Callable[[], float],
    ) -> None:
        self._run = run
        self._lease = lease
        self._max_crashes = max_crashes
        self._steady_for = steady_for

    async def run(self) -> None:
        """Rescue until cancelled."""
        while True:
            pause = await self.run_once()
            # jitter, so that the workers of one deploy do not all look in the same moment
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))

    async def run_once(self) -> float:
        """Rescue what is to be rescued; the seconds until the next look."""
        pause = self._lease / LOOKS
        wait = self._lease - self._steady_for()
        if wait > 0:
            return max(wait, pause / 2)
        rescued = MAX_ROWS
        while rescued >= MAX_ROWS:
            rows = await self._run("rescue_jobs", max_crashes=self._max_crashes, max_rows=MAX_ROWS)
            rescued = len(rows)
            for job_id, task, _queue, worker, verdict in rows:
                log = logger.error if verdict not in ("queued", "superseded", "aborted") else logger.warning
                log("%s[%s]: rescued from %s: %s", task, job_id, worker, verdict)
            if rescued and all(row[4].startswith("refused") for row in rows):
                break
        return pause
