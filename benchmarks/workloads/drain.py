"""Jobs a second of workers on a queue that is full when they start."""

from benchmarks.bench import Bench, task_of
from benchmarks.figures import Row
from benchmarks.peers import Peer
from benchmarks.peers.base import Mode


def run(bench: Bench, mode: Mode = "drain", workers: int = 1) -> None:
    """No-op tasks; ``mode`` "sync" runs them in threads."""

    def measure(peer: Peer, row: Row) -> float:
        row.jobs = bench.size(peer, mode, workers)
        with bench.site(peer) as site:
            site.enqueue(row.jobs, task_of(mode))
            return site.drain(row.jobs, mode, workers)[0]

    bench.each("drain", case(mode, workers), "jobs/s", mode, measure)


def case(mode: Mode, workers: int) -> str:
    """Its name in the results."""
    kind = "sync tasks" if mode == "sync" else "async tasks"
    return f"{kind}, {workers} process{'es' if workers > 1 else ''}"
