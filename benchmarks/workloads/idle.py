"""What a worker costs that has nothing to do, and what it costs in memory to have done much."""

import time

import psutil
import psycopg

from benchmarks import processes
from benchmarks.bench import Bench
from benchmarks.errors import NotRun
from benchmarks.figures import Row
from benchmarks.peers import Peer

STATEMENTS = "transactions while idle"
MEMORY = "memory growth over 200,000 jobs"
JOBS = 200_000
SETTLE_SECONDS = 12.0
COMMITS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"


def run(bench: Bench) -> None:
    """Both."""
    window = 30.0 if bench.seconds >= 5 else 10.0
    runs, bench.runs = bench.runs, 1

    def statements(peer: Peer, row: Row) -> float:
        if not peer.uses_postgres:
            raise NotRun("it is no client of PostgreSQL")
        with bench.site(peer) as site, processes.new_marks() as marks, bench.server.connect() as outside:
            name = site.connection.info.dbname
            site.enqueue(1)
            with processes.running(peer.worker("latency"), {**peer.env(site.url), **marks.env}) as started:
                processes.wait_until(marks.times, "the first task", started, 30)
                time.sleep(SETTLE_SECONDS)
                before = _commits(outside, name)
                time.sleep(window)
                return (_commits(outside, name) - before) / window

    def memory(peer: Peer, row: Row) -> float:
        row.jobs = min(int(JOBS * bench.scale), 10 * bench.size(peer, "drain"))
        warm = row.jobs // 10
        with bench.site(peer) as site, processes.new_marks() as marks:
            site.enqueue(warm)
            with processes.running(peer.worker("drain"), {**peer.env(site.url), **marks.env}) as started:
                process = psutil.Process(started[0].pid)
                count = peer.count_finished
                processes.wait_until(lambda: count(site.connection, 0, warm) >= warm, "the warm-up", started)
                before = process.memory_info().rss
                site.enqueue(row.jobs)
                total = warm + row.jobs
                processes.wait_until(lambda: count(site.connection, 0, total) >= total, "the finishes", started)
                time.sleep(1)
                return float(process.memory_info().rss - before) / 1_000_000

    try:
        bench.each("idle", STATEMENTS, "per s", "latency", statements)
        bench.each("idle", MEMORY, "MB", "drain", memory)
    finally:
        bench.runs = runs


def _commits(connection: psycopg.Connection, name: str) -> int:
    row = connection.execute(COMMITS, (name,)).fetchone()
    return int(row[0]) if row else 0
