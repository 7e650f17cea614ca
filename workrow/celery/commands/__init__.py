"""The command line of the door: Celery's commands, with its options."""

import os

import click

from workrow import __version__
from workrow.celery.bridge import alias
from workrow.celery.commands.apps import QUIET, AppGroup
from workrow.celery.commands.beat import beat
from workrow.celery.commands.beat_import import beat_import
from workrow.celery.commands.bridge import bridge
from workrow.celery.commands.calls import call, purge, result
from workrow.celery.commands.drain import drain
from workrow.celery.commands.events import events
from workrow.celery.commands.multi import multi
from workrow.celery.commands.shell import report, shell
from workrow.celery.commands.worker import worker
from workrow.celery.commands.workers import control, inspect, status


@click.group(cls=AppGroup)
@click.option(
    "-A", "--app", "path", metavar="APPLICATION", envvar="APP", help="module, module:attribute or module.attribute."
)
@click.option("-b", "--broker", envvar="BROKER_URL", help="The database, instead of what the app says.")
@click.option("--result-backend", envvar="RESULT_BACKEND", help="The same; results are where the calls are.")
@click.option("--workdir", type=click.Path(exists=True, file_okay=False), help="Change to this directory first.")
@click.option(
    "--config", metavar="MODULE", envvar="CELERY_CONFIG_MODULE", help="The settings of an app that names none itself."
)
@click.option("-q", "--quiet", is_flag=True, help="Only what was asked for.")
@click.option("--as-celery", is_flag=True, envvar=alias.VARIABLE, help="Modules that import celery get workrow.celery.")
@click.option("-C", "--no-color", is_flag=True, envvar="NO_COLOR", hidden=True)
@click.version_option(__version__)
@click.pass_context
def main(
    context: click.Context,
    path: str | None,
    broker: str | None,
    result_backend: str | None,
    workdir: str | None,
    config: str | None,
    quiet: bool,
    as_celery: bool,
    no_color: bool,
) -> None:
    """Celery's commands, on workrow."""
    if as_celery:
        alias.activate()
    if config:
        os.environ["CELERY_CONFIG_MODULE"] = config  # child processes read it too
    context.meta[QUIET] = quiet
    AppGroup.set_up(context, path, broker or result_backend, workdir)


for each in (
    worker,
    beat,
    beat_import,
    call,
    result,
    purge,
    bridge,
    drain,
    status,
    inspect,
    control,
    events,
    report,
    shell,
    multi,
):
    main.add_command(each)
