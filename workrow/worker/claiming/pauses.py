"""What is paused, as this worker knows it."""

import time
from collections.abc import Iterable, Mapping

from workrow.database.link import Link
from workrow.worker.outcome import Claimed

FRESH_SECONDS = 0.5
"""A claim trusts what was read no longer ago: a pause takes effect within that, and what a claim takes."""


class Pauses:
    """Shared by the claimers of one worker. Their surveys bring it up to date at no cost; else it asks itself.

    Args:
        link: where the statement runs.
        tasks: the worker's tasks: their own names by the names that jobs carry, which may be aliases.

    Attributes:
        queues: the paused ones.
        changes: counts how often something was paused or resumed.
    """

    def __init__(self, link: Link, tasks: Mapping[str, str]) -> None:
        self.queues: list[str] = []
        self.changes = 0
        self._link = link
        self._names = tasks
        self._tasks: frozenset[str] = frozenset()
        self._read_at = 0.0

    def look_again(self) -> None:
        """Something may have been resumed."""
        self._read_at = 0.0

    async def refresh(self) -> None:
        """Read what is paused, if that is some time ago."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            self.note(await self._link.run("read_paused"))

    def note(self, paused: Iterable[tuple[str, str]]) -> None:
        """Remember what was read: kinds and names."""
        self._read_at = time.monotonic()
        found = set(paused)
        queues = sorted(name for kind, name in found if kind == "queue")
        named = frozenset(name for kind, name in found if kind == "task")
        tasks = frozenset(each for each, own in self._names.items() if each in named or own in named)
        if queues != self.queues or tasks != self._tasks:
            self.queues, self._tasks = queues, tasks
            self.changes += 1

    def running(self, tasks: list[str]) -> list[str]:
        """Those of these tasks that are not paused."""
        return [task for task in tasks if task not in self._tasks]

    def cover(self, claimed: Claimed) -> bool:
        """Whether this job is not to be started now."""
        return claimed.queue in self.queues or claimed.task in self._tasks
