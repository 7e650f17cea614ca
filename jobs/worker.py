"""A worker for some queues: ``python -m jobs.worker leads 4`` is ``workrow worker --queues leads:4``."""

import difflib
import logging

import click

import workrow
from jobs.bootstrap import create_app
from workrow.errors import WorkrowError

CONCURRENCY_MAX = 1000
LOG_LEVELS = ("debug", "info", "warning", "error")


@click.command()
@click.argument("queues", metavar="QUEUE[,QUEUE…]")
@click.argument("concurrency", type=click.IntRange(1, CONCURRENCY_MAX), default=1)
@click.option("--log-level", type=click.Choice(LOG_LEVELS, case_sensitive=False), default="info", show_default=True)
@click.option("--one-shot", is_flag=True, help="End when no job is left.")
def main(queues: str, concurrency: int, log_level: str, one_shot: bool) -> None:
    """Run up to CONCURRENCY jobs of the queues at the same time, until SIGTERM or SIGINT says stop."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    app = create_app()
    chosen = known_queues(app, queues)
    try:
        app.run_worker(queues=chosen, concurrency=concurrency, wait=not one_shot)
    except WorkrowError as error:
        raise click.ClickException(str(error)) from error


def known_queues(app: workrow.App, text: str) -> list[str]:
    """The names between the commas, each once.

    Raises:
        click.BadParameter: no task of the app uses a queue of this name.
    """
    known = sorted({task.queue for task in app.tasks.values()})
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise click.BadParameter(f"no task uses a queue named {name!r}.{meant} Known are {', '.join(known)}.")
    return names


if __name__ == "__main__":
    main(prog_name="python -m jobs.worker")
