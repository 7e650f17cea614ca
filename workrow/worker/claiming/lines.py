"""Claims jobs that wait in lines for their limits."""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import psycopg

from workrow.database.held import AGAIN_SECONDS, Held
from workrow.database.link import Link, Row
from workrow.declare.limits import Rule
from workrow.maintenance.known import known_versions
from workrow.tasks import Task
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed

LOOK_SECONDS = 0.1
"""How long a busy worker leaves a job unseen that has come into an empty line."""
RETRY_SECONDS = 0.02
"""After a claim that got nothing though a line was ready: another worker holds it just now."""
LEFT_OVER_SECONDS = 5.0
"""How often a worker whose tasks declare no limits looks for jobs of limits that were taken out of the code."""
LEFT_OVER_MEMORY = 60.0
"""Having found such a job, how long it looks for the next as if the limits were declared."""
KEYS_A_CLAIM = 500
CALL_SECONDS = 0.05
"""How long slots that are free again may wait while claims find enough without them: a call looks at all that are held,
and one before each claim made a drain slower by a seventh."""


class Lines:
    """The limited jobs of one worker's queues. Which of them may run is decided in ``workrow.claim_limited_v1``.

    A job waits under the limits that its task had when it was enqueued, whatever its task declares now.

    Args:
        link: where the statements run.
        lease: who claims.
        queues: which ones; None for all.
        tasks: the names of the tasks that it knows.
        signatures: ``"task:version"`` of the versions that it knows of those that have more than one.
        rules: what these tasks declare.
    """

    def __init__(
        self,
        link: Link,
        lease: Lease,
        queues: list[str] | None,
        tasks: list[str],
        signatures: list[str],
        rules: Iterable[Rule],
    ) -> None:
        self._link = link
        self._lease = lease
        self._queues = queues
        self._tasks = tasks
        self._versions = [(each, each.rpartition(":")[0]) for each in signatures]
        self._undeclared = list(rules)
        self._declare_at = 0.0
        self._wanted_until = math.inf if self._undeclared else 0.0
        self._brief_until = 0.0
        self._empty_looks = 0
        self._look_at = self._call_at = 0.0
        self._hungry = True
        self._due_at: float | None = None

    def look_again(self) -> None:
        """Something may have come, or freed a slot."""
        if time.monotonic() < self._wanted_until:
            self._look_at = 0.0

    @property
    def due_in(self) -> float | None:
        """Seconds until a rate admits the next job, or a job is due, as far as known; None: nothing waits for time."""
        return None if self._due_at is None else max(0.0, self._due_at - time.monotonic())

    async def claim(self, limit: int, pauses: Pauses) -> list[Claimed]:
        """Claim up to ``limit`` jobs that their limits admit now, and that are not paused."""
        if limit < 1 or time.monotonic() < self._look_at:
            return []
        if self._undeclared and time.monotonic() >= self._declare_at:
            await self._declare()
        limit = min(limit, KEYS_A_CLAIM)
        called = self._hungry or time.monotonic() >= self._call_at
        try:
            claimed = await self._claim(limit, pauses, call=called)
            if not claimed and not called:
                claimed = await self._claim(limit, pauses, call=True)
        except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
            # another worker took a lock of one of these jobs in the same moment; nothing was claimed
            self._look_at = time.monotonic() + RETRY_SECONDS
            return []
        self._hungry = len(claimed) < limit / 2
        return claimed

    async def _claim(self, limit: int, pauses: Pauses, *, call: bool) -> list[Claimed]:
        if call:
            self._call_at = time.monotonic() + CALL_SECONDS
            await self._call()
        owner = self._lease.worker_id
        tasks = pauses.running(self._tasks)
        versions = [signature for signature, task in self._versions if task in tasks]
        rows = await self._link.run(
            "claim_limited_jobs",
            worker_id=owner,
            tasks=tasks + versions,
            queues=self._queues,
            paused=pauses.queues,
            limit=limit,
        )
        claimed = [Claimed(row[1:], owner, limited=True) for row in rows if row[1] is not None]
        look_in, now = rows[0][0], time.monotonic()
        if claimed:
            self._wanted_until = max(self._wanted_until, now + LEFT_OVER_MEMORY)
        elif now >= self._wanted_until:
            self._look_at = now + LEFT_OVER_SECONDS
            return claimed
        self._due_at = None if look_in is None else now + look_in
        self._empty_looks = 0 if claimed else self._empty_looks + 1
        if claimed and look_in == 0:
            self._look_at = now
        else:
            # who holds a line that is ready may do so for long
            least = min(LOOK_SECONDS, RETRY_SECONDS * self._empty_looks)
            self._look_at = now + (LOOK_SECONDS if look_in is None else min(LOOK_SECONDS, max(look_in, least)))
        return claimed

    async def _call(self) -> None:
        now = time.monotonic()
        brief = now < self._brief_until
        ((is_left,),) = await (self._link.run_briefly if brief else self._link.run)("call_lines")
        if is_left and not brief:
            self._brief_until = now + AGAIN_SECONDS

    async def _declare(self) -> None:
        """Write down what the code says; a limit whose row somebody holds stays as it was until later."""
        try:
            await self._write_down(self._undeclared, self._link.run)
        except Held:
            self._declare_at = time.monotonic() + AGAIN_SECONDS
        else:
            self._undeclared = []
            return
        held = []
        for rule in self._undeclared:
            try:
                await self._write_down([rule], self._link.run_briefly)
            except Held:
                held.append(rule)
        self._undeclared = held

    @staticmethod
    async def _write_down(rules: list[Rule], run: Callable[..., Awaitable[list[Row]]]) -> None:
        await run(
            "declare_limits",
            names=[rule.name for rule in rules],
            max_running=[rule.max_running for rule in rules],
            rate_count=[rule.rate_count for rule in rules],
            rate_seconds=[rule.rate_seconds for rule in rules],
            rate_burst=[rule.rate_burst for rule in rules],
        )


def lines_of(tasks: Mapping[str, Any], link: Link, lease: Lease, queues: list[str] | None) -> Lines:
    """The lines of these tasks, by their names and aliases."""
    lines = [task.line for task in tasks.values() if isinstance(task, Task) and task.line]
    rules = {rule.name: rule for line in lines for rule in line.rules}
    return Lines(link, lease, queues, sorted(tasks), known_versions(tasks), rules.values())
