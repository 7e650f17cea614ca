"""Notice that the server's clock was set back, and mend what waits for times that are further away now than before."""

import asyncio
import json
import math
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from workrow.database import clock
from workrow.declare.crontab import Taken
from workrow.declare.schedule import Schedule
from workrow.logs import get_logger
from workrow.schedules.rows import as_span

logger = get_logger(__name__)

LOOK_SECONDS = 15.0
SMALLEST = 1.0
"""Seconds: less is what NTP does every day, and the time that a statement takes."""


class ClockSteps:
    """Each worker runs one, and all mend the same: what is mended already stays as it is.

    Limits: who waits for a rate asks it again (the rate itself is mended by who claims, see ``claim_limited_v1``).
    Schedules: `earlier`.

    Args:
        run: runs a statement of ``workrow/sql`` and returns its rows.
        wake: called when schedules were moved.
    """

    def __init__(self, run: Callable[..., Awaitable[list[tuple[Any, ...]]]], wake: Callable[[], None]) -> None:
        self._run = run
        self._wake = wake
        # nobody knows what has happened before
        self._ahead = math.inf

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.run_once()
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.0))

    async def run_once(self) -> None:
        """Look how far the server's clock is ahead of ours, which never steps."""
        before = clock.steady()
        ((now,),) = await self._run("database_time")
        most, least = now - before, now - clock.steady()
        behind = self._ahead - most
        if behind > SMALLEST:
            await self._mend(behind)
        self._ahead = least

    async def _mend(self, seconds: float) -> None:
        if seconds < math.inf:
            logger.warning("the database's clock was set back by %.0f s", seconds)
        await self._run("ask_rates_again")
        moves = [
            {"name": name, "last_tick": last_tick.isoformat(), "now": now.isoformat(), "next_due": next_due.isoformat()}
            for name, cron, every, timezone, last_tick, now in await self._run("schedules_ahead")
            if (next_due := earlier(name, cron, every, timezone, last_tick, now))
        ]
        if moves:
            await self._run("set_back_schedules", moves=json.dumps(moves))
            self._wake()


def earlier(
    name: str, cron: str | None, every: float | None, timezone: str | None, last_tick: datetime, now: datetime
) -> datetime | None:
    """When a schedule goes on that has ticked up to ``last_tick``, which the clock shows a second time later on.

    At once, if it would miss several due times until then. If it is one, that one has had its job, and it waits for the
    next: a daily job runs once a day whatever NTP does.

    Returns:
        The next due time; None: it waits.
    """
    try:
        timing = Schedule(cron=cron and Taken(cron), every=as_span(every), timezone=timezone or "UTC").timing
        first = timing.following(now)
        second = first and timing.following(first)
    except Exception as error:  # of this schedule, and no other one
        logger.warning("the schedule %s goes on where the clock was: %s", name, error)
        return None
    return first if second and second <= last_tick else None
