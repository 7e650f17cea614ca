"""``workrow workflow show``, ``list``, ``cancel``, ``retry``, ``pause`` and ``resume``."""

import json
import sys
import time
from datetime import datetime
from typing import Any

import click
import psycopg
from psycopg.rows import dict_row
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from workrow import sql
from workrow.cli.jobs import each_job
from workrow.cli.numbers import COUNT, JOB_ID
from workrow.cli.where import Database
from workrow.cli.workflows.parts import parts_of
from workrow.cli.workflows.pictures import mermaid, svg
from workrow.cli.workflows.tree import Line, tree
from workrow.errors import JobNotFound
from workrow.logs import printable
from workrow.schema import check
from workrow.schema.targets import connect

Row = dict[str, Any]
BAR = 20
"""Characters of a progress bar."""
LOOK_SECONDS = 0.5
"""How often a workflow is drawn anew, while it runs; or ten times as long as it takes to read it, if that is more."""
STYLES = {
    "succeeded": "green", "failed": "bold red", "running": "bold blue", "enqueued": "magenta", "ready": "yellow",
    "expanded": "blue", "waiting": "", "cancelled": "dim", "skipped": "dim",
}  # fmt: skip
STATES = ("running", "paused", "stopping", "cancelling", "compensating", "succeeded", "failed", "cancelled")


@click.group()
def workflow() -> None:
    """Workflows: how far they are, and what is done to them."""


@workflow.command()
@click.argument("workflow_id", type=JOB_ID, metavar="ID")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a flowchart for Mermaid.")
@click.option("--svg", "as_svg", is_flag=True, help="Print a drawing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: the workflow and its nodes.")
@click.pass_obj
def show(database: Database, workflow_id: int, as_mermaid: bool, as_svg: bool, as_json: bool) -> None:
    """Draw one as a tree; on a terminal again and again until it has ended. What is alike is one line."""
    if as_mermaid + as_svg + as_json > 1:
        raise click.UsageError("--mermaid, --svg and --json are three ways to print it: give one of them.")
    with connect(database.url) as connection:
        check(connection)
        connection.commit()
        connection.autocommit = True
        connection.read_only = True
        flow, nodes = read(connection, workflow_id)
        if as_json:
            told = {**flow, "nodes": nodes}
            click.echo(json.dumps(told, default=lambda value: value.isoformat(), ensure_ascii=False, indent=2))
        elif as_mermaid:
            click.echo(mermaid(parts_of(nodes)))
        elif as_svg:
            click.echo(svg(parts_of(nodes), _title(flow)))
        elif sys.stdout.isatty():
            _watch(connection, flow, nodes)
        else:
            for line in _lines(flow, nodes):
                click.echo(f"{line.lead}{line.text}")


