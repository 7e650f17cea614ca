"""The numbers to reach, and whether they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.figures import Results, ratio, short
from benchmarks.peers import OURS, PEERS, RAW
from benchmarks.peers.base import Mode
from benchmarks.peers.celery import CeleryAtItsBest
from benchmarks.peers.door import Door
from benchmarks.workloads import application, celery, drain, enqueue, features, growth, idle, upkeep, workflows

Verdict = Literal["reached", "not reached", "not measured"]
STOCK, PGQUEUER, GRAPHILE = "procrastinate", ("pgqueuer", "pgqueuer-defaults"), "graphile-worker"
ASYNC, SYNC = drain.case("drain", 1), drain.case("sync", 1)
TWO = drain.case("drain", 2)
ELSEWHERE = tuple(name for name, peer in PEERS.items() if not peer.uses_postgres)


@dataclass(frozen=True, slots=True)
class Goal:
    """One line: ``figure`` reads the results; it has to be at least, or at most, ``limit``.

    ``sized``: it is about large tables, so that a run with smaller ones decides nothing.
    ``rivals``: the workload and case whose peers it is about; a run without some of them says how many it had.
    """

    what: str
    figure: Callable[[Results], float | None]
    limit: float
    sense: Literal["≥", "≤", "<"] = "≥"
    unit: str = "x"
    sized: bool = False
    rivals: tuple[str, str] | None = None

    @property
    def goal(self) -> str:
        """As a person writes it."""
        return f"{self.sense} {self.limit:,g} {self.unit}"

    def verdict(self, results: Results) -> tuple[str, Verdict]:
        """The figure and what it means."""
        value = self.figure(results)
        if value is None:
            return "-", "not measured"
        figure = f"{short(value)} {self.unit}"
        if self.rivals:
            met = len(results.of_peers(*self.rivals, without=(OURS, RAW)))
            figure += f", {met} of {len(PEERS) - 2} peers"
        if self.sized and results.scale < 1:
            return f"{figure}, at {results.scale:g} of the size", "not measured"
        reached = {"≥": value >= self.limit, "≤": value <= self.limit, "<": value < self.limit}[self.sense]
        return figure, "reached" if reached else "not reached"


def ours(workload: str, case: str) -> Callable[[Results], float | None]:
    """Our figure."""
    return lambda results: results.value(workload, case, OURS)


def against(workload: str, case: str, *peers: str) -> Callable[[Results], float | None]:
    """Our figure over that of the best of these peers (of all but raw SQL, if none is named)."""

    def figure(results: Results) -> float | None:
        others = results.of_peers(workload, case, without=(OURS,) if peers else (OURS, RAW))
        values = [value for peer, value in others.items() if not peers or peer in peers]
        return ratio(results.value(workload, case, OURS), max(values, default=None))

    return figure


def quickest(case: str, *without: str) -> Callable[[Results], float | None]:
    """Our latency over that of the quickest peer."""

    def figure(results: Results) -> float | None:
        others = results.of_peers("latency", case, without=(OURS, *without))
        return ratio(results.value("latency", case, OURS), min(others.values(), default=None))

    return figure


def between(workload: str, case: str, base: str) -> Callable[[Results], float | None]:
    """Our figure of one case over our figure of another."""
    return lambda results: ratio(results.value(workload, case, OURS), results.value(workload, base, OURS))


def against_celery(case: str) -> Callable[[Results], float | None]:
    """The door's figure over Celery's best."""
    return lambda results: ratio(
        results.value("celery", case, Door.name), results.value("celery", case, CeleryAtItsBest.name)
    )


def door(mode: Mode) -> Callable[[Results], float | None]:
    """`against_celery`, of a drain."""
    return against_celery(celery.CASES[mode])


def over_engine(mode: Mode) -> Callable[[Results], float | None]:
    """The door's drain over that of plain jobs."""
    case = celery.CASES[mode]
    return lambda results: ratio(results.value("celery", case, Door.name), results.value("celery", case, OURS))


