"""``worker``: with Celery's options."""

import json
import os
from typing import Any

import click

from workrow.celery.commands.apps import WORDS, say
from workrow.celery.commands.daemon import daemon, daemon_options, expanded
from workrow.celery.utils.log import LEVELS, setup
from workrow.celery.worker.calls import LOG, MODULES
from workrow.celery.worker.engine import POOLS, host_name, run_worker
from workrow.logs import get_logger

logger = get_logger(__name__)

MEANINGLESS = {
    "optimization": "-O: calls are claimed when there is room for them",
    "prefetch_multiplier": "--prefetch-multiplier: calls are claimed when there is room for them",
    "disable_prefetch": "--disable-prefetch: calls are claimed when there is room for them",
    "task_events": "-E: what happens is in the tables, and in the views of docs/monitoring.md",
    "statedb": "-S: what was revoked is in the database",
    "pool_start_method": "--pool-start-method: child processes are spawned",
    "without_gossip": "--without-gossip: workers know each other by the database",
    "without_mingle": "--without-mingle: workers know each other by the database",
    "without_heartbeat": "--without-heartbeat: a worker without a heartbeat would be taken for dead",
    "heartbeat_interval": "--heartbeat-interval: it is a fraction of the lease",
    "autoscale": "--autoscale: -c slots cost nothing while they are idle",
    "schedule_filename": "-s: what beat has done is in the database",
    "scheduler": "--scheduler: what beat has done is in the database",
}
"""Options of Celery's that change nothing here, and why; each is said once."""


@click.command()
@click.option("-n", "--hostname", metavar="HOSTNAME", help="The worker's name, such as 'w1@%h'.")
@click.option("-l", "--loglevel", type=click.Choice(LEVELS, case_sensitive=False), default="WARNING", show_default=True)
@click.option("-f", "--logfile", metavar="PATH", help="Instead of stderr; %n is the worker's name, %h its host.")
@click.option("-c", "--concurrency", metavar="N", help="Calls at the same time; the number of processors.")
@click.option("-P", "--pool", type=click.Choice([*POOLS]), help="prefork: child processes; threads; solo: one thread.")
@click.option("--time-limit", type=float, help="Seconds after which a task is ended.")
@click.option("--soft-time-limit", type=float, help="Seconds after which SoftTimeLimitExceeded is raised inside.")
@click.option("--max-tasks-per-child", type=click.IntRange(1), help="So many calls use a child process up.")
@click.option("--max-memory-per-child", type=click.IntRange(1), help="KiB after which a child process is replaced.")
@click.option("--purge", "--discard", "purge", is_flag=True, help="Delete the calls that wait, first.")
@click.option("-Q", "--queues", metavar="A,B", help="The queues; by default those of task_queues, or the default one.")
@click.option("-X", "--exclude-queues", metavar="A,B", help="All but these.")
@click.option("-I", "--include", metavar="A,B", help="More modules to import.")
@click.option("-B", "--beat", is_flag=True, help="Send what is due of beat_schedule too; any number of workers may.")
@click.option("-O", "optimization", hidden=True)
@click.option("--prefetch-multiplier", hidden=True)
@click.option("--disable-prefetch", is_flag=True, hidden=True)
@click.option("-E", "--task-events", "--events", "task_events", is_flag=True, hidden=True)
@click.option("-S", "--statedb", hidden=True)
@click.option("--pool-start-method", hidden=True)
@click.option("--without-gossip", is_flag=True, hidden=True)
@click.option("--without-mingle", is_flag=True, hidden=True)
@click.option("--without-heartbeat", is_flag=True, hidden=True)
@click.option("--heartbeat-interval", hidden=True)
@click.option("--autoscale", hidden=True)
@click.option("-s", "--schedule-filename", "--schedule", "schedule_filename", hidden=True)
@click.option("--scheduler", hidden=True)
@daemon_options
@click.pass_context
def worker(context: click.Context, /, **options: Any) -> None:
    """Run calls until a signal says stop."""
    app = context.obj
    name = host_name(options["hostname"])
    logfile = options["logfile"] = expanded(options["logfile"], name)
    options["pidfile"] = expanded(options["pidfile"], name)
    with daemon(context.meta[WORDS], logfile, options):
        os.environ[LOG] = json.dumps([options["loglevel"], logfile])
        setup(app.conf, options["loglevel"], logfile)
        for each, why in MEANINGLESS.items():
            if options.get(each):
                logger.warning("%s; the option changes nothing", why)
        run_worker(app, **told(app, options))


def told(app: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What `run_worker` is to be told of the command's options; settings of the app are changed."""
    conf = app.conf
    if options["include"]:
        conf.include = [*conf.include, *_listed(options["include"])]
        os.environ[MODULES] = ",".join([os.environ.get(MODULES, ""), *_listed(options["include"])])
    for name in ("time_limit", "soft_time_limit"):
        if options[name]:
            setattr(conf, f"task_{name}", options[name])
    concurrency = options["concurrency"]
    if concurrency is not None and concurrency != "auto" and not concurrency.isdigit():
        raise click.UsageError(f"--concurrency={concurrency}: must be a whole number, or auto")
    queues = app.router.queues(_listed(options["queues"]) or None, _listed(options["exclude_queues"]))
    if options["purge"]:
        say(f"{app.control.purge(queues)} calls were deleted")
    return {
        "queues": queues,
        "concurrency": int(concurrency) if concurrency and concurrency != "auto" else conf.worker_concurrency,
        "pool": options["pool"] or conf.worker_pool or "prefork",
        "hostname": options["hostname"],
        "max_tasks_per_child": options["max_tasks_per_child"] or conf.worker_max_tasks_per_child,
        "max_memory_per_child": options["max_memory_per_child"] or conf.worker_max_memory_per_child,
        "beat": options["beat"],
    }


def _listed(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]