@workflow.command("list")
@click.option("--state", type=click.Choice(STATES), help="Those in this state only.")
@click.option("--limit", type=COUNT, default=20, show_default=True, help="So many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def list_(database: Database, state: str | None, limit: int, as_json: bool) -> None:
    """List workflows, the newest first."""
    with connect(database.url) as connection:
        check(connection)
        params = {"id": None, "state": state, "max_rows": limit}
        rows = connection.cursor(row_factory=dict_row).execute(sql.load("list_workflows"), params).fetchall()
    if as_json:
        click.echo(json.dumps(rows, default=lambda value: value.isoformat(), ensure_ascii=False, indent=2))
        return
    table = Table()
    for name in ("id", "name", "state", "progress", "failed", "created", "ends"):
        table.add_column(name, justify="right" if name in ("id", "failed") else "left", overflow="fold")
    for row in rows:
        ends = _time(row["ended_at"]) or (f"expected {_time(row['expected_end'])}" if row["expected_end"] else "")
        progress = f"{row['done']:,} of {row['size']:,}"
        cells = (row["id"], row["name"], row["state"], progress, row["failed"], _time(row["created_at"]), ends)
        # Text, because brackets in a name are no markup
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _act(name: str, help_text: str, nothing: str) -> click.Command:
    """A command that does something to workflows, by their ids."""

    @click.argument("ids", nargs=-1, required=True, type=JOB_ID, metavar="ID…")
    @click.pass_obj
    def act(database: Database, ids: tuple[int, ...]) -> None:
        verdicts = each_job(database, f"{name}_workflow", ids)
        for workflow_id, verdict in verdicts.items():
            blocked = ": a newer job waits under a key of one of its jobs" if verdict == "blocked" else ""
            click.echo(f"{workflow_id}: {verdict or nothing}{blocked}")
        sys.exit(any(verdict is None or verdict.startswith(("blocked", "never")) for verdict in verdicts.values()))

    return click.command(name, help=help_text)(act)


workflow.add_command(
    _act("cancel", "What waits never runs, what runs is asked to abort.", "has ended already, or never existed")
)
workflow.add_command(
    _act(
        "retry",
        "Let them go on from where they failed, or were cancelled: what had succeeded is kept.",
        "has not failed, was compensated, or never existed",
    )
)
workflow.add_command(
    _act(
        "pause",
        "Nothing more of them starts; what runs goes on to its end.",
        "does not run: it has ended, or comes to its end, or never existed",
    )
)
workflow.add_command(_act("resume", "Let them go on.", "was not paused"))


def read(connection: psycopg.Connection, workflow_id: int) -> tuple[Row, list[Row]]:
    """The workflow, and its nodes.

    Raises:
        JobNotFound: there is none.
    """
    cursor = connection.cursor(row_factory=dict_row)
    params = {"id": workflow_id, "state": None, "max_rows": 1}
    flow = cursor.execute(sql.load("list_workflows"), params).fetchone()
    if flow is None:
        raise JobNotFound(f"there is no workflow {workflow_id}: it was pruned, or never existed")
    return flow, cursor.execute(sql.load("read_workflow_nodes"), {"id": workflow_id}).fetchall()


def _watch(connection: psycopg.Connection, flow: Row, nodes: list[Row]) -> None:
    """Draw it until it has ended, or somebody has seen enough."""
    console = Console()
    try:
        with Live(_drawn(flow, nodes), console=console, auto_refresh=False, transient=True) as live:
            while flow["ended_at"] is None:
                began = time.monotonic()
                flow, nodes = read(connection, flow["id"])
                live.update(_drawn(flow, nodes), refresh=True)
                time.sleep(max(LOOK_SECONDS, 10 * (time.monotonic() - began)))
    except KeyboardInterrupt:
        pass
    console.print(_drawn(flow, nodes))


def _drawn(flow: Row, nodes: list[Row]) -> Group:
    return Group(
        *(
            Text.assemble(line.lead, (line.text, STYLES.get(line.state, "bold")), no_wrap=True, overflow="ellipsis")
            for line in _lines(flow, nodes)
        )
    )


def _lines(flow: Row, nodes: list[Row]) -> list[Line]:
    full = round(BAR * flow["progress"])
    words = [f"{flow['done']:,} of {flow['size']:,} done"]
    words += [f"{flow['failed']:,} failed"] if flow["failed"] else []
    for name in ("started", "ended", "expected end"):
        at = flow[name.replace(" ", "_") if name == "expected end" else f"{name}_at"]
        words += [f"{name} {_time(at)}"] if at else []
    # what ends one by one is not 100 % before the last has
    bar = f"[{'#' * full}{'.' * (BAR - full)}] {int(100 * flow['progress'])}%, {', '.join(words)}"
    head = [Line("", _title(flow), ""), Line("", bar, "")]
    if flow["error_type"]:
        error = f"{flow['error_type']}: {(flow['error'] or '').partition(chr(10))[0]}"
        head.append(Line("", printable(f"first failure: {error}"), "failed"))
    return [*head, *tree(parts_of(nodes))]


def _title(flow: Row) -> str:
    return printable(f"workflow {flow['id']}: {flow['name']}, {flow['state']}")


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S%z}"
