"""``workrow psql``: the database's own shell."""

import os
import shutil
import subprocess
import sys

import click
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from workrow.cli.where import Database
from workrow.database.urls import libpq_url


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(database: Database, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; ARGUMENTS are psql's own."""
    parameters = conninfo_to_dict(libpq_url(database.url))
    # a password among the arguments could be read by every user of the machine
    password = parameters.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    # a child, not exec: while this process lives, it is a user of the embedded server
    child = subprocess.Popen([_program(), "--dbname", make_conninfo("", **parameters), *arguments], env=environment)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:  # it was meant for psql, which got it as well
            continue


def _program() -> str:
    if found := shutil.which("psql"):
        return found
    from workrow.embedded import pg_bin

    return str(pg_bin() / "psql")
