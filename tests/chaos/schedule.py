"""Which fault comes when: in a random order, but each kind as often as the others, and several at a time."""

import heapq
import itertools
import time
from collections.abc import Callable, Sequence

import psycopg

from tests.chaos import faults
from tests.chaos.faults import Fault, Heal
from tests.chaos.world import World

GAP_SECONDS = (0.3, 2.0)
CALM_EVERY, CALM_SECONDS = 60.0, 30.0
"""Of so many seconds the first ones have faults of single workers only: whatever a stale one still holds is not taken
from it by the next fault of the server, and one that is spared shows whether schedules tick all the time."""
LONG_RUN_SECONDS = 260.0
STEP_SECONDS = 0.05

FAULTS = (
    Fault("worker: kill -9", "worker", faults.kill, single=True),
    Fault("worker: SIGSTOP for two leases", "worker", faults.pause, single=True),
    Fault("worker: SIGTERM (deploy)", "worker", faults.deploy, single=True),
    Fault("worker: clock off by an hour", "worker", faults.wrong_clock, single=True),
    Fault("server: some connections terminated", "server", faults.terminate_some),
    Fault("server: all connections terminated", "server", faults.terminate_all),
    Fault("server: immediate stop, restart", "server", faults.crash),
    Fault("server: outage of seconds", "server", faults.outage),
    Fault("server: too many connections", "server", faults.crowd),
    Fault("network: cut for one worker", "network", faults.cut_one, single=True),
    Fault("network: one worker partitioned", "network", faults.partition, single=True),
    Fault("network: cut for all", "network", faults.cut_all),
    Fault("network: blackhole for all", "network", faults.blackhole_all),
    Fault("network: slow for all", "network", faults.slow_all),
    Fault("other: snapshot held open", "other", faults.snapshot, single=True),
    Fault("other: enqueued, not committed", "other", faults.uncommitted, single=True),
    Fault("other: rows locked", "other", faults.holder, single=True),
)
LONG_OUTAGE = Fault("server: outage of a minute", "server", faults.long_outage)
FAILOVER = Fault("server: failover to the standby", "server", faults.failover)
STEP = Fault("server: clock steps", "server", faults.step_clock)
BOUNCE = Fault("pgbouncer: killed or stopped", "server", faults.bounce)


class Schedule:
    """Injects faults and heals them.

    Args:
        world: what they hit.
        seconds: how long.
        faults: the kinds, beside those of what is not always there.
    """

    def __init__(self, world: World, seconds: float, faults: Sequence[Fault] = FAULTS) -> None:
        self._world = world
        self._seconds = seconds
        self._faults = [
            *faults,
            *([FAILOVER] if world.cluster.standby else []),
            *([BOUNCE] if world.bouncer else []),
            *([STEP] if world.cluster.clock else []),
        ]
        self._heals: list[tuple[float, int, str, Heal]] = []
        self._numbers = itertools.count()
        self._began = self._next = time.monotonic()
        self._long_outage_at = self._began + world.random.uniform(0.2, 0.6) * seconds
        self._had_long_outage = seconds < LONG_RUN_SECONDS

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() - self._began > self._seconds

    def run(self, meanwhile: Callable[[], None]) -> None:
        """Inject until the time is up, then heal all; keep the fleet running, and call this now and then."""
        while not self.over:
            self.step()
            self._world.look()
            self._world.fleet.poll()
            meanwhile()
            time.sleep(STEP_SECONDS)
        self.finish()
        self._world.say("all faults are healed")

    def step(self) -> None:
        """Heal what is due, and inject the next fault if it is time."""
        now = time.monotonic()
        self._heal(now)
        if now < self._next:
            return
        self._next = now + self._world.random.uniform(*GAP_SECONDS)
        for fault in self._candidates(now):
            try:
                result = fault.inject(self._world)
            except psycopg.OperationalError as error:
                # the server recovers from a crash of its own
                self._world.say(f"not injected: {fault.name}: {' '.join(str(error).split())}")
                return
            if result is not None:
                seconds, heal = result
                self._world.injected[fault.name] += 1
                heapq.heappush(self._heals, (time.monotonic() + seconds, next(self._numbers), fault.group, heal))
                return

    def finish(self) -> None:
        """Heal everything; the server's clock shows the latest time for which a job may wait."""
        self._heal(float("inf"))
        if clock := self._world.cluster.clock:
            faults.set_clock(self._world, max(shown.ahead for shown in clock.history()))

    def _heal(self, until: float) -> None:
        while self._heals and self._heals[0][0] <= until:
            heapq.heappop(self._heals)[3]()

    def _candidates(self, now: float) -> list[Fault]:
        """What can be done now, the rarest kind first."""
        busy = {group for _, _, group, _ in self._heals}
        if not self._had_long_outage and now > self._long_outage_at and "server" not in busy:
            self._had_long_outage = True
            return [LONG_OUTAGE]
        allowed = {"worker", "server", "network", "other"} - busy
        if "server" in busy:
            allowed.discard("other")  # they need a server that answers
        candidates = [fault for fault in self._faults if fault.group in allowed]
        period, elapsed = divmod(now - self._began, min(CALM_EVERY, self._seconds))
        calm = elapsed < min(CALM_SECONDS, self._seconds * 0.4)
        self._world.spared = int(period) % self._world.fleet.size if calm else None
        if calm:
            candidates = [fault for fault in candidates if fault.single]
        self._world.random.shuffle(candidates)
        return sorted(candidates, key=lambda fault: self._world.injected[fault.name])
