"""Which fault comes when: shuffled bags, so that each kind has its turn, and several at a time."""

import heapq
import itertools
import time

from tests.chaos.faults import BOUNCE, FAILOVER, FAULTS, LONG_OUTAGE, Fault, Heal
from tests.chaos.world import World

GAP_SECONDS = (0.3, 2.0)
CALM_EVERY, CALM_SECONDS = 90.0, 40.0
"""Of so many seconds the last ones have faults of workers only: the others see whether schedules tick all the time."""
LONG_RUN_SECONDS = 290.0


class Schedule:
    """Injects faults and heals them.

    Args:
        world: what they hit.
        seconds: how long.
    """

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._seconds = seconds
        self._faults = [
            *FAULTS,
            *([FAILOVER, FAILOVER] if world.cluster.standby else []),
            *([BOUNCE, BOUNCE] if world.bouncer else []),
        ]
        self._bag: list[Fault] = []
        self._heals: list[tuple[float, int, str, Heal]] = []
        self._numbers = itertools.count()
        self._began = self._next = time.monotonic()
        self._long_outage_at = self._began + world.random.uniform(0.2, 0.6) * seconds
        self._had_long_outage = seconds < LONG_RUN_SECONDS

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._began > self._seconds

    def step(self) -> None:
        """Heal what is due, and inject the next fault if it is time."""
        now = time.monotonic()
        self._heal(now)
        if now < self._next:
            return
        self._next = now + self._world.random.uniform(*GAP_SECONDS)
        fault = self._choose(now)
        if fault is None:
            return
        result = fault.inject(self._world)
        if result is None:
            self._bag.append(fault)  # another time
            return
        seconds, heal = result
        self._world.injected[fault.name] += 1
        heapq.heappush(self._heals, (time.monotonic() + seconds, next(self._numbers), fault.group, heal))

    def finish(self) -> None:
        """Heal everything."""
        self._heal(float("inf"))

    def _heal(self, until: float) -> None:
        while self._heals and self._heals[0][0] <= until:
            heapq.heappop(self._heals)[3]()

    def _choose(self, now: float) -> Fault | None:
        busy = {group for _, _, group, _ in self._heals}
        elapsed = now - self._began
        if not self._had_long_outage and now > self._long_outage_at and "server" not in busy:
            self._had_long_outage = True
            return LONG_OUTAGE
        calm = self._seconds > CALM_EVERY and elapsed % CALM_EVERY > CALM_EVERY - CALM_SECONDS
        if not self._bag:
            self._bag = self._faults.copy()
            self._world.random.shuffle(self._bag)
        allowed = {"worker", "other"} if calm else {"worker", "server", "network", "other"}
        # the "other" ones need a server that answers
        reachable = not any(group == "server" for group in busy)
        for index, fault in enumerate(self._bag):
            if fault.group in busy or fault.group not in allowed:
                continue
            if fault.group == "other" and not reachable:
                continue
            return self._bag.pop(index)
        # only those are left that have to wait: a few more of the others
        self._bag += [fault for fault in self._faults if fault not in self._bag]
        self._world.random.shuffle(self._bag)
        return None
