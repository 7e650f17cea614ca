"""An orderly stop: let jobs end, make them end, and write down how they did."""

import asyncio
import contextlib
from collections.abc import Sequence

from workrow.database.supervision import unless
from workrow.logs import get_logger
from workrow.worker.finishing.finisher import Finisher
from workrow.worker.lane import Lane
from workrow.worker.running.executor import Stop

logger = get_logger(__name__)

GOODBYE_SECONDS = 5.0
"""What the database may take for the last words."""


async def let_end(lanes: Sequence[Lane], hurry: asyncio.Event, seconds: float | None) -> None:
    """Wait until no job runs; what still does after so many seconds, or when there is a hurry, is interrupted."""
    running = [task for lane in lanes for _, task in lane.running.values()]
    if running:
        logger.info("waiting for %d running jobs", len(running))
        await unless(hurry, asyncio.wait(running, timeout=seconds))
    for lane in lanes:
        for job_id in list(lane.running):
            lane.interrupt(job_id, Stop.SHUTDOWN)
    while any(lane.running for lane in lanes):
        await asyncio.wait([task for lane in lanes for _, task in lane.running.values()], timeout=0.1)


async def write_down(finisher: Finisher, hurry: asyncio.Event, until: float | None) -> None:
    """Wait until every end is written, or until this time of the loop but for a moment at least; in a hurry, for that
    moment. A row may be held by an open transaction, or the database away, for longer than anybody's grace.
    """
    loop = asyncio.get_running_loop()
    soon = asyncio.timeout_at(None if until is None else max(until, loop.time() + GOODBYE_SECONDS))
    with contextlib.suppress(TimeoutError):
        async with soon:
            if not await unless(hurry, finisher.drained()):
                soon.reschedule(loop.time() + GOODBYE_SECONDS)
                await finisher.drained()
    if finisher.backlog:
        logger.error("%d finished jobs were not written; others will run them again", finisher.backlog)
