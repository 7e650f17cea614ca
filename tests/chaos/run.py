"""Producers, workers and faults for some minutes; then the judge.

python -m tests.chaos.run --minutes 10 --seed 42 --standby --pgbouncer
"""

import argparse
import contextlib
import gzip
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from tests.chaos import guard, report
from tests.chaos.app import TICK
from tests.chaos.bouncer import Bouncer, Missing
from tests.chaos.cluster import HOST, Cluster, url_of
from tests.chaos.crew import Crew
from tests.chaos.facts import Facts, Shown
from tests.chaos.fleet import ROOT, Fleet
from tests.chaos.judge import judge
from tests.chaos.proxy import Proxy
from tests.chaos.runs import runs_in
from tests.chaos.schedule import Schedule
from tests.chaos.stepping import LIBRARY, SteppingClock
from tests.chaos.world import Sampler, World
from workrow import schema

WORKERS = 3
END_SECONDS = 18.0
"""Set aside for the jobs that are left, the orderly stop and the judge."""
DRAIN_SECONDS = 45.0
"""For the jobs that are left; in a run of more than two minutes a third of its time."""
STEP_SECONDS = 0.05
SETTLED = """SELECT
    (SELECT count(*) FROM procrastinate_jobs
     WHERE task_name <> 'chaos.tick' OR created_at < now() - interval '10 s')
    + (SELECT count(*) FROM workrow.workflows WHERE ended_at IS NULL),
    (SELECT count(*) FROM procrastinate_workers)"""


def main() -> None:
    """The command."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    logs = ROOT / ".workrow" / "chaos" / str(options.seed)
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    if os.geteuid() == 0:
        for directory in (logs, logs.parent, logs.parent.parent):
            directory.chmod(0o755)  # PostgreSQL's own account writes its log here
    began = time.monotonic()
    try:
        with _world(options, logs) as world:
            facts = _play(world, logs, options, began)
            with world.connect() as connection:
                found = judge(connection, facts)
                judged = report.judged(connection, facts)
                totals = report.totals(connection, facts)
            totals |= {
                "worker starts": world.fleet.starts,
                "of them refused: database away": world.fleet.refused_starts,
                "crashes of the server by itself": world.aborts,
                "wall time": f"{time.monotonic() - began:.0f} s",
            }
            if not LIBRARY:
                totals["steps of the server's clock"] = "none: needs libfaketime (Debian: apt install faketime)"
    except Missing as missing:
        sys.exit(str(missing))
    if not any(found.values()):
        _shrink(logs)
    report.show(options.seed, world.injected, found, judged, totals, logs)
    sys.exit(1 if any(found.values()) else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long in all, about")
    parser.add_argument("--seed", type=int, help="which faults come when; else a random one")
    parser.add_argument("--standby", action="store_true", help="a synchronous standby, and failovers to it")
    parser.add_argument("--pgbouncer", action="store_true", help="a PgBouncer in transaction mode in between")
    parser.add_argument("--rate", type=float, default=120, help="jobs a second")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1_000_000)
    return options


@contextlib.contextmanager
def _world(options: argparse.Namespace, logs: Path) -> Iterator[World]:
    directory = Path(tempfile.mkdtemp(prefix="workrow-chaos-"))
    directory.chmod(0o755)
    with contextlib.ExitStack() as stack:
        watching = guard.watch(directory)
        stack.callback(watching.wait)
        assert watching.stdin is not None
        stack.callback(watching.stdin.close)
        clock = SteppingClock(directory) if LIBRARY else None
        cluster = Cluster(directory, logs, standby=options.standby, clock=clock)
        stack.callback(cluster.destroy)
        bouncer = Bouncer(directory, cluster.primary.port, logs / "pgbouncer.log") if options.pgbouncer else None
        cluster.start()
        schema.upgrade(cluster.url)
        with psycopg.connect(cluster.url) as connection:
            connection.execute(Path(__file__).with_name("tables.sql").read_bytes())
        if bouncer:
            bouncer.start()
            stack.callback(bouncer.close)
        proxy = Proxy(bouncer.port if bouncer else cluster.primary.port, WORKERS + 1, logs / "proxy.log")
        stack.callback(proxy.close)
        world = World(options.seed, cluster, proxy, bouncer, logs / "faults.log")
        world.say(
            f"seed {options.seed}, {options}, data in {directory}, server at {cluster.url}, proxy {HOST}:{proxy.ports}"
        )
        yield world


def _play(world: World, logs: Path, options: argparse.Namespace, began: float) -> Facts:
    """Everything happens; then what was left is done, and the workers stop."""
    urls = [url_of(port) for port in world.proxy.ports]
    fleet = world.fleet = Fleet(urls[:WORKERS], logs, {}, world.say, world.away)
    crew = Crew(urls[WORKERS], logs, options.seed, options.rate)
    sampler = Sampler(world)
    try:
        for number in range(WORKERS):
            fleet.start(number)
        with world.connect() as connection:
            _until(world, lambda: _registered(connection) >= WORKERS, 30)
        up = time.time()
        crew.start()
        sampler.start()
        schedule = Schedule(world, options.minutes * 60 - (time.monotonic() - began) - END_SECONDS)
        while not schedule.over:
            schedule.step()
            world.look()
            fleet.poll()
            crew.poll()
            time.sleep(STEP_SECONDS)
        schedule.finish()
        world.say("all faults are healed")
        crew.stop()
        limit = max(DRAIN_SECONDS, min(180.0, options.minutes * 20))
        settled = _until(world, lambda: _settled(world), limit)
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
    world.look()
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


def _shrink(logs: Path) -> None:
    """Nobody reads the long logs of a run in which all was well."""
    for path in logs.glob("*.log"):
        if path.name != "faults.log":
            with path.open("rb") as source, gzip.open(f"{path}.gz", "wb") as packed:
                shutil.copyfileobj(source, packed)
            path.unlink()


def _until(world: World, condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        world.fleet.poll()
        time.sleep(0.2)
    return True


if __name__ == "__main__":
    main()
