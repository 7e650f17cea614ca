"""What a job pays for being a part of a workflow, beside plain ones of the same run."""

import time
from collections.abc import Callable

import psycopg

import workrow
from benchmarks import tasks
from benchmarks.bench import Bench, Site
from benchmarks.figures import Row
from benchmarks.peers import OURS, Peer

PLAIN = "plain: enqueue_many of 10,000, and their drain"
CHORD = "chord of 10,000: enqueue, its drain and the body"
COST = "cost of a child in a chord of {:,}"
FEW, MANY = COST.format(1_000), COST.format(50_000)
ENQUEUE_PLAIN, ENQUEUE_CHAIN = "enqueue_many of 1,000", "enqueue of a chain of 1,000"
STEP = "a step of a chain of 1,000"
RELAY = "a step of 1,000 jobs that enqueue the next one"
CHILDREN, STEPS = 10_000, 1_000


def run(bench: Bench) -> None:
    """Chords beside plain drains, large beside small ones, chains beside many plain jobs."""
    bench.peers = [peer for peer in bench.peers if peer.name == OURS]
    _each(bench, PLAIN, "jobs/s", lambda site: _rate(site, CHILDREN, _many(CHILDREN)))
    _each(bench, CHORD, "jobs/s", lambda site: _rate(site, CHILDREN + 1, _chord(CHILDREN)))
    for case, children in ((FEW, 1_000), (MANY, 50_000)):

        def cost(site: Site, children: int = children) -> float:
            return 1e6 / _rate(site, children + 1, _chord(children))

        _each(bench, case, "us", cost)
    _each(bench, ENQUEUE_PLAIN, "ms", lambda site: 1000 * _timed(site, _many(STEPS)))
    _each(bench, ENQUEUE_CHAIN, "ms", lambda site: 1000 * _timed(site, _chain(STEPS)))
    _each(bench, STEP, "ms", lambda site: _step(site, _chain(STEPS)))
    _each(bench, RELAY, "ms", lambda site: _step(site, lambda connection: tasks.relay.enqueue(connection, STEPS - 1)))


Put = Callable[[psycopg.Connection], object]


def _each(bench: Bench, case: str, unit: str, measure: Callable[[Site], float]) -> None:
    def one(peer: Peer, row: Row) -> float:
        row.jobs = CHILDREN
        with bench.site(peer) as site:
            return measure(site)

    bench.each("workflows", case, unit, "drain", one)


def _many(count: int) -> Put:
    return lambda connection: tasks.keyed.enqueue_many(connection, [{"tenant": n} for n in range(count)])


def _chord(count: int) -> Put:
    header = [tasks.keyed.s(n) for n in range(count)]
    return workrow.chord(header, tasks.noop.si()).enqueue


def _chain(count: int) -> Put:
    return workrow.chain(tasks.keyed.si(n) for n in range(count)).enqueue


def _timed(site: Site, put: Put) -> float:
    with psycopg.connect(site.url) as connection:
        began = time.perf_counter()
        put(connection)
        connection.commit()
        return time.perf_counter() - began


def _rate(site: Site, jobs: int, put: Put) -> float:
    """Jobs a second: from the call that enqueues to the last end committed, without the start of a worker."""
    seconds = _timed(site, put)
    return jobs / (seconds + jobs / site.drain(jobs)[0])


def _step(site: Site, put: Put) -> float:
    """Milliseconds from the start of one step to that of the next, the median."""
    _timed(site, put)
    site.drain(STEPS)
    row = site.connection.execute(
        """SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY step) FROM (
               SELECT extract(EPOCH FROM started_at - lag(started_at) OVER (ORDER BY id)) * 1000 AS step
               FROM workrow.history
           ) AS steps"""
    ).fetchone()
    assert row is not None
    return float(row[0])
