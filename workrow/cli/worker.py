"""``workrow worker``: run workers, one or several processes."""

import logging
import os
import re
import socket
import sys
from functools import partial
from typing import Any

import click

from workrow import sql
from workrow.cli.lifeline import follow, report
from workrow.cli.numbers import COUNT, Finite, size
from workrow.cli.supervisor import Supervisor
from workrow.cli.where import Database
from workrow.errors import OptionError
from workrow.logs import get_logger
from workrow.schema.targets import connect

logger = get_logger(__name__)

PROCESSES_MAX = 1000
OF_THE_PARENT = ("--processes", "--health")
"""Options that are not handed to its workers."""
LOG_LEVELS = ("debug", "info", "warning", "error")


@click.command()
@click.option("-q", "--queues", metavar="A,B:20,…", help="Queues, each with slots of its own if :n is given; else all.")
@click.option("-c", "--concurrency", type=COUNT, help="Slots: jobs at the same time, in each process.")
@click.option(
    "--processes", type=click.IntRange(1, PROCESSES_MAX), default=1, show_default=True, help="Worker processes."
)
@click.option("-n", "--name", help="The worker's name; several processes are numbered.")
@click.option("--shutdown-timeout", type=Finite(min=0), help="Seconds to let jobs end; else as long as it takes.")
@click.option(
    "--priority-ageing",
    type=Finite(min=0, min_open=True),
    metavar="SECONDS",
    help="So long a wait counts as one level of priority; else none does.",
)
@click.option("--max-jobs", type=COUNT, metavar="N", help="End in order after N jobs, or up to a tenth fewer.")
@click.option("--max-memory", type=size, metavar="SIZE", help="End in order above 512M, 2G …, looked at after jobs.")
@click.option(
    "--slow-callback-duration",
    type=Finite(min=0),
    metavar="SECONDS",
    help="Warn of a job that blocks the event loop for so long, 1 by default; 0: never.",
)
@click.option("--health", metavar="HOST:PORT", help="Tell over HTTP what is wrong with the worker: 200 or 503.")
@click.option("--one-shot", is_flag=True, help="End when no job is left.")
@click.option("--lifeline", type=click.IntRange(0), hidden=True)
@click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True)
@click.pass_obj
def worker(
    database: Database,
    queues: str | None,
    concurrency: int | None,
    processes: int,
    name: str | None,
    shutdown_timeout: float | None,
    priority_ageing: float | None,
    max_jobs: int | None,
    max_memory: int | None,
    slow_callback_duration: float | None,
    health: str | None,
    one_shot: bool,
    lifeline: int | None,
    log_level: str,
) -> None:
    """Run jobs until a signal says stop: SIGTERM and SIGINT let running jobs end.

    With --processes, workers that crash or have done enough are started again, and a signal goes to all of them.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    shares = read_queues(queues)
    line = None if lifeline is None else follow(lifeline)
    app = database.load()
    if line is not None:
        report(line, app.running_workers)
    if processes > 1:
        bury = partial(_bury, app.database_url)
        supervisor = Supervisor(
            _command_of_one(database), processes, name or "worker", restarts=not one_shot, bury=bury
        )
        sys.exit(_supervise(supervisor, health))
    options: dict[str, Any] = {
        "queues": list(shares) or None,
        "concurrency": concurrency,
        "name": name,
        "shutdown_graceful_timeout": shutdown_timeout,
        "priority_ageing": priority_ageing,
        "max_jobs": max_jobs,
        "max_memory": max_memory,
        "health": health,
    }
    if any(shares.values()):
        default = concurrency or 1
        options["queue_concurrency"] = {queue: slots or default for queue, slots in shares.items()}
    given = {key: value for key, value in options.items() if value is not None}
    if slow_callback_duration is not None:
        given["slow_callback_duration"] = slow_callback_duration or None
    app.run_worker(wait=not one_shot, **given)


def _supervise(supervisor: Supervisor, health: str | None) -> int:
    from workrow.worker.living.health import serve

    with serve(health, supervisor.problems, supervisor.warnings):
        return supervisor.run()


def read_queues(text: str | None) -> dict[str, int | None]:
    """Queue names and their slots: ``"emails:20,default"`` → ``{"emails": 20, "default": None}``.

    Raises:
        OptionError: a number of slots is none, or a name is missing or given twice.
    """
    shares: dict[str, int | None] = {}
    for part in () if text is None else map(str.strip, text.split(",")):
        queue, colon, slots = part.rpartition(":")
        if not colon:
            queue, slots = part, ""
        if not queue or queue in shares or (colon and not re.fullmatch("0*[1-9][0-9]{0,8}", slots)):
            raise OptionError(
                f"--queues={text}: {part!r} is not understood; write name or name:slots, each name once, with commas "
                "between them; leave the option out for all queues"
            )
        shares[queue] = int(slots) if colon else None
    return shares


def _command_of_one(database: Database) -> list[str]:
    """This very command for a single process."""
    arguments, kept = iter(sys.argv[1:]), []
    for each in arguments:
        if each in OF_THE_PARENT:
            next(arguments)
        elif each.partition("=")[0] not in OF_THE_PARENT:
            kept.append(each)
    if database.app and "WORKROW_APP" not in os.environ and not any("app" in each for each in kept):
        kept = ["--app", database.app, *kept]
    return [sys.executable, "-m", "workrow", *kept]


def _bury(url: str, name: str, pid: int, cause: str) -> None:
    """Tell the database how a worker died; if that fails, its lease ends as any other."""
    try:
        with connect(url) as connection:
            params = {"name": name, "host": socket.gethostname(), "pid": pid, "cause": cause}
            connection.execute(sql.load("bury_worker"), params)
    except Exception as error:
        logger.warning("%s, process %d, was %s, and the database was not told: %s", name, pid, cause, error)
