"""One run: the server, the peers, the results so far."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from benchmarks import processes
from benchmarks.errors import BenchmarkError, NotRun
from benchmarks.figures import Results, Row
from benchmarks.peers import Peer
from benchmarks.peers.base import Mode
from benchmarks.programs.marks import STEP
from benchmarks.server import Server

PRELOAD = 10_000
CALIBRATE = (2_000, 20_000)


@dataclass(slots=True)
class Site:
    """A peer, its schema in an empty database of its own, and a connection to look at it."""

    peer: Peer
    url: str
    connection: psycopg.Connection

    def enqueue(self, count: int, task: str = "noop") -> None:
        """Put jobs there before the clock runs, the peer's fastest way."""
        with processes.new_marks() as marks:
            argv = self.peer.command("bulk", str(count), str(PRELOAD), task)
            processes.clients(argv, {**self.peer.env(self.url), **marks.env})

    def drain(
        self, jobs: int, mode: Mode = "drain", workers: int = 1, *, after: int = 0, stored: int | None = None
    ) -> tuple[float, list[float]]:
        """Start workers on jobs above the id ``after`` that wait already; wait until ``jobs`` of them have ended.

        Args:
            jobs: how many to wait for.
            mode: what the workers run with.
            workers: how many processes.
            after: the id above which the jobs are.
            stored: how many there are; None: ``jobs``.

        Returns:
            Jobs a second, from the first task's start to the last end committed; and the times of the marks.
        """
        total = stored or jobs
        finished = 0

        def ended() -> bool:
            nonlocal finished
            finished = self.peer.count_finished(self.connection, after, total)
            return finished >= jobs

        if self.peer.uses_postgres:
            self.connection.execute("ANALYZE")
            self.connection.execute("CHECKPOINT")
        with processes.new_marks() as marks:
            env = {**self.peer.env(self.url), **marks.env}
            with processes.running(self.peer.worker(mode), env, workers) as started:
                # while tasks run nobody asks the database
                lines = max(1, jobs // STEP - 2 * workers)
                processes.wait_until(lambda: len(marks.times()) >= lines, "the tasks", started)
                processes.wait_until(ended, "the finishes", started)
                now = time.time()
            times = marks.times()
        return finished / (now - times[0]), times


@dataclass(slots=True)
class Bench:
    """What the workloads share.

    Attributes:
        runs: how often each case is run; the median counts.
        seconds: how long a drain should take, about.
        jobs: how many jobs a drain has at most.
        scale: of the large tables of ``growth``, ``prune`` and ``start``; 1 is what the goals say.
        say: takes a line about what is going on.
    """

    server: Server
    peers: list[Peer]
    results: Results
    runs: int
    seconds: float
    jobs: int
    scale: float = 1.0
    say: Callable[[str], None] = print
    absent: dict[str, str] = field(default_factory=dict)
    rates: dict[tuple[str, str, int], float] = field(default_factory=dict)

    @contextmanager
    def site(self, peer: Peer) -> Iterator[Site]:
        """An empty database with the peer's schema."""
        with self.server.database(f"bench_{peer.name.replace('-', '_')}") as name:
            url = self.server.url(name)
            try:
                peer.prepare(url)
                with self.server.connect(name) as connection:
                    yield Site(peer, url, connection)
            finally:
                peer.stop()

    def install(self) -> None:
        """Install everybody; who cannot be is remembered with the reason."""
        for peer in self.peers:
            self.say(f"installing {peer.name} {peer.version}")
            try:
                peer.install()
            except NotRun as reason:
                self.absent[peer.name] = str(reason)

    def each(
        self, workload: str, case: str, unit: str, mode: Mode | None, measure: Callable[[Peer, Row], float]
    ) -> None:
        """Measure every peer ``runs`` times, one after the other in each round, so that all see the same weather."""
        for turn in range(self.runs):
            for peer in self.peers:
                row = self.results.row(workload, case, peer.name, unit)
                if row.reason is not None:
                    continue
                try:
                    if peer.name in self.absent:
                        raise NotRun(self.absent[peer.name])
                    row.settings = peer.require(mode) if mode else ""
                    value = measure(peer, row)
                except (NotRun, BenchmarkError, psycopg.Error) as reason:
                    row.reason = " ".join(str(reason).split())[:300]
                    self.say(f"{workload} {case}: {peer.name}: not run: {row.reason}")
                    continue
                row.values.append(value)
                self.say(f"{workload} {case} {turn + 1}/{self.runs}: {peer.name} {value:,.1f} {unit}")

    def size(self, peer: Peer, mode: Mode, workers: int = 1) -> int:
        """So many jobs that a drain takes about ``seconds``."""
        key = (peer.name, mode, workers)
        if key not in self.rates:
            for jobs in CALIBRATE:
                jobs = min(jobs, self.jobs)
                with self.site(peer) as site:
                    site.enqueue(jobs, task_of(mode))
                    self.rates[key], _ = site.drain(jobs, mode, workers)
                if jobs / self.rates[key] > 0.5:
                    break
        wanted = int(self.rates[key] * self.seconds) // 1000 * 1000
        return min(self.jobs, max(1000, wanted))


def task_of(mode: Mode) -> str:
    """The no-op task of a mode."""
    return {"sync": "noop_sync", "prefork": "noop_process", "kept": "noop_kept"}.get(mode, "noop")
