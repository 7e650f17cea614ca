"""Keep the history in order: tomorrow's partitions, what stock workers left behind, what is too old."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException

from workrow import sql
from workrow.database.given import pool_of
from workrow.database.held import ERRORS, run_bounded
from workrow.database.link import Link
from workrow.database.outage import Outage, is_lost
from workrow.database.privileges import refused
from workrow.logs import get_logger

logger = get_logger(__name__)

INTERVAL = timedelta(minutes=5)
AFTER_ERROR = timedelta(seconds=15)
"""How soon to try again what failed, or what somebody's open transaction holds."""
SWEEP = 1000
WORKFLOWS = 100
"""So many that are too old are deleted at a time, with all of their nodes."""


class Historian:
    """Each worker runs one; what it does is done once, whoever comes first.

    Args:
        connector: the app's.
        keep: how long finished jobs are kept; None for ever.
        declare: writes down what could not be at the start, and says whether that is all.
    """

    def __init__(
        self, connector: BaseConnector, keep: timedelta | None, declare: Callable[[], Awaitable[bool]]
    ) -> None:
        self._connector = connector
        self._keep = keep
        self._declare = declare
        self._held = False
        self._refused: set[str] = set()
        self._link: Link | None = None

    async def run(self, link: Link | None = None) -> None:
        """Run until cancelled; a database error is logged and tried again.

        Args:
            link: a connection of its own, which it closes until the next time; None: one of the pool's.
        """
        self._link = link
        outage = Outage("the history's upkeep")
        while True:
            try:
                delay = await self.run_once()
            except (ConnectorException, psycopg.Error) as error:
                delay = AFTER_ERROR
                if is_lost(error):
                    outage.noted(error.__cause__ or error, delay.total_seconds())
                else:
                    logger.warning("the history's upkeep failed; trying again", exc_info=True)
            else:
                outage.over()
            if link is not None:
                await link.close()
            await asyncio.sleep(delay.total_seconds())

    async def run_once(self) -> timedelta:
        """Make partitions, move finished rows out of the live table, drop what is too old; until when next."""
        self._held = not await self._declare()
        await self._call("extend_history")
        while await self._call("sweep_finished", max_rows=SWEEP) >= SWEEP:
            pass
        await self._call("prune_limits", max_rows=SWEEP)
        await self._call("sweep_calls")
        if self._keep is not None:
            dropped = await self._call("prune_history", keep=self._keep)
            if dropped:
                logger.info("dropped %s partitions of the history, older than %s", dropped, self._keep)
            await self._call("prune_steps", keep=self._keep)
            while await self._call("prune_workflows", keep=self._keep, max_rows=WORKFLOWS) >= WORKFLOWS:
                pass
        return AFTER_ERROR if self._held else INTERVAL

    async def _call(self, statement: str, **params: object) -> int:
        try:
            rows = await run_bounded(self._link or await pool_of(self._connector), sql.load(statement), params)
        except ERRORS as error:
            # what is held as a whole does not keep the rest of the upkeep
            logger.info("%s waits: %s", statement, error)
            self._held = True
            return 0
        except psycopg.errors.InsufficientPrivilege as error:
            if statement not in self._refused:
                logger.warning("%s is left to others: %s", statement, refused(error, "worker"))
            self._refused.add(statement)
            return 0
        return int(rows[0][0] or 0) if rows else 0
