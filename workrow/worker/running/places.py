"""Where tasks are run, and held to their limits: on the event loop, in a thread, in a child process."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from procrastinate.job_context import AbortReason

from workrow.declare.execution import RunLimits
from workrow.worker.outcome import Claimed
from workrow.worker.running.children.pool import Processes
from workrow.worker.running.coroutines import run_limited
from workrow.worker.running.threads import Threads

GRACE_SECONDS = 5.0
"""What a coroutine that was cancelled may take to end, before it is left to itself and its slot given to another
job."""


class Places:
    """The places of one worker.

    Args:
        threads: for sync tasks.
        processes: for those that ask for one.
        abort_reason: why the job of this id is to end; None: it is not.
        report_stuck: says that a job does not end, and why it should.
        abandoned: the same of one whose slot is free again.
    """

    def __init__(
        self,
        threads: Threads,
        processes: Processes,
        abort_reason: Callable[[int], AbortReason | None],
        report_stuck: Callable[[Claimed, str], None],
        abandoned: Callable[[Claimed, str], None],
    ) -> None:
        self.threads = threads
        self.processes = processes
        self.abort_reason = abort_reason
        self._report_stuck = report_stuck
        self._abandoned = abandoned

    async def on_loop(self, claimed: Any, work: Coroutine[Any, Any, Any], limits: RunLimits) -> Any:
        """What a coroutine comes to.

        Raises:
            TimeLimitExceeded: it was still running at its hard limit.
            Exception: what it raised.
        """
        if limits.soft is None and limits.hard is None:
            return await work

        def left(_: asyncio.Task[Any]) -> None:
            self._abandoned(claimed, "time_limit")

        return await run_limited(
            work,
            soft_limit=limits.soft,
            time_limit=limits.hard,
            soft_error=limits.error,
            grace=GRACE_SECONDS,
            on_abandoned=left,
        )

    async def in_thread(self, claimed: Any, call: Callable[[], Any], limits: RunLimits) -> Any:
        """The same of a call."""
        if limits.soft is None and limits.hard is None:
            return await self.threads.run(claimed.id, call)
        return await self.threads.run(
            claimed.id,
            call,
            soft_limit=limits.soft,
            time_limit=limits.hard,
            soft_error=limits.error,
            on_stuck=lambda: self._report_stuck(claimed, "time_limit; its slot is free when its thread ends"),
        )

    async def in_process(self, claimed: Claimed, task: Any, arguments: dict[str, Any], hard: float | None) -> Any:
        """What a task's function, which takes no context, returns in a child process; killed after ``hard`` seconds."""
        returned = await self.processes.run(claimed.id, task, None, arguments, time_limit=hard)
        return returned.value
