"""``workrow schema``: install, remove and show the schema, where alembic is not at hand."""

import dataclasses
import json
import sys

import click

from workrow.cli.where import Database
from workrow.schema import migrate, roles

_AS = {"producer": "a producer", "worker": "a worker", "operator": "an operator", "viewer": "a viewer"}


@click.group()
def schema() -> None:
    """Install, remove or show the database's schema."""


@schema.command()
@click.option("--to", type=click.IntRange(0), metavar="VERSION", help="The version to reach; the latest if not given.")
@click.pass_obj
def upgrade(database: Database, to: int | None) -> None:
    """Install the schema, or bring it up to date."""
    url = database.url
    migrate.upgrade(url, to)
    click.echo(_in_words(migrate.status(url)))


@schema.command()
@click.option(
    "--to",
    type=click.IntRange(0),
    metavar="VERSION",
    required=True,
    help="The version to reach; 0 drops all, jobs too.",
)
@click.pass_obj
def downgrade(database: Database, to: int) -> None:
    """Take the schema back to an earlier version."""
    url = database.url
    migrate.downgrade(url, to)
    click.echo(_in_words(migrate.status(url)))


@schema.command()
@click.argument("role")
@click.argument("kind", type=click.Choice(roles.KINDS))
@click.pass_obj
def grant(database: Database, role: str, kind: roles.Kind) -> None:
    """Let ROLE, which exists and owns nothing, do what KIND says, with the least that it needs."""
    roles.grant(database.url, role, kind)
    click.echo(f"{role} is {_AS[kind]} now")


@schema.command()
@click.argument("role")
@click.argument("kind", type=click.Choice(roles.KINDS), required=False)
@click.pass_obj
def revoke(database: Database, role: str, kind: roles.Kind | None) -> None:
    """Take back what was granted to ROLE: as KIND, or all of it."""
    roles.revoke(database.url, role, kind)
    click.echo(f"{role} is {_AS[kind]} no longer" if kind else f"nothing is granted to {role} now")


@schema.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def status(database: Database, as_json: bool) -> None:
    """Show which version is installed, and what of it was changed by hand.

    The exit code is 1 then, and if the database is newer than this package.
    """
    found = migrate.status(database.url)
    fields = {name: value for name, value in dataclasses.asdict(found).items() if name != "changed" or value}
    click.echo(json.dumps(fields) if as_json else _in_words(found))
    if found.changed or found.installed > found.latest:
        sys.exit(1)


def _in_words(found: migrate.SchemaStatus) -> str:
    if not found.installed:
        return f"no workrow schema is installed; this package brings version {found.latest}"
    origin = "adopted" if found.adopted else "installed"
    lines = [
        f"workrow schema version {found.installed} of {found.latest}, "
        f"on the schema of procrastinate {found.upstream} ({origin})"
    ]
    if found.installed > found.latest:
        lines.append("the database is newer than this package: upgrade the workrow package")
    for each in found.changed:
        what = f"changed by hand: expected {each.expected}, found {each.found}" if each.found else "dropped by hand"
        lines.append(f"{each.name}: {what}")
    if found.changed:
        lines.append("`workrow schema upgrade` puts them back")
    return "\n".join(lines)
