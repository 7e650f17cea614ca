"""The ``workrow`` command."""

import click

from workrow import __version__
from workrow.cli.celery import celery
from workrow.cli.controls import pause, resume
from workrow.cli.errors import OneLineErrors
from workrow.cli.init import init
from workrow.cli.job import job, retry
from workrow.cli.jobs import cancel, release
from workrow.cli.limits import limits
from workrow.cli.psql import psql
from workrow.cli.schedules import schedules
from workrow.cli.schema import schema
from workrow.cli.status import status
from workrow.cli.where import Database
from workrow.cli.worker import worker
from workrow.cli.workflows.commands import workflow


@click.group(cls=OneLineErrors)
@click.option("-a", "--app", metavar="MODULE.NAME", envvar="WORKROW_APP", help="The App whose database is meant.")
@click.option("--database-url", metavar="URL", help="The database itself; without --app, DATABASE_URL is read.")
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, app: str | None, database_url: str | None) -> None:
    """Background jobs that commit with your data."""
    context.obj = Database(app, database_url)


main.add_command(init)
main.add_command(status)
main.add_command(schema)
main.add_command(psql)
main.add_command(worker)
main.add_command(job)
main.add_command(retry)
main.add_command(cancel)
main.add_command(release)
main.add_command(pause)
main.add_command(resume)
main.add_command(schedules)
main.add_command(limits)
main.add_command(workflow)
main.add_command(celery)
