"""What a job pays for limits and unique keys, beside plain ones of the same run with the same arguments; and whether a
rate keeps its time."""

import statistics

from benchmarks import processes
from benchmarks.bench import Bench, Site
from benchmarks.figures import Row
from benchmarks.peers import OURS, Peer

PLAIN, LIMITED = "plain", "Limit(2, key=…), 1,000 keys"
ENQUEUE_PLAIN, ENQUEUE_UNIQUE = "enqueue 1,000 a call", "enqueue 1,000 unique ones a call"
RATE = 'Rate("100/s"), 2,000 jobs, four workers'
RATE_WINDOW = "the most starts in a second of that"
JOBS = 200_000
UNIQUE = 100_000
RATED, WORKERS = 2_000, 4


def run(bench: Bench) -> None:
    """Drains with and without a limit, enqueues with and without a unique key, one rate."""
    bench.peers = [peer for peer in bench.peers if peer.name == OURS]
    for case, task in ((PLAIN, "keyed"), (LIMITED, "limited")):

        def measure(peer: Peer, row: Row, task: str = task) -> float:
            row.jobs = int(JOBS * bench.scale)
            with bench.site(peer) as site:
                site.enqueue(row.jobs, task)
                return site.drain(row.jobs)[0]

        bench.each("features", case, "jobs/s", "drain", measure)
    for case, task in ((ENQUEUE_PLAIN, "keyed"), (ENQUEUE_UNIQUE, "unique")):

        def enqueue(peer: Peer, row: Row, task: str = task) -> float:
            row.jobs = int(UNIQUE * bench.scale)
            with bench.site(peer) as site, processes.new_marks() as marks:
                argv = peer.command("many", str(row.jobs), "1000", task)
                return row.jobs / processes.clients(argv, {**peer.env(site.url), **marks.env})[0]

        bench.each("features", case, "jobs/s", None, enqueue)
    windows: list[int] = []

    def rate(peer: Peer, row: Row) -> float:
        row.jobs = RATED
        with bench.site(peer) as site:
            site.enqueue(RATED, "rated")
            starts = _starts(site, peer)
        windows.append(max(sum(start <= each < start + 1 for each in starts) for start in starts))
        return starts[-1] - starts[0]

    bench.each("features", RATE, "s", "drain", rate)
    if windows:
        row = bench.results.row("features", RATE_WINDOW, OURS, "jobs")
        row.values.append(float(statistics.median(windows)))


def _starts(site: Site, peer: Peer) -> list[float]:
    """Run the rated jobs on four workers; when each started, by the database's clock."""
    with processes.new_marks() as marks:
        env = {**peer.env(site.url), **marks.env}
        with processes.running(peer.worker("drain"), env, WORKERS) as started:
            processes.wait_until(
                lambda: peer.count_finished(site.connection, 0, RATED) >= RATED, "the rated jobs", started
            )
    rows = site.connection.execute(
        "SELECT CAST(extract(EPOCH FROM started_at) AS double precision) FROM workrow.history ORDER BY started_at"
    )
    return [row[0] for row in rows]
