"""The real worker, taken one step at a time."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from workrow.database import clock
from workrow.maintenance.expirer import Expirer
from workrow.maintenance.rescuer import MAX_ROWS
from workrow.worker import Worker
from workrow.worker.lane import Lane
from workrow.worker.outcome import Outcome

ASKED_FOR = {"scheduler", "clock_steps", "rescuer", "expirer", "upkeep", "periodic", "rate", "listener"}
"""The loops of a worker that do not run beside the steps: nothing happens that the test has not asked for."""

SHORTEST = timedelta(milliseconds=10)


class Steps(Worker):
    """A worker that claims, executes and finishes when it is told to; see `step`."""

    async def begin(self) -> None:
        """Take a lease.

        Raises:
            ConfigurationError: the app lacks what one of its tasks needs.
        """
        self._executor.check()
        self._outcomes: list[Outcome] = []
        self._lanes_of: dict[tuple[str, ...] | None, Lane] = {}
        self._finish, self._finisher.add = self._finisher.add, self._note  # type: ignore[method-assign]
        await self._lease.register()
        self.worker_id = self._lease.worker_id
        self._sides = [asyncio.create_task(loop, name=name) for name, loop in self._side_loops().items()]
        self._expirer = Expirer(self._chores.run)
        await self._scheduler.start()

    async def end(self) -> None:
        """Give the lease back."""
        await self._shut_down(self._sides)

    async def settle(self) -> None:
        """A heartbeat, for the clock may have been moved; then rescue the jobs of workers that are dead by now,
        and end those that have expired."""
        if await self._chores.run("update_heartbeat", **self._lease.sign_of_life):
            self._lease._beaten_at = clock.steady()
        else:  # somebody has emptied the table
            await self._lease.register()
            self.worker_id = self._lease.worker_id
        await self._chores.run("rescue_jobs_at_once", max_crashes=self._max_crashes, max_rows=MAX_ROWS)
        await self._expirer.run_once()

    async def tick(self) -> None:
        """Enqueue what the schedules have due."""
        await self._scheduler.run_once()

    async def step(self, queues: tuple[str, ...] | None, room: int, most: int) -> list[Outcome]:
        """Claim up to ``room`` jobs that can run now, run them to their ends, and write those down.

        Their batches are filled as far as there are jobs, up to ``most`` in all.
        """
        lane = self._lane_of(queues)
        self._outcomes.clear()
        self._pauses.look_again()
        lane.claimer.look_again()
        left = most - await lane._claim(room)
        while (more := min(lane.gathering.lacking, left)) > 0 and (got := await lane._claim(more)):
            left -= got
        while lane.running or lane.waiting or lane.gathering.jobs:
            lane._changed.clear()
            lane._start()
            lane.gathering.hurry()
            lane._start()
            await lane._changed.wait()
        await self._finisher.drained()
        return list(self._outcomes)

    def limited_until(self) -> timedelta | None:
        """How long until a rate admits the next job, as of the last `step`; None: no job waits for that."""
        waits = [lane.claimer._lines.due_in for lane in self._lanes]
        # what passed since that step was real time
        return min(
            (max(SHORTEST, timedelta(seconds=round(each, 2))) for each in waits if each is not None), default=None
        )

    def _side_loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        loops = super()._side_loops()
        for name in loops.keys() & ASKED_FOR:
            loops.pop(name).close()
        return loops

    def _lane_of(self, queues: tuple[str, ...] | None) -> Lane:
        if queues not in self._lanes_of:
            self._lanes_of[queues] = self._lane(list(queues) if queues else None, self.concurrency)
            self._lanes[:] = list(self._lanes_of.values())
        return self._lanes_of[queues]

    def _note(self, outcome: Outcome) -> None:
        if outcome.claimed.started_at:
            self._outcomes.append(outcome)
        self._finish(outcome)
