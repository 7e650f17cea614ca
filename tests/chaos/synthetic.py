"""The traffic of the suite's own: producers, and tasks of every sort (`app`)."""

import argparse
import time
from pathlib import Path

import psycopg

from tests.chaos import programs, report
from tests.chaos.app import TICK
from tests.chaos.cluster import url_of
from tests.chaos.crew import Crew
from tests.chaos.facts import Facts, Shown
from tests.chaos.fleet import Fleet
from tests.chaos.judge import judge
from tests.chaos.report import Verdict
from tests.chaos.runs import runs_in
from tests.chaos.schedule import Schedule
from tests.chaos.world import ONE_LOCK, Sampler, World
from workrow import schema

WORKERS = 3
DOORS = WORKERS + 1
"""One for each worker, and that of the producers."""
CONCURRENCY = 8
DRAIN_SECONDS = 45.0
"""For the jobs that are left; in a run of more than two minutes a third of its time."""
SETTLED = """SELECT
    (SELECT count(*) FROM procrastinate_jobs
     WHERE task_name <> 'chaos.tick' OR created_at < now() - interval '10 s')
    + (SELECT count(*) FROM workrow.workflows WHERE ended_at IS NULL),
    (SELECT count(*) FROM procrastinate_workers)"""
SAMPLE = f"""{ONE_LOCK}
             UNION ALL
             SELECT line, array_agg(id), array_agg(worker_id) FROM procrastinate_jobs
             WHERE status = 'doing' AND line IS NOT NULL GROUP BY line HAVING count(*) > 2"""


def prepare(url: str) -> None:
    """The tables."""
    schema.upgrade(url)
    with psycopg.connect(url) as connection:
        connection.execute(Path(__file__).with_name("tables.sql").read_bytes())


def play(world: World, logs: Path, options: argparse.Namespace, seconds: float) -> Verdict:
    """Everything happens; then what was left is done, the workers stop, and the judge reads the books."""
    facts = _play(world, logs, options, seconds)
    with world.connect() as connection:
        totals = report.totals(connection, report.TOTALS) | {"looks at the locks": facts.samples}
        return Verdict(judge(connection, facts), report.judged(connection, facts), totals)


def _play(world: World, logs: Path, options: argparse.Namespace, seconds: float) -> Facts:
    urls = [url_of(port) for port in world.proxy.ports]
    workers = [
        programs.worker(number, "tests.chaos.app.app", CONCURRENCY, {"CHAOS_URL": urls[number]})
        for number in range(WORKERS)
    ]
    fleet = world.fleet = Fleet(workers, logs, world.say, world.away)
    crew = Crew(urls[WORKERS], logs, options.seed, options.rate)
    sampler = Sampler(world, SAMPLE)
    try:
        for number in range(WORKERS):
            fleet.start(number)
        with world.connect() as connection:
            world.until(lambda: _registered(connection) >= WORKERS, 30)
        up = time.time()
        crew.start()
        sampler.start()
        Schedule(world, seconds - (time.time() - up)).run(crew.poll)
        crew.stop()
        limit = max(DRAIN_SECONDS, min(180.0, options.minutes * 20))
        settled = world.until(lambda: _settled(world), limit)
        unsettled = [] if settled else [f"{limit:.0f} s after the last fault {_left(world)}"]
        world.say(f"VIOLATION {unsettled[0]}" if unsettled else "all jobs are done")
        down = time.time()
        fleet.stop()
        return Facts(
            acknowledged=crew.acknowledged(),
            workers=WORKERS,
            began=up,
            ended=down,
            tick_seconds=TICK.total_seconds(),
            disturbances=world.disturbances,
            exits=fleet.violations + crew.violations,
            together=sampler.together,
            orphans=fleet.orphans,
            unsettled=unsettled,
            starts=fleet.starts,
            samples=sampler.samples,
            clock=world.cluster.clock.history() if world.cluster.clock else [Shown(0.0, time.time(), 0)],
            crashes=world.cluster.crashes,
            runs=runs_in(logs),
        )
    finally:
        if sampler.is_alive():
            sampler.stop()
        crew.destroy()
        fleet.destroy()


def _registered(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone()
    return int(row[0]) if row else 0


def _settled(world: World) -> bool:
    """Whether all jobs but the youngest ticks have ended, and the dead are buried."""
    try:
        with world.connect() as connection:
            row = connection.execute(SETTLED).fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and row[0] == 0 and row[1] == len(world.fleet.workers) == WORKERS


def _left(world: World) -> str:
    """What is not settled, in words."""
    with world.connect() as connection:
        row = connection.execute(SETTLED).fetchone()
    assert row is not None
    return f"{row[0]} jobs and workflows were left, {row[1]} workers registered and {len(world.fleet.workers)} running"
