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
CHATS = "messages of 8 chats, from post to place"
POSTED = "messages of 8 chats, acknowledged"
WEBHOOKS = "webhooks, 10 at the same time"
ROWS = 100_000
MESSAGES = 400
"""In each chat."""
DELIVERIES = 3_000
SENDER = {"WORKROW_WEBHOOK_ALLOW_HTTP": "true", "WORKROW_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
WORKER = ["--log-level", "warning", "--app=app.app", "worker"]


def run(bench: Bench) -> None:
    """Each of the application's parts."""
    bench.peers = [peer for peer in bench.peers if peer.name in (OURS, RAW)]
    leads(bench)
    chats(bench)
    webhooks(bench)


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


def chats(bench: Bench) -> None:
    """Messages from the call that posts them to their place; raw: an INSERT and a commit for each of the same rows."""
    messages = int(MESSAGES * bench.scale)

    def measure(peer: Peer, row: Row) -> float:
        row.jobs = 8 * messages
        if peer.name == RAW:
            row.settings = "INSERT INTO messages, a transaction each, 8 connections of one process"
            with application(bench) as env:
                posting = in_our_python("benchmarks.programs.chats", "raw", "8", str(messages))
                return row.jobs / processes.clients(posting, env)[0]
        row.settings = "one process that posts, a worker of 8 slots"
        with application(bench) as env, worker(env, "chats", 8):
            posting = in_our_python("benchmarks.programs.chats", "ours", "8", str(messages))
            seconds, (report,) = processes.clients(posting, env)
        posted = bench.results.row("application", POSTED, OURS, "messages/s")
        posted.values.append(row.jobs / (report["posted"] - report["begun"]))
        return row.jobs / seconds

    bench.each("application", CHATS, "messages/s", None, measure)


def webhooks(bench: Bench) -> None:
    """Events from their publication to the last delivery; raw: the same POSTs by httpx, as many at the same time."""
    count = int(DELIVERIES * bench.scale)

    def measure(peer: Peer, row: Row) -> float:
        row.jobs = count
        with processes.running(in_our_python("benchmarks.programs.webhooks", "receive"), {}, reports=True) as (hook,):
            url = hook.line()
            if peer.name == RAW:
                row.settings = "httpx.AsyncClient, which keeps its connections; nothing is written down"
                posting = in_our_python("benchmarks.programs.webhooks", "raw", url, str(count), "10")
                return count / processes.clients(posting, SENDER)[0]
            row.settings = "two subscriptions, 5 requests at the same time to each; a worker of 10 slots"
            with application(bench) as env, worker(env | SENDER, "webhooks", 10):
                publishing = in_our_python("benchmarks.programs.webhooks", "ours", url, str(count), "2")
                return count / processes.clients(publishing, env | SENDER)[0]

    bench.each("application", WEBHOOKS, "webhooks/s", None, measure)


@contextmanager
def application(bench: Bench) -> Iterator[dict[str, str]]:
    """A migrated database, as the environment of who works with it."""
    with bench.server.database("bench_application") as name:
        env = {"DATABASE_URL": bench.server.url(name), "WORKROW_SECRET_KEY": "a key of the benchmark's own"}
        processes.call(in_our_python("alembic", "upgrade", "head"), env)
        yield env


@contextmanager
def worker(env: dict[str, str], queue: str, slots: int = 1) -> Iterator[None]:
    """A worker of one queue."""
    program = beside(Path(sys.executable), "procrastinate")
    with processes.running([program, *WORKER, "--queues", queue, "--concurrency", str(slots)], env):
        yield
