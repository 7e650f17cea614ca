"""Keep a loop going, whatever ends it."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from workrow.database.held import Held
from workrow.database.outage import Outage, is_lost, told
from workrow.database.privileges import refused
from workrow.logs import get_logger

logger = get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a loop that failed starts again: half to all of a doubling span. One that ran for longer than the
longest starts from the first."""


async def supervise(
    name: str, loop: Callable[[], Awaitable[None]], *, endless: bool = True, outage: Outage | None = None
) -> None:
    """Run a loop; report what ends it unexpectedly, and start it again.

    Args:
        name: for the reports.
        loop: runs until cancelled.
        endless: False lets it return when it is done.
        outage: of the connection that it uses: while it lasts, that has been reported.
    """
    span = FIRST_PAUSE
    while True:
        began = time.monotonic()
        try:
            await loop()
            if not endless:
                return
            logger.error("%s ended by itself; starting it again", name)
        except Held as error:
            logger.info("%s waits: %s", name, told(error))
            span = FIRST_PAUSE
        except Exception as error:
            if missing := refused(error, "worker"):
                logger.error("%s: %s", name, missing)
            elif is_lost(error):
                level = logging.DEBUG if outage is not None and outage.lasting else logging.WARNING
                logger.log(level, "%s: the database is away (%s)", name, told(error.__cause__ or error))
            else:
                logger.exception("%s failed; starting it again", name)
        span = FIRST_PAUSE if time.monotonic() - began > LONGEST_PAUSE else min(LONGEST_PAUSE, span * 2)
        await asyncio.sleep(random.uniform(span / 2, span))


async def unless(event: asyncio.Event, waiting: Coroutine[Any, Any, Any]) -> bool:
    """Await until done, or until the event; whether it was done."""
    work, interrupted = asyncio.ensure_future(waiting), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({work, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        done = work.done()
        interrupted.cancel()
        work.cancel()
        await asyncio.gather(work, interrupted, return_exceptions=True)
    if done:
        work.result()
    return done
