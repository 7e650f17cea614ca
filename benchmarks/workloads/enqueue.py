"""Jobs a second into the table: one by one, 1,000 a call, the bulk way, and from 8 clients while a worker runs."""

from benchmarks import processes
from benchmarks.bench import Bench
from benchmarks.figures import Row
from benchmarks.peers import OURS, RAW, Peer

SINGLE = "one by one"
MANY = "1,000 a call"
BULK = "bulk, 100,000 a call"
CLIENTS = "8 clients, a busy worker"
SILENT = "8 clients, a busy worker, no NOTIFY"
IDLE = "8 clients, a worker with nothing else to do"
IDLE_SILENT = "8 clients, a worker with nothing else to do, no NOTIFY"
# the triggers of a session in this role do not run; libpq reads it
NO_TRIGGERS = {"PGOPTIONS": "-c session_replication_role=replica"}


def run(bench: Bench) -> None:
    """All cases."""
    quick = bench.seconds < 5
    for case, mode, count, batch in (
        (SINGLE, "single", 1_000 if quick else 3_000, 1),
        (MANY, "many", 20_000 if quick else 50_000, 1_000),
        (BULK, "bulk", 100_000 if quick else 300_000, 100_000),
    ):

        def measure(peer: Peer, row: Row, mode: str = mode, count: int = count, batch: int = batch) -> float:
            row.settings = peer.bulk if mode == "bulk" else ""
            # what has no bulk way of its own is not worth minutes
            row.jobs = count if peer.name != "celery" or mode == "single" else count // 10
            with bench.site(peer) as site, processes.new_marks() as marks:
                argv = peer.command(mode, str(row.jobs), str(batch))
                seconds, _ = processes.clients(argv, {**peer.env(site.url), **marks.env})
            return row.jobs / seconds

        bench.each("enqueue", case, "jobs/s", None, measure)
    crowd(bench, 300 if quick else 1_000)


def crowd(bench: Bench, each: int) -> None:
    """Eight client processes insert one by one.

    Twice: beside a worker with a backlog, and beside one that has only what they insert. Without NOTIFY the second one
    sleeps and leaves its core to the clients, so that its ratio is about the worker's work as well.
    """
    for case, extra, busy in (
        (CLIENTS, {}, True),
        (SILENT, NO_TRIGGERS, True),
        (IDLE, {}, False),
        (IDLE_SILENT, NO_TRIGGERS, False),
    ):

        def measure(peer: Peer, row: Row, extra: dict[str, str] = extra, busy: bool = busy) -> float:
            row.jobs = 8 * each
            backlog = 3 * bench.size(peer, "drain") if busy else 1  # it opens a site of its own: before ours
            with bench.site(peer) as site, processes.new_marks() as marks:
                env = {**peer.env(site.url), **marks.env}
                site.enqueue(backlog)
                with processes.running(peer.worker("drain"), env) as started:
                    processes.wait_until(marks.times, "the first task", started, 30)
                    argv = peer.command("single", str(each), "1")
                    seconds, _ = processes.clients(argv, {**env, **extra}, 8)
            return row.jobs / seconds

        peers = bench.peers
        others = not extra and bench.seconds >= 5
        bench.peers = [peer for peer in peers if peer.name == OURS or (others and peer.name != RAW)]
        try:
            bench.each("enqueue", case, "jobs/s", None, measure)
        finally:
            bench.peers = peers
