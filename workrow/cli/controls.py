"""``workrow pause`` and ``workrow resume``: what an operator does to queues and tasks."""

import getpass

import click

from workrow import sql
from workrow.cli.where import Database
from workrow.schema import check
from workrow.schema.targets import connect

KIND = click.Choice(["queue", "task"])
ACTOR = click.option("--actor", help="Who wants it. Default: the user who runs this.")


@click.command()
@click.argument("kind", type=KIND)
@click.argument("name")
@click.option("--reason", required=True, help="Why; whoever runs `workrow status` reads it.")
@ACTOR
@click.pass_obj
def pause(database: Database, kind: str, name: str, reason: str, actor: str | None) -> None:
    """Let no worker start jobs of a queue or a task; running ones go on."""
    paused = _run(database, "pause", kind, name, actor, reason)
    click.echo(
        f"{kind} {name}: " + ("paused" if paused else "was paused already: by whom and why, `workrow status` says")
    )


@click.command()
@click.argument("kind", type=KIND)
@click.argument("name")
@click.option("--reason", help="Why.")
@ACTOR
@click.pass_obj
def resume(database: Database, kind: str, name: str, reason: str | None, actor: str | None) -> None:
    """Let workers start its jobs again."""
    resumed = _run(database, "resume", kind, name, actor, reason)
    click.echo(f"{kind} {name}: " + ("resumed" if resumed else "was not paused"))


def _run(database: Database, verb: str, kind: str, name: str, actor: str | None, reason: str | None) -> bool:
    with connect(database.url) as connection:
        check(connection)
        connection.commit()
        connection.autocommit = True
        params = {"kind": kind, "name": name, "actor": actor or getpass.getuser(), "reason": reason}
        (changed,) = connection.execute(sql.load(verb), params).fetchone() or (False,)
        return bool(changed)
