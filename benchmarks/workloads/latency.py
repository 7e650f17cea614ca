"""Milliseconds from the call that enqueues to the task's first line: an idle worker, 20 jobs a second."""

from benchmarks import processes
from benchmarks.bench import Bench
from benchmarks.figures import Row, percentile
from benchmarks.peers import Peer

RATE = 20
WARM_UP = 20
JOBS = 300


def run(bench: Bench) -> None:
    """Everybody's pings of all runs together are one sample: percentiles of at least 200 jobs."""
    each = JOBS if bench.seconds >= 5 else max(70, 210 // bench.runs)
    samples: dict[str, list[float]] = {}

    def measure(peer: Peer, row: Row) -> float:
        with bench.site(peer) as site, processes.new_marks() as marks:
            env = {**peer.env(site.url), **marks.env}
            with processes.running(peer.worker("latency"), env) as started:
                processes.clients(peer.command("ping", str(WARM_UP), str(RATE)), env)
                processes.wait_until(lambda: len(marks.pings()) >= WARM_UP, "the first pings", started, 60)
                processes.clients(peer.command("ping", str(each), str(RATE)), env)
                processes.wait_until(lambda: len(marks.pings()) >= WARM_UP + each, "the pings", started, 60)
            pings = marks.pings()[WARM_UP:]
        samples.setdefault(peer.name, []).extend(pings)
        row.jobs = len(samples[peer.name])
        return percentile(pings, 50)

    bench.each("latency", "p50", "ms", "latency", measure)
    for peer in bench.peers:
        p50 = bench.results.row("latency", "p50", peer.name, "ms")
        p99 = bench.results.row("latency", "p99", peer.name, "ms")
        p99.settings, p99.reason, p99.jobs = p50.settings, p50.reason, p50.jobs
        if peer.name in samples and p50.reason is None:
            p50.values = [percentile(samples[peer.name], 50)]
            p99.values = [percentile(samples[peer.name], 99)]
