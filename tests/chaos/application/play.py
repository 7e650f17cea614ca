"""The application's processes, its traffic and its judge; `tests.chaos.run` calls it."""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from examples.demo.processes import Processes, script
from examples.demo.services import environment_of, start_provider, start_sink
from tests.chaos import faults, programs
from tests.chaos.application.judge import judge
from tests.chaos.application.traffic import CONCURRENCY, Traffic
from tests.chaos.cluster import HOST, free_port, url_of
from tests.chaos.facts import Facts, Shown
from tests.chaos.fleet import ROOT, Fleet
from tests.chaos.programs import Program
from tests.chaos.report import Verdict
from tests.chaos.runs import runs_in
from tests.chaos.schedule import FAULTS, Schedule
from tests.chaos.world import ONE_LOCK, Sampler, World

WORKERS, SERVICES = 3, 2
DOORS = WORKERS + SERVICES + 1
"""One for each process of the fleet, and that of who looks for users."""
SLOTS = 12
UNRELIABLE = 0.04
"""Share of the mails that are wanted later, and of those whose receipt is not heard of."""
START_SECONDS = 60.0
DRAIN_SECONDS = 180.0
UNFINISHED = """SELECT id, task, status, scheduled_at FROM workrow.jobs
                WHERE finished_at IS NULL AND task NOT IN (SELECT task FROM workrow.schedules) ORDER BY id"""
REGISTERED = "SELECT count(*) FROM procrastinate_workers"
SAMPLE = f"""{ONE_LOCK}
             UNION ALL
             SELECT line, array_agg(id), array_agg(worker_id) FROM procrastinate_jobs
             WHERE status = 'doing' AND line LIKE 'campaigns.call/%' GROUP BY line HAVING count(*) > {CONCURRENCY}"""
"""Jobs that run together under a lock, or under a campaign's limit."""
GENTLE = tuple(fault for fault in FAULTS if fault.inject is not faults.uncommitted)
"""What does not belong to the suite's own traffic."""


def prepare(url: str) -> None:
    """The tables, as a deployment makes them."""
    command = [script("alembic"), "upgrade", "head"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, check=True, capture_output=True)


def play(world: World, logs: Path, options: argparse.Namespace, seconds: float) -> Verdict:
    """Everything happens; then what was left is done, all stops, and the judge reads the books."""
    began = time.monotonic()
    maildir = logs / "maildir"
    with Processes(logs / "outside") as outside, _fleet(world, logs, outside, maildir) as (fleet, traffic):
        sampler = Sampler(world, SAMPLE)
        try:
            _start(world, fleet, traffic)
            up = time.time()
            sampler.start()
            Schedule(world, seconds - (time.monotonic() - began), GENTLE).run(outside.check)
            traffic.stop()
            unsettled = _drain(world, traffic)
            world.say("\n".join(f"VIOLATION {each}" for each in unsettled) or "all jobs are done")
            down = time.time()
            fleet.stop()
            traffic.close()
        finally:
            if sampler.is_alive():
                sampler.stop()
    facts = Facts(
        workers=WORKERS,
        began=up,
        ended=down,
        exits=fleet.violations,
        together=sampler.together,
        orphans=fleet.orphans,
        unsettled=unsettled,
        starts=fleet.starts,
        samples=sampler.samples,
        clock=world.cluster.clock.history() if world.cluster.clock else [Shown(0.0, time.time(), 0)],
        crashes=world.cluster.crashes,
        runs=runs_in(logs),
    )
    with world.connect() as connection:
        return judge(connection, facts, traffic.done, maildir, logs)


@contextlib.contextmanager
def _fleet(world: World, logs: Path, outside: Processes, maildir: Path) -> Iterator[tuple[Fleet, Traffic]]:
    """Three workers and two services, not started, the mail server and the provider; and who uses the services."""
    urls = [url_of(port) for port in world.proxy.ports]
    ports = [free_port() for _ in range(SERVICES)]
    one, other = (f"http://{HOST}:{port}" for port in ports)
    smtp_port = outside.wait_for("the mail server", start_sink(outside, maildir, unreliable=UNRELIABLE).listening_port)
    environment = environment_of(world.cluster.url, smtp_port) | {
        "WORKROW_LEASE": str(world.lease),
        "WORKROW_SECRET_KEY": secrets.token_hex(32),
        "WORKROW_BASE_URL": one,
        "WORKROW_WEBHOOK_ALLOW_HTTP": "true",
        "WORKROW_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        "WORKROW_CALL_STUCK_AFTER": "5",
    }
    environment["WORKROW_PROVIDER_URL"] = provider = start_provider(outside, environment, one)
    told = [environment | {"DATABASE_URL": url} for url in urls]
    workers = [programs.worker(n, "tests.chaos.application.app.app", SLOTS, told[n]) for n in range(WORKERS)]
    services = [_service(n, port, told[WORKERS + n]) for n, port in enumerate(ports)]
    fleet = world.fleet = Fleet([*workers, *services], logs, world.say, world.away)
    try:
        yield fleet, Traffic((one, other), provider, urls[-1])
    finally:
        fleet.destroy()


def _service(number: int, port: int, environment: dict[str, str]) -> Program:
    command = (sys.executable, "-m", "uvicorn", "jobs.api:api", f"--host={HOST}", f"--port={port}")
    return Program(
        f"service {number}",
        (*command, "--timeout-graceful-shutdown=5"),
        environment,
        up="Uvicorn running on",
        # uvicorn ends by the signal that it was told to stop by
        ends=(os.EX_OK, -signal.SIGTERM),
        refuses=3,
        # the provider's signatures are too old, or not valid yet, for one whose clock is wrong
        any_clock=False,
    )


def _start(world: World, fleet: Fleet, traffic: Traffic) -> None:
    for number in range(fleet.size):
        fleet.start(number)
    everybody = world.until(lambda: all(each.started for each in fleet.workers.values()), START_SECONDS)
    traffic.start()
    if not everybody or not traffic.ready.wait(START_SECONDS):
        raise RuntimeError("workers or services do not start: see their logs")


def _drain(world: World, traffic: Traffic) -> list[str]:
    """Let what was begun come to its end; what has not, in words."""
    limit = f"{DRAIN_SECONDS:.0f} s after the last fault"
    deadline = time.monotonic() + DRAIN_SECONDS
    left = [] if world.until(traffic.over.is_set, DRAIN_SECONDS) else [f"{limit} people still waited for the service"]
    if not world.until(lambda: _settled(world), deadline - time.monotonic()):
        with world.connect() as connection:
            jobs = connection.execute(UNFINISHED).fetchall()
            (registered,) = connection.execute(REGISTERED).fetchone() or (0,)
        left += [f"{limit} job {id} ({task}) is {status}, due {due}" for id, task, status, due in jobs]
        left += [f"{limit} {registered} workers are registered and {len(world.fleet.workers)} processes run"]
    return left


def _settled(world: World) -> bool:
    """Whether all jobs have ended but those that come again, and the dead are buried."""
    try:
        with world.connect() as connection:
            unfinished = connection.execute(UNFINISHED).fetchall()
            registered = connection.execute(REGISTERED).fetchone()
    except psycopg.OperationalError:
        return False
    return not unfinished and registered == (WORKERS,) and len(world.fleet.workers) == world.fleet.size
