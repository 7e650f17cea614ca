"""``beat``."""

from typing import Any

import click

from workrow.celery.beat.process import run_beat
from workrow.celery.commands.apps import WORDS
from workrow.celery.commands.daemon import daemon, daemon_options
from workrow.celery.utils.log import LEVELS, setup
from workrow.logs import get_logger

logger = get_logger(__name__)


@click.command()
@click.option("-l", "--loglevel", type=click.Choice(LEVELS, case_sensitive=False), default="WARNING", show_default=True)
@click.option("-f", "--logfile", metavar="PATH", help="Instead of stderr.")
@click.option("--max-interval", type=float, metavar="SECONDS", help="The longest sleep between two looks.")
@click.option("-S", "--scheduler", hidden=True)
@click.option("-s", "--schedule", hidden=True)
@daemon_options
@click.pass_context
def beat(
    context: click.Context,
    /,
    loglevel: str,
    logfile: str | None,
    max_interval: float | None,
    scheduler: str | None,
    schedule: str | None,
    **options: Any,
) -> None:
    """Send what is due of beat_schedule until a signal says stop; any number of these may run."""
    app = context.obj
    with daemon(context.meta[WORDS], logfile, options):
        setup(app.conf, loglevel, logfile)
        if schedule:
            logger.warning("-s: what beat has done is in the database; the option changes nothing")
        run_beat(app, max_interval, scheduler)
