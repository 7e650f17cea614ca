"""``workrow celery``: the commands of the Celery door, loaded when they are asked for."""

import click

from workrow.cli.where import Database


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, add_help_option=False
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def celery(database: Database, words: tuple[str, ...]) -> None:
    """Celery's commands on workrow: `workrow celery -A shop worker`; see `workrow celery --help`.

    The same as `python -m workrow.celery`. A --database-url that is given before the word is that of the app.
    """
    from workrow.celery.commands import main

    before = ["--broker", database.given_url] if database.given_url else []
    main.main([*before, *words], prog_name="workrow celery")
