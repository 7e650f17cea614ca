"""What the application (`jobs/`) reaches, beside what its database does with the same data and nothing else."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import processes
from benchmarks.bench import Bench
from benchmarks.figures import Row
from benchmarks.peers import OURS, RAW, Peer
from benchmarks.peers.base import beside, in_our_python

IMPORT = "import of 100,000 leads"
SCORED = "import of 100,000 leads, and their scores"
ROWS = 100_000
WORKER = ["--log-level", "warning", "--app=app.app", "worker"]


def run(bench: Bench) -> None:
    """Each of the application's parts."""
    bench.peers = [peer for peer in bench.peers if peer.name in (OURS, RAW)]
    leads(bench)


def leads(bench: Bench) -> None:
    """A file of leads from its upload to the end of its import; raw: the same rows by COPY, then INSERT."""
    rows = int(ROWS * bench.scale)
    with tempfile.TemporaryDirectory(prefix="workrow-bench-") as directory:
        file = str(Path(directory) / "leads.csv")
        processes.call(in_our_python("benchmarks.programs.leads", "write", file, str(rows)), {})

        def measure(peer: Peer, row: Row) -> float:
            row.jobs = rows
            if peer.name == RAW:
                row.settings = "COPY into a temporary table, INSERT … SELECT, with the same indexes"
                with application(bench) as env:
                    return rows / processes.clients(in_our_python("benchmarks.programs.leads", "raw", file), env)[0]
            row.settings = "a worker with one slot"
            with application(bench) as env, worker(env, "leads"):
                importing = in_our_python("benchmarks.programs.leads", "import", file)
                seconds, (report,) = processes.clients(importing, env)
            scored = bench.results.row("application", SCORED, OURS, "rows/s")
            scored.values.append(rows / (report["scored"] - report["begun"]))
            return rows / seconds

        bench.each("application", IMPORT, "rows/s", None, measure)


@contextmanager
def application(bench: Bench) -> Iterator[dict[str, str]]:
    """A migrated database, as the environment of who works with it."""
    with bench.server.database("bench_application") as name:
        env = {"DATABASE_URL": bench.server.url(name)}
        processes.call(in_our_python("alembic", "upgrade", "head"), env)
        yield env


@contextmanager
def worker(env: dict[str, str], queue: str) -> Iterator[None]:
    """A worker of one queue, with its default settings."""
    program = beside(Path(sys.executable), "procrastinate")
    with processes.running([program, *WORKER, "--queues", queue], env):
        yield
