"""Give the jobs of dead workers back to the queue."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from workrow.logs import get_logger

logger = get_logger(__name__)

MAX_ROWS = 1000
LOOKS = 4
"""Looks in the time of one lease: a job is back at the latest after a lease and a quarter, if another worker lives."""
SOONEST = 0.01
"""Seconds between two looks at least."""

Key = tuple[str, int]
"""What is watched: a worker, or a job that nobody holds, and its id."""


class Rescuer:
    """Each worker runs one; the database gives each orphan to one of them.

    A worker is dead if it has not beaten for its lease while this one watched. No clock is asked for the time: a step
    of the server's would make everybody look dead, or keep the dead alive.

    Args:
        run: runs a statement of ``workrow/sql`` and returns its rows.
        lease: seconds.
        max_crashes: so many crashes put a job into quarantine.
        steady_for: tells the seconds for which all of this worker's own heartbeats have arrived. Whoever comes back
            first after an outage must not take those for dead who have not come back yet.
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
        self._silent: dict[Key, tuple[float, float]] = {}
        """The last sign of each, and for how many seconds it has been the same."""
        self._looked_at = -math.inf

    async def run(self) -> None:
        """Rescue until cancelled."""
        while True:
            pause = await self.run_once()
            await asyncio.sleep(pause)

    async def run_once(self) -> float:
        """Look, and rescue what is to be rescued; the seconds until the next look."""
        dead, nearest = await self._look()
        wait = self._lease - self._steady_for()
        if wait > 0:
            nearest = min(nearest, wait)
        else:
            await self._rescue(dead)
        # jitter, so that the workers of one deploy do not all look in the same moment
        return min(self._pause * random.uniform(0.8, 1.0), max(SOONEST, nearest))

    @property
    def _pause(self) -> float:
        return self._lease / LOOKS

    async def _look(self) -> tuple[list[tuple[Key, float]], float]:
        """Who is dead by now, with the last sign of each; and in how many seconds the next one may be."""
        # who was stopped itself (SIGSTOP, a machine that sleeps) has watched nobody meanwhile
        passed = min(time.monotonic() - self._looked_at, self._pause)
        rows = await self._run("watch_holders", max_rows=MAX_ROWS)
        self._looked_at = time.monotonic()
        before, self._silent = self._silent, {}
        dead, nearest = [], math.inf
        for kind, id_, sign, lease in rows:
            known, silent = before.get((kind, id_), (None, 0.0))
            silent = silent + passed if known == sign else 0.0
            self._silent[kind, id_] = sign, silent
            if silent >= lease or sign == -math.inf:  # its supervisor has told that it is dead
                dead.append(((kind, id_), sign))
            else:
                nearest = min(nearest, lease - silent)
        return dead, nearest

    async def _rescue(self, dead: list[tuple[Key, float]]) -> None:
        workers = [(id_, sign) for (kind, id_), sign in dead if kind == "worker"]
        jobs = [(id_, sign) for (kind, id_), sign in dead if kind == "job"]
        rescued = MAX_ROWS
        while rescued >= MAX_ROWS:
            rows = await self._run(
                "rescue_jobs",
                workers=[id_ for id_, _ in workers],
                beats=[beat for _, beat in workers],
                jobs=[id_ for id_, _ in jobs],
                starts=[start for _, start in jobs],
                max_crashes=self._max_crashes,
                max_rows=MAX_ROWS,
            )
            rescued = len(rows)
            for job_id, task, _queue, worker, verdict in rows:
                if verdict == "held":
                    logger.info("%s[%s]: its rescue waits: an open transaction holds its key", task, job_id)
                    continue
                log = logger.error if verdict not in ("queued", "superseded", "aborted") else logger.warning
                log("%s[%s]: rescued from %s: %s", task, job_id, worker, verdict)
            if rescued and all(row[4].startswith(("refused", "held")) for row in rows):
                break
