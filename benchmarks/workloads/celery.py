"""The Celery door beside Celery on Redis, and beside the engine below it: drains of no-op tasks, and enqueueing."""

from benchmarks import processes
from benchmarks.bench import Bench, task_of
from benchmarks.figures import Row
from benchmarks.peers import Peer
from benchmarks.peers.base import Mode

CASES: dict[Mode, str] = {
    "prefork": "sync tasks in processes",
    "sync": "sync tasks in threads",
    "kept": "sync tasks in threads, results kept",
    "drain": "async tasks",
}
SINGLE, MANY = "enqueue one by one", "enqueue 1,000 together"


def run(bench: Bench) -> None:
    """All cases: each is a figure of one worker."""
    for mode, case in CASES.items():

        def measure(peer: Peer, row: Row, mode: Mode = mode) -> float:
            row.jobs = bench.size(peer, mode)
            with bench.site(peer) as site:
                site.enqueue(row.jobs, task_of(mode))
                return site.drain(row.jobs, mode)[0]

        bench.each("celery", case, "jobs/s", mode, measure)
    for case, command, count, batch in ((SINGLE, "single", 2_000, 1), (MANY, "many", 20_000, 1_000)):

        def enqueue(peer: Peer, row: Row, command: str = command, count: int = count, batch: int = batch) -> float:
            row.jobs, row.settings = count, peer.bulk if command == "many" else ""
            with bench.site(peer) as site, processes.new_marks() as marks:
                argv = peer.command(command, str(count), str(batch), "noop_sync")
                seconds, _ = processes.clients(argv, {**peer.env(site.url), **marks.env})
            return count / seconds

        bench.each("celery", case, "jobs/s", None, enqueue)
