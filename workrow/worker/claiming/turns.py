"""In which order the groups of ready jobs are claimed: by priority, and in turns where that is the same."""

import time

from workrow.worker.claiming.survey import Group

REMEMBERED = 10_000
"""Turns of groups that have long been empty are of no use: beyond so many, all begin anew."""


class Turns:
    """Who was served least comes first. Who comes new, or back, starts where the others are: who was idle has saved up
    nothing. The rule is start-time fair queueing (https://en.wikipedia.org/wiki/Fair_queuing), its unit a job.

    Args:
        ageing: seconds of waiting that count as one level of priority; None: waiting counts nothing.
    """

    def __init__(self, ageing: float | None = None) -> None:
        self._ageing = ageing
        self._served: dict[tuple[str, int], int] = {}
        self._reached: dict[int, int] = {}

    def first(self, groups: list[Group]) -> list[Group]:
        """Those of the highest priority, who was served least first."""
        now = time.monotonic()
        levels = [self._level(group, now) for group in groups]
        highest = max(levels)
        peers = [group for group, level in zip(groups, levels, strict=True) if level == highest]
        peers.sort(key=lambda group: self._turn(group.key))
        self._reached[peers[0].priority] = self._turn(peers[0].key)
        return peers

    def count(self, key: tuple[str, int], jobs: int) -> None:
        """So many jobs of this queue and priority were claimed."""
        if len(self._served) > REMEMBERED or len(self._reached) > REMEMBERED:
            self._served.clear()
            self._reached.clear()
        self._served[key] = self._turn(key) + jobs

    def _level(self, group: Group, now: float) -> int:
        return group.priority + (int(max(0.0, now - group.since) / self._ageing) if self._ageing else 0)

    def _turn(self, key: tuple[str, int]) -> int:
        return max(self._served.get(key, 0), self._reached.get(key[1], 0))
