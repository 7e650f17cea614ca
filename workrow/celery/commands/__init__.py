"""The command line of the door: Celery's commands, with its options."""

import click

from workrow import __version__
from workrow.celery.commands.apps import AppGroup
from workrow.celery.commands.beat import beat
from workrow.celery.commands.calls import call, purge, result
from workrow.celery.commands.worker import worker


@click.group(cls=AppGroup)
@click.option(
    "-A", "--app", "path", metavar="APPLICATION", envvar="APP", help="module, module:attribute or module.attribute."
)
@click.option("-b", "--broker", envvar="BROKER_URL", help="The database, instead of what the app says.")
@click.option("--result-backend", envvar="RESULT_BACKEND", help="The same; results are where the calls are.")
@click.option("--workdir", type=click.Path(exists=True, file_okay=False), help="Change to this directory first.")
@click.option("-C", "--no-color", is_flag=True, envvar="NO_COLOR", hidden=True)
@click.version_option(__version__)
@click.pass_context
def main(
    context: click.Context,
    path: str | None,
    broker: str | None,
    result_backend: str | None,
    workdir: str | None,
    no_color: bool,
) -> None:
    """Celery's commands, on workrow."""
    AppGroup.set_up(context, path, broker or result_backend, workdir)


for each in (worker, beat, call, result, purge):
    main.add_command(each)
