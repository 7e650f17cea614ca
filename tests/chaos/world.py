"""Everything that a fault can hit, and the log of what happened."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.chaos.app import LEASE_SECONDS
from tests.chaos.bouncer import Bouncer
from tests.chaos.cluster import RECOVERY_SECONDS, Cluster
from tests.chaos.facts import Disturbance
from tests.chaos.fleet import Fleet
from tests.chaos.proxy import Proxy

SAMPLE_SECONDS = 0.1
ONE_LOCK = """SELECT lock, array_agg(id), array_agg(worker_id) FROM procrastinate_jobs
              WHERE status = 'doing' AND lock IS NOT NULL GROUP BY lock HAVING count(*) > 1"""
"""Jobs of one lock."""


class World:
    """The server, the way to it, and who uses it.

    Args:
        seed: for what is chosen.
        cluster: the server, started.
        proxy: the network; door `n` is worker `n`'s, the last one the producers'.
        bouncer: the pooler behind the proxy, if there is one.
        log: the file of what happened.
    """

    lease = LEASE_SECONDS

    def __init__(self, seed: int, cluster: Cluster, proxy: Proxy, bouncer: Bouncer | None, log: Path) -> None:
        self.random = random.Random(seed)
        self.cluster = cluster
        self.proxy = proxy
        self.bouncer = bouncer
        self.fleet: Fleet
        self.disturbances: list[Disturbance] = []
        self.injected: Counter[str] = Counter()
        self.troubles: set[str] = set()
        """What keeps the database out of reach at the moment."""
        self.troubled_at = 0.0
        self.spared: int | None = None
        """The worker that no fault of single workers may hit at the moment."""
        self.aborts = 0
        """How often the server has crashed by itself."""
        self._crashed_at: float | None = None
        self.next_step = 0.0
        """When the server's clock may step again."""
        self._log = log.open("a", buffering=1)
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Write down what happens, with the time."""
        now = time.time()
        stamp = time.strftime("%H:%M:%S", time.localtime(now))
        self._log.write(f"{stamp}.{int(now % 1 * 1000):03d} {time.monotonic() - self._began:7.1f}s {text}\n")

    def away(self) -> bool:
        """Whether the database is, or was a moment ago, out of reach of anybody."""
        return bool(self.troubles) or time.monotonic() - self.troubled_at < 3

    def look(self) -> None:
        """Note it if the server has crashed by itself: until it has recovered it is out of reach, as after its other
        crashes."""
        if self.cluster.look():
            self.aborts += 1
            self._crashed_at = self._crashed_at or time.time() - RECOVERY_SECONDS
            self.say("the server has crashed by itself, see its log")
        if self._crashed_at is not None:
            self.troubled_at = time.monotonic()
            with contextlib.suppress(psycopg.OperationalError), self.connect():
                self.note(None, self._crashed_at)
                self._crashed_at = None

    def note(self, worker: int | None, began: float) -> None:
        """A disturbance of a worker, or of all, has ended."""
        self.disturbances.append(Disturbance(worker, began, time.time()))

    def retarget(self) -> None:
        """The server is at another port: the workers' way leads there now."""
        if self.bouncer:
            self.bouncer.retarget(self.cluster.primary.port)
        else:
            self.proxy.retarget(self.cluster.primary.port)

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for it, while the fleet is kept running; whether it came."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.look()
            self.fleet.poll()
            time.sleep(0.2)
        return True

    def connect(self) -> psycopg.Connection:
        """A connection to the server that none of the faults of the network touches."""
        return psycopg.connect(self.cluster.url, autocommit=True, connect_timeout=5, application_name="chaos")


class Sampler(threading.Thread):
    """Looks, ten times a second, at jobs that must not run together.

    Args:
        world: what is looked at.
        query: gives what they have in common, their ids and their workers.
    """

    def __init__(self, world: World, query: str) -> None:
        super().__init__(name="sampler", daemon=True)
        self._world = world
        self._query = query.encode()
        self._stopped = threading.Event()
        self.samples = 0
        self.together: list[str] = []

    def run(self) -> None:
        connection: psycopg.Connection | None = None
        while not self._stopped.wait(SAMPLE_SECONDS):
            try:
                if connection is None:
                    connection = self._world.connect()
                for lock, jobs, workers in connection.execute(self._query).fetchall():
                    text = f"jobs {jobs} of the workers {workers} ran together under {lock}"
                    if text not in self.together:
                        self.together.append(text)
                        self._world.say(f"VIOLATION {text}")
                self.samples += 1
            except psycopg.Error:
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self.join(10)
