"""Claims jobs that have a lock: one of each lock at a time."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from workrow.database.held import AGAIN_SECONDS, Held
from workrow.database.link import Link, Row
from workrow.database.outage import LOST, told
from workrow.logs import get_logger
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.claiming.survey import SWEEP_SHARE
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed

logger = get_logger(__name__)

LOCKS_A_SCAN = 1000


class Locks:
    """The heads of free locks, which take turns: a scan goes on where the last one ended.

    Args:
        link: where the statement runs.
        lease: who claims.
        queues: which ones; None for all.
        pauses: what is not to be claimed now.

    Attributes:
        are_left: the last claim did not see the end of the locks, or found some.
    """

    def __init__(self, link: Link, lease: Lease, queues: list[str] | None, pauses: Pauses) -> None:
        self.are_left = True
        self._link = link
        self._lease = lease
        self._queues = queues
        self._pauses = pauses
        self._cursor = ""
        self._look_at = 0.0
        self._each_until = 0.0

    def look_again(self) -> None:
        """A lock may be free, or have a job."""
        self._look_at = 0.0

    async def claim(self, limit: int, known: dict[str, Any]) -> list[Claimed]:
        """Claim up to ``limit`` jobs of these tasks and versions: from the cursor to the end of the locks, and once
        more from the start."""
        claimed: list[Claimed] = []
        began = time.monotonic()
        self.are_left = True
        if began < self._look_at:
            return claimed
        while len(claimed) < limit:
            first = self._cursor
            claimed += await self._scan(limit - len(claimed), known)
            if self._cursor or not first:
                break
        if not claimed:
            now = time.monotonic()
            self._look_at = now + (now - began) * SWEEP_SHARE
            # at the end of the locks, until a survey or the end of a job with a lock says otherwise
            self.are_left = bool(self._cursor)
        return claimed

    async def _scan(self, limit: int, known: dict[str, Any]) -> list[Claimed]:
        if time.monotonic() >= self._each_until:
            try:
                return await self._claim(limit, LOCKS_A_SCAN, self._link.run, known)
            except Held:
                self._each_until = time.monotonic() + AGAIN_SECONDS
        return await self._scan_each(limit, known)

    async def _scan_each(self, limit: int, known: dict[str, Any]) -> list[Claimed]:
        """Lock by lock, past those under which a job runs that somebody's open transaction has not committed."""
        claimed: list[Claimed] = []
        for _ in range(LOCKS_A_SCAN):
            try:
                claimed += await self._claim(1, 1, self._link.run_briefly, known)
            except Held:
                rows = await self._link.run("next_lock", after=self._cursor)
                self._cursor = rows[0][0] if rows else ""
            if len(claimed) == limit or not self._cursor:
                break
        return claimed

    async def _claim(
        self, limit: int, keys: int, run: Callable[..., Awaitable[list[Row]]], known: dict[str, Any]
    ) -> list[Claimed]:
        owner = self._lease.worker_id
        try:
            rows = await run(
                "claim_locked_jobs",
                after=self._cursor,
                keys=keys,
                limit=limit,
                queues=self._queues,
                paused=self._pauses.queues,
                worker_id=owner,
                **known,
            )
        except psycopg.errors.UniqueViolation:
            return []  # another worker took one of these locks in the same moment; nothing was claimed
        except (Held, *LOST):
            raise
        except psycopg.Error as error:
            logger.error("jobs with locks cannot be claimed: %s", told(error))
            return []
        self._cursor = rows[0][0] or ""
        return [Claimed(row[1:], owner) for row in rows if row[1] is not None]
