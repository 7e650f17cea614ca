"""A drain beside what is stored but cannot run: is it as fast as on a small table?"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from benchmarks.bench import Bench, Site
from benchmarks.errors import NotRun
from benchmarks.figures import Row, quarter_rates
from benchmarks.peers import Peer
from benchmarks.peers.base import Case
from benchmarks.programs.marks import STEP

CASES: dict[Case, int] = {
    "finished": 1_000_000,
    "scheduled": 500_000,
    "backlog": 500_000,
    "locks": 200_000,
    "other queue": 200_000,
}
SMALL = "small"
SNAPSHOT = "snapshot held"
SNAPSHOT_SMALL = "the same, no snapshot"
LAST_QUARTER = "snapshot held, last quarter / first"
HELD = 300_000


def run(bench: Bench) -> None:
    """The small case and every other one are run in turn."""
    for case in (SMALL, *CASES):

        def measure(peer: Peer, row: Row, case: str = case) -> float:
            row.jobs = bench.size(peer, "drain")
            with bench.site(peer) as site:
                after = seed(bench, site, case)
                if case != "backlog":
                    site.enqueue(row.jobs)
                stored = int(CASES["backlog"] * bench.scale) + 1 if case == "backlog" else None
                return site.drain(min(row.jobs, stored or row.jobs), after=after, stored=stored)[0]

        bench.each("growth", case, "jobs/s", "drain", measure)
    snapshots(bench)


def seed(bench: Bench, site: Site, case: str) -> int:
    """Fill the tables for a case; the highest id that the measured jobs are above."""
    if case == SMALL:
        return 0
    statements = {str(name): value for name, value in site.peer.seeds.items()}.get(case)
    if statements is None:
        raise NotRun(f"no such case for {site.peer.name}")
    rows = {str(name): value for name, value in CASES.items()}[case]
    # the tables know their tasks only after a job
    site.enqueue(1)
    # triggers and foreign keys would make it take minutes, and are not what is measured
    site.connection.execute("SET session_replication_role = replica")
    for statement in statements:
        site.connection.execute(statement, {"rows": int(rows * bench.scale)} if "%(rows)s" in statement else None)
    site.connection.execute("SET session_replication_role = origin")
    site.connection.execute("VACUUM (ANALYZE)")
    return 0 if case == "backlog" else site.peer.highest_id(site.connection)


def snapshots(bench: Bench) -> None:
    """The drain of 300,000 jobs, alone and while another session holds a snapshot open."""
    last: dict[str, list[float]] = {}
    for case in (SNAPSHOT_SMALL, SNAPSHOT):

        def measure(peer: Peer, row: Row, case: str = case) -> float:
            row.jobs = min(int(HELD * bench.scale), 8 * bench.size(peer, "drain"))
            with bench.site(peer) as site:
                site.enqueue(row.jobs)
                with held(bench, site) if case == SNAPSHOT else nullcontext():
                    rate, times = site.drain(row.jobs)
            if case == SNAPSHOT:
                first, final = quarter_rates(times, STEP)
                last.setdefault(peer.name, []).append(final / first)
            return rate

        bench.each("growth", case, "jobs/s", "drain", measure)
    for peer, values in last.items():
        bench.results.row("growth", LAST_QUARTER, peer, "x").values = values


@contextmanager
def held(bench: Bench, site: Site) -> Iterator[None]:
    """A transaction that somebody left open: nothing that dies meanwhile can be cleaned away."""
    if not site.peer.uses_postgres:
        raise NotRun("it has no snapshots")
    with bench.server.connect(site.connection.info.dbname) as other:
        other.autocommit = False
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1 FROM pg_class LIMIT 1")
        yield
        other.rollback()
