"""Claims jobs that wait in lines for their limits."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from workrow.database.link import Link
from workrow.declare.limits import Rule
from workrow.tasks import Task, known_versions
from workrow.worker.claiming.pauses import Pauses
from workrow.worker.lease import Lease
from workrow.worker.outcome import Claimed

LOOK_SECONDS = 0.1
"""How long a busy worker leaves a job unseen that has come into an empty line."""
RETRY_SECONDS = 0.02
"""After a claim that got nothing though a line was ready: another worker holds it just now."""
KEYS_A_CLAIM = 500
CALL_SECONDS = 0.05
"""How long slots that are free again may wait while claims find enough without them: a call looks at all that are held,
and one before each claim made a drain slower by a seventh."""


class Lines:
    """The limited jobs of one worker's queues. Which of them may run is decided in ``workrow.claim_limited_v1``.

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
        self._rules = list(rules)
        self._declared = False
        self._look_at = self._call_at = 0.0
        self._hungry = True
        self._due_at: float | None = None

    def look_again(self) -> None:
        """Something may have come, or freed a slot."""
        self._look_at = 0.0

    @property
    def due_in(self) -> float | None:
        """Seconds until a rate admits the next job, or a job is due, as far as known; None: nothing waits for time."""
        return None if self._due_at is None else max(0.0, self._due_at - time.monotonic())

    async def claim(self, limit: int, pauses: Pauses) -> list[Claimed]:
        """Claim up to ``limit`` jobs that their limits admit now, and that are not paused."""
        if limit < 1 or time.monotonic() < self._look_at:
            return []
        if not self._declared:
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
            await self._link.run("call_lines")
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
        self._due_at = None if look_in is None else now + look_in
        if claimed and look_in == 0:
            self._look_at = now
        else:
            self._look_at = now + (LOOK_SECONDS if look_in is None else min(LOOK_SECONDS, max(look_in, RETRY_SECONDS)))
        return claimed

    async def _declare(self) -> None:
        rules = self._rules
        await self._link.run(
            "declare_limits",
            names=[rule.name for rule in rules],
            max_running=[rule.max_running for rule in rules],
            rate_count=[rule.rate_count for rule in rules],
            rate_seconds=[rule.rate_seconds for rule in rules],
            rate_burst=[rule.rate_burst for rule in rules],
        )
        self._declared = True


def lines_of(tasks: Mapping[str, Any], link: Link, lease: Lease, queues: list[str] | None) -> Lines | None:
    """The lines of these tasks, by their names and aliases; None if none of them has limits."""
    found = {id(task): task for task in tasks.values() if isinstance(task, Task) and task.line}
    rules = {rule.name: rule for task in found.values() if task.line for rule in task.line.rules}
    if not rules:
        return None
    limited = {name: task for name, task in tasks.items() if id(task) in found}
    return Lines(link, lease, queues, sorted(limited), known_versions(limited), rules.values())
