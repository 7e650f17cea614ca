"""All lanes of one worker."""

import asyncio
from functools import partial
from typing import Any

from workrow.database.outage import Outage
from workrow.database.supervision import supervise
from workrow.logs import get_logger
from workrow.worker.lane import Lane
from workrow.worker.living.stopping import GOODBYE_SECONDS
from workrow.worker.outcome import Claimed

logger = get_logger(__name__)

RATE_SECONDS = 10.0


class Lanes(list[Lane]):
    """The lanes, and what concerns all of them; filled when the worker has its lease."""

    def busy(self) -> bool:
        """Whether jobs wait here for a slot."""
        return any(lane.waiting for lane in self)

    def known(self) -> set[int]:
        """The ids of all jobs that are claimed and have not ended."""
        return set().union(*(lane.known for lane in self))

    def unlock(self, ended: list[Claimed]) -> None:
        """Jobs with a lock, with limits, or of a workflow have ended: look for the next ones behind them."""
        held = any(claimed.limited or claimed.lock is not None for claimed in ended)
        followed = any(claimed.workflow is not None for claimed in ended)
        for lane in self:
            if held:
                lane.claimer.unlock()
            if followed and not lane.waiting:  # who has jobs to start looks when it has started them
                lane.claimer.look_again()
            lane.ring()

    def give_back_limited(self) -> None:
        """A limit is held back for a time: what was claimed ahead under it must not start."""
        for lane in self:
            lane.give_back_limited()

    def aside(self) -> list[tuple[str, str, int | None]]:
        """The names of queues that could not be noted, for `workrow.maintenance.aside.Aside`."""
        return [("queue", name, None) for lane in self for name in lane.claimer.names_held]

    def drop(self) -> None:
        """The lease is lost: everything here belongs to others."""
        for lane in self:
            lane.drop()

    def stop(self) -> None:
        """Claim and start no more."""
        for lane in self:
            lane.stop()

    async def run(self, stop: asyncio.Event, outage: Outage | None, *, forever: bool) -> None:
        """Run jobs until ``stop`` is set; unless ``forever``, until none is left."""
        lanes = [
            asyncio.create_task(supervise("lane", partial(lane.run, forever=forever), endless=False, outage=outage))
            for lane in self
        ]
        stopped: asyncio.Future[Any] = asyncio.create_task(stop.wait())
        all_over: asyncio.Future[Any] = asyncio.gather(*lanes)
        await asyncio.wait({all_over, stopped}, return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        if not all_over.done():
            # a lane may wait for a database that is away; what a claim took meanwhile is found again by the rescuers
            await asyncio.wait({all_over}, timeout=GOODBYE_SECONDS)
        for task in (stopped, *lanes):
            task.cancel()
        await asyncio.gather(all_over, return_exceptions=True)

    async def log_rate(self) -> None:
        """Log how many jobs end, every 10 s in which some did; until cancelled."""
        before = 0
        while True:
            await asyncio.sleep(RATE_SECONDS)
            ended = sum(lane.ended for lane in self)
            if ended > before:
                logger.info("%d jobs in %.0f s, %.0f/s", ended - before, RATE_SECONDS, (ended - before) / RATE_SECONDS)
            before = ended
