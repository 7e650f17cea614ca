"""``workrow limits``: what limits allow, how much of it is in use, and how to change it at run time."""

import getpass
import sys
from typing import Any

import click
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from workrow import sql
from workrow.cli.numbers import COUNT, Finite
from workrow.cli.status import PIPE_WIDTH
from workrow.cli.where import Database
from workrow.declare.limits import Rate
from workrow.errors import INT4_MAX, OptionError
from workrow.logs import printable
from workrow.schema import check
from workrow.schema.targets import connect


def _one_key(_: click.Context, __: click.Parameter, key: str | None) -> str:
    if key == "":
        raise click.BadParameter("an empty key would mean all keys; to mean them, leave --key out.")
    return key or ""


KEY = click.option(
    "--key", callback=_one_key, metavar="VALUE", help="Only this key; without it, all keys of the limit."
)
ACTOR = click.option("--actor", default=getpass.getuser, metavar="NAME", help="Who says so; by default you.")
REASON = click.option("--reason", metavar="TEXT", help="Why; shown in the list.")


@click.group()
def limits() -> None:
    """Show and change limits and rates."""


@limits.command("list")
@click.pass_obj
def list_limits(database: Database) -> None:
    """Show every limit, and each of its keys that is in use or has something of its own."""
    table = Table(title="limits")
    names = ("limit", "key", "at most", "rate", "burst", "weight", "running", "lines blocked", "state", "by", "reason")
    for name in names:
        table.add_column(name)
    for row in _run(database, "read_limits"):
        rate = f"{row['rate_count']}/{row['rate_seconds']:g}s" if row["rate_count"] else None
        cells = (
            row["name"], row["key"], row["max_running"], rate, row["rate_burst"], f"{row['weight']:g}", row["running"],
            row["blocked_lines"], _state(row), row["actor"], row["reason"],
        )  # fmt: skip
        table.add_row(*("" if cell is None else printable(str(cell)) for cell in cells))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


@limits.command("set")
@click.argument("name")
@KEY
@click.option(
    "--max-running", type=click.IntRange(0, INT4_MAX), help="So many run at the same time; 0 lets none start."
)
@click.option("--rate", metavar="COUNT/PERIOD", help="So many start in a time, such as 100/m.")
@click.option("--burst", type=COUNT, help="So many may start at once; by default the rate's count.")
@click.option("--weight", type=Finite(0, min_open=True), help="The share of the turns, 1 by default.")
@ACTOR
@REASON
@click.pass_obj
def set_limit(database: Database, /, name: str, rate: str | None, weight: float | None, **given: Any) -> None:
    """Change the limit NAME for all workers at once; what is not given stays as it is."""
    try:
        parsed = Rate(rate) if rate else None
    except OptionError as error:
        raise click.BadParameter(str(error), param_hint="--rate") from None
    if not any((parsed, weight, given["burst"])) and given["max_running"] is None:
        raise click.UsageError("say what to change: --max-running, --rate, --burst or --weight")
    _set(
        database,
        name,
        rate_count=parsed and parsed.count,
        rate_seconds=parsed and parsed.seconds,
        rate_burst=given["burst"],
        max_running=given["max_running"],
        weight=weight,
        key=given["key"],
        actor=given["actor"],
        reason=given["reason"],
    )
    click.echo(f"{name}: set")


@limits.command("reset")
@click.argument("name")
@KEY
@click.pass_obj
def reset_limit(database: Database, name: str, key: str) -> None:
    """Forget what was set at run time, and what is held back: what the code declares holds again."""
    was_set = _run(database, "reset_limit", name=name, key=key)[0]["was_set"]
    click.echo(f"{name}: {'reset' if was_set else 'nothing was set'}")
    sys.exit(not was_set)


@limits.command()
@click.argument("name")
@KEY
@ACTOR
@REASON
@click.pass_obj
def pause(database: Database, name: str, key: str, actor: str, reason: str | None) -> None:
    """Let nothing of the limit NAME start; what runs goes on."""
    _set(database, name, key=key, paused=True, actor=actor, reason=reason)
    click.echo(f"{name}: paused")


@limits.command()
@click.argument("name")
@KEY
@ACTOR
@click.pass_obj
def resume(database: Database, name: str, key: str, actor: str) -> None:
    """Let jobs of the limit NAME start again."""
    _set(database, name, key=key, paused=False, actor=actor)
    click.echo(f"{name}: resumed")


def _state(row: dict[str, Any]) -> str:
    held = row["held_until"]
    return "paused" if row["paused"] else f"held until {held:%Y-%m-%d %H:%M:%S}" if held else ""


def _set(database: Database, name: str, **changes: Any) -> None:
    names = ("key", "max_running", "rate_count", "rate_seconds", "rate_burst", "weight", "paused", "actor", "reason")
    known = {row["name"] for row in _run(database, "read_limits")}
    if name not in known:
        raise click.UsageError(f"no limit is named {name!r}; known are {', '.join(sorted(known)) or 'none'}")
    _run(database, "set_limit", name=name, **{each: changes.get(each) for each in names})


def _run(database: Database, statement: str, **params: Any) -> list[dict[str, Any]]:
    with connect(database.url) as connection:
        check(connection)
        return connection.cursor(row_factory=dict_row).execute(sql.load(statement), params).fetchall()