GOALS = (
    Goal("drain, async, 1 process / raw SQL", against("drain", ASYNC, RAW), 0.6),
    Goal("drain, async, 1 process / pgqueuer's best", against("drain", ASYNC, *PGQUEUER), 2),
    Goal("drain, async, 1 process / procrastinate", against("drain", ASYNC, STOCK), 50),
    Goal("drain, async, 1 process / graphile-worker (aim)", against("drain", ASYNC, GRAPHILE), 1),
    Goal("drain, async, 2 processes / 1 process", between("drain", TWO, ASYNC), 1.3),
    Goal("drain, sync, 1 process", ours("drain", SYNC), 5_000, unit="jobs/s"),
    Goal("drain, sync, 1 process / procrastinate", against("drain", SYNC, STOCK), 8),
    Goal("enqueue one by one / raw insert", against("enqueue", enqueue.SINGLE, RAW), 0.6),
    Goal(
        "enqueue one by one / the best peer", against("enqueue", enqueue.SINGLE), 1, rivals=("enqueue", enqueue.SINGLE)
    ),
    Goal("enqueue 1,000 a call / raw unnest", against("enqueue", enqueue.MANY, RAW), 0.5),
    Goal("enqueue bulk / raw COPY", against("enqueue", enqueue.BULK, RAW), 0.5),
    Goal(
        "enqueue from 8 clients, busy worker / without NOTIFY", between("enqueue", enqueue.CLIENTS, enqueue.SILENT), 0.8
    ),
    Goal(
        "enqueue from 8 clients, idle worker / without NOTIFY",
        between("enqueue", enqueue.IDLE, enqueue.IDLE_SILENT),
        0.8,
    ),
    Goal("latency p50 / the quickest peer", quickest("p50"), 1, "<", rivals=("latency", "p50")),
    Goal("latency p99 / the quickest peer", quickest("p99"), 1, "<", rivals=("latency", "p99")),
    Goal("latency p50 / the quickest on PostgreSQL", quickest("p50", *ELSEWHERE), 1, "<", rivals=("latency", "p50")),
    Goal("latency p99 / the quickest on PostgreSQL", quickest("p99", *ELSEWHERE), 1, "<", rivals=("latency", "p99")),
    Goal("latency p50 (aim)", ours("latency", "p50"), 3, "≤", "ms"),
    Goal("latency p99 (aim)", ours("latency", "p99"), 8, "≤", "ms"),
    Goal("drain, 1,000,000 finished / small", between("growth", "finished", growth.SMALL), 0.9, sized=True),
    Goal("drain, 500,000 scheduled / small", between("growth", "scheduled", growth.SMALL), 0.9, sized=True),
    Goal("drain, backlog of 500,000 / small", between("growth", "backlog", growth.SMALL), 0.9, sized=True),
    Goal("drain, 200,000 behind 1,000 locks / small", between("growth", "locks", growth.SMALL), 0.9, sized=True),
    Goal("drain, 200,000 of another queue / small", between("growth", "other queue", growth.SMALL), 0.9, sized=True),
    Goal("drain, snapshot held / without", between("growth", growth.SNAPSHOT, growth.SNAPSHOT_SMALL), 0.8, sized=True),
    Goal("drain, snapshot held, last quarter / first", ours("growth", growth.LAST_QUARTER), 0.8, sized=True),
    Goal("drain, Limit(2, key) over 1,000 keys / plain", between("features", features.LIMITED, features.PLAIN), 0.3),
    Goal("enqueue, unique / plain", between("features", features.ENQUEUE_UNIQUE, features.ENQUEUE_PLAIN), 0.5),
    Goal("a chord of 10,000, enqueue to body / plain", between("workflows", workflows.CHORD, workflows.PLAIN), 0.5),
    Goal("a child of 50,000 / of 1,000", between("workflows", workflows.MANY, workflows.FEW), 1.2, "≤"),
    Goal(
        "enqueue a chain of 1,000 / 1,000 plain",
        between("workflows", workflows.ENQUEUE_CHAIN, workflows.ENQUEUE_PLAIN),
        2,
        "≤",
    ),
    Goal("a step of a chain / of a relay of jobs", between("workflows", workflows.STEP, workflows.RELAY), 1.5, "≤"),
    Goal("Rate(100/s), 2,000 jobs, at least", ours("features", features.RATE), 19, unit="s"),
    Goal("Rate(100/s), 2,000 jobs, at most", ours("features", features.RATE), 21, "≤", "s"),
    Goal("Rate(100/s), most in a second", ours("features", features.RATE_WINDOW), 100, "≤", "jobs"),
    Goal("WAL a job, enqueue to history", ours("wal", upkeep.WAL), 1_200, "≤", "bytes"),
    Goal("prune 1,000,000 finished jobs", ours("prune", upkeep.PRUNE), 1, "<", "s", sized=True),
    Goal("worker start, 10 dead workers, 1,000,000 jobs", ours("start", upkeep.START), 1, "<", "s", sized=True),
    Goal(
        "import of 100,000 leads / raw COPY and INSERT (aim)",
        against("application", application.IMPORT, RAW),
        0.5,
        sized=True,
    ),
    Goal("chats, post to place / INSERTs that commit (aim)", against("application", application.CHATS, RAW), 0.5),
    Goal("webhooks, publish to delivered / httpx alone (aim)", against("application", application.WEBHOOKS, RAW), 0.5),
    Goal("Celery door, drain in processes / Celery's", door("prefork"), 2),
    Goal("Celery door, drain in threads / Celery's", door("sync"), 5),
    Goal("Celery door, drain in threads, results kept / Celery's", door("kept"), 5),
    Goal("Celery door, drain of async tasks / Celery's of sync ones", door("drain"), 5),
    Goal("Celery door, enqueue one by one / Celery's", against_celery(celery.SINGLE), 1),
    Goal("Celery door, drain in processes / plain jobs", over_engine("prefork"), 0.85),
    Goal("Celery door, drain in threads / plain jobs", over_engine("sync"), 0.85),
    Goal("Celery door, drain of async tasks / plain jobs", over_engine("drain"), 0.85),
    Goal("idle worker", ours("idle", idle.STATEMENTS), 1, "≤", "statements/s"),
    Goal("memory growth over 200,000 jobs", ours("idle", idle.MEMORY), 20, "≤", "MB", sized=True),
)
