"""Bytes of WAL a job, pruning of finished jobs, and the start of a worker on a large table."""

import time

from benchmarks import processes
from benchmarks.bench import Bench
from benchmarks.errors import NotRun
from benchmarks.figures import Row
from benchmarks.peers import OURS, Peer

WAL = "enqueue to finished"
PRUNE = "1,000,000 finished jobs"
START = "10 dead workers, 1,000,000 jobs"
LSN = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
PARTITION = """
DO $$
DECLARE
    today timestamp = date_trunc('day', now() AT TIME ZONE 'UTC');
BEGIN
    -- what holds the days before the installation is long gone in a database that has run for 40 days
    DROP TABLE IF EXISTS workrow.history_past;
    FOR day IN 31..40 LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS workrow.history_%s PARTITION OF workrow.history FOR VALUES FROM (%L) TO (%L)',
            to_char(today - day * interval '1 day', 'YYYYMMDD'),
            (today - day * interval '1 day') AT TIME ZONE 'UTC',
            (today - (day - 1) * interval '1 day') AT TIME ZONE 'UTC'
        );
    END LOOP;
END
$$
"""
OLD = """
INSERT INTO workrow.history
    (id, queue_name, task_name, priority, args, status, attempts, created_at, started_at, finished_at)
SELECT
    n, 'bench', 'noop', 0, '{}', 'succeeded', 1, at, at, at
FROM generate_series(1, %(rows)s) AS n,
    LATERAL (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
        - (31 + n %% 10) * interval '1 day' + interval '12 hours') AS times (at)
"""
DEAD = (
    "INSERT INTO procrastinate_workers (last_heartbeat) SELECT now() - interval '1 hour' FROM generate_series(1, 10)",
    """INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, status, worker_id)
       SELECT 'bench', 'noop', 0, '{}', 'doing', worker.id
       FROM procrastinate_workers AS worker, generate_series(1, 100)""",
)


def wal(bench: Bench) -> None:
    """1,000 a call, then a worker."""

    def measure(peer: Peer, row: Row) -> float:
        if not peer.uses_postgres:
            raise NotRun("it writes no WAL")
        row.jobs = min(50_000, bench.size(peer, "drain"))
        with bench.site(peer) as site, processes.new_marks() as marks:
            before = _number(site.connection.execute(LSN).fetchone())
            argv = peer.command("many", str(row.jobs), "1000")
            processes.clients(argv, {**peer.env(site.url), **marks.env})
            site.drain(row.jobs)
            return (_number(site.connection.execute(LSN).fetchone()) - before) / row.jobs

    bench.each("wal", WAL, "bytes/job", "drain", measure)


def prune(bench: Bench) -> None:
    """Finished jobs of ten days, the oldest first to go: `workrow.prune_history_v1`."""
    peers = bench.peers
    bench.peers = [peer for peer in peers if peer.name == OURS]

    def measure(peer: Peer, row: Row) -> float:
        row.jobs = int(1_000_000 * bench.scale)
        with bench.site(peer) as site:
            site.connection.execute(PARTITION)
            site.connection.execute(OLD, {"rows": row.jobs})
            site.connection.execute("ANALYZE")
            begun = time.perf_counter()
            pruned = site.connection.execute("SELECT workrow.prune_history_v1(interval '30 days')").fetchone()
            seconds = time.perf_counter() - begun
            left = _number(site.connection.execute("SELECT count(*) FROM workrow.history").fetchone())
            if left:
                raise NotRun(f"{left:,.0f} rows were left, it said {pruned and pruned[0]}")
        return seconds

    try:
        bench.each("prune", PRUNE, "s", None, measure)
    finally:
        bench.peers = peers


def start(bench: Bench) -> None:
    """From the start of the process to the first task's first line."""

    def measure(peer: Peer, row: Row) -> float:
        if "locks" not in peer.seeds:
            raise NotRun("its dead workers are not in a table of procrastinate's")
        row.jobs = int(1_000_000 * bench.scale)
        with bench.site(peer) as site, processes.new_marks() as marks:
            site.connection.execute("SET session_replication_role = replica")
            for statement in peer.seeds["backlog"]:
                site.connection.execute(statement, {"rows": row.jobs})
            for statement in DEAD:
                site.connection.execute(statement)
            site.connection.execute("VACUUM (ANALYZE)")
            begun = time.time()
            with processes.running(peer.worker("drain"), {**peer.env(site.url), **marks.env}) as started:
                processes.wait_until(marks.times, "the first task", started, 120)
                return marks.times()[0] - begun

    bench.each("start", START, "s", "drain", measure)


def _number(row: tuple[object, ...] | None) -> float:
    return float(str(row[0])) if row else 0.0
