"""``workrow status``: queues, tasks, workers, the latest failures and what cannot run, from the public views."""

import json
import sys
from datetime import datetime, timedelta
from typing import Any

import click
from psycopg import IsolationLevel
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workrow import sql
from workrow.cli.where import Database
from workrow.logs import printable
from workrow.schema import check
from workrow.schema.targets import connect

Row = dict[str, Any]
PLAIN = ("pauses", "caps", "quarantine", "unroutable", "held", "notifications")
SECTIONS = ("queues", "tasks", "workers", "failures", *PLAIN)
PIPE_WIDTH = 200
"""Columns of text when the output is no terminal."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def status(database: Database, as_json: bool) -> None:
    """Show queues, tasks, workers, the latest failures, and what cannot run."""
    found = read(database.url)
    if as_json:
        click.echo(json.dumps(found, default=lambda value: value.isoformat(), ensure_ascii=False, indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(_queues(found["queues"]))
    console.print(_tasks(found["tasks"]))
    console.print(_workers(found["workers"]))
    console.print(_failures(found["failures"]))
    for section in PLAIN:
        if found[section]:
            console.print(_plain(section.capitalize(), found[section]))


def read(url: str) -> dict[str, list[Row]]:
    """The rows of every section, all of one moment.

    Raises:
        DatabaseUnavailable: nothing answers at the URL.
        SchemaError: its schema is not the one that this package works with.
    """
    with connect(url) as connection:
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        check(connection)
        cursor = connection.cursor(row_factory=dict_row)
        return {section: cursor.execute(sql.load(f"read_{section}")).fetchall() for section in SECTIONS}


def _queues(rows: list[Row]) -> Table:
    table = _table("Queues", ["queue"], ["depth", "ready", "scheduled", "running", "oldest ready"])
    for row in rows:
        counts = (row["depth"], row["ready"], row["scheduled"], row["running"])
        _add(table, row["queue"], *counts, _duration(row["oldest_ready_seconds"]))
    return table


def _tasks(rows: list[Row]) -> Table:
    counts = ["finished", "succeeded", "failed", "discarded", "cancelled", "retried"]
    table = _table("Tasks", ["task", "last"], [*counts, "success", "waiting p50 / p95", "processing p50 / p95"])
    for row in rows:
        _add(
            table,
            row["task"],
            row["window"],
            *(row[count] for count in counts),
            "" if row["success_rate"] is None else f"{row['success_rate']:.1%}",
            f"{_duration(row['waiting_p50_seconds'])} / {_duration(row['waiting_p95_seconds'])}",
            f"{_duration(row['processing_p50_seconds'])} / {_duration(row['processing_p95_seconds'])}",
        )
    return table


def _workers(rows: list[Row]) -> Table:
    table = _table("Workers", ["id", "name", "host", "queues", "version", "heartbeat"], ["pid", "slots", "running"])
    for row in rows:
        _add(
            table,
            row["id"],
            row["name"] or "(stock procrastinate)",
            row["host"],
            ", ".join(row["queues"] or ["all"]) if row["name"] else "",
            row["version"],
            "died"
            if row["heartbeat_age_seconds"] is None
            else f"{_duration(row['heartbeat_age_seconds'])} ago"
            + (", lost" if not row["alive"] else ", stops" if row["stopping_at"] else ""),
            row["pid"],
            row["concurrency"],
            row["running"],
        )
    return table


def _failures(rows: list[Row]) -> Table:
    table = _table("Latest failures", ["job", "task", "queue", "finished", "error"], ["attempts"])
    for row in rows:
        error = ": ".join(part for part in (row["error_type"], row["error"]) if part)
        _add(
            table,
            row["id"],
            row["task"],
            row["queue"],
            f"{row['finished_at']:%Y-%m-%d %H:%M:%S%z}",
            ("discarded, " if row["discarded"] else "") + error.partition("\n")[0],
            row["attempts"],
        )
    return table


def _plain(title: str, rows: list[Row]) -> Table:
    table = _table(title, list(rows[0]), [])
    for row in rows:
        _add(
            table, *(f"{value:%Y-%m-%d %H:%M:%S%z}" if isinstance(value, datetime) else value for value in row.values())
        )
    return table


def _table(title: str, texts: list[str], numbers: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", expand=False)
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _add(table: Table, *values: object) -> None:
    # Text, because brackets in an error's message are no markup
    table.add_row(*(Text("" if value is None else printable(str(value))) for value in values))


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
