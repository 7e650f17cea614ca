"""Show the results: tables for a person, JSON for a program."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Results, Row, ratio, short
from benchmarks.goals import GOALS
from benchmarks.peers import OURS, RAW

FOOTNOTE = (
    "Medians of the runs; every peer has its turn in each round, in an empty database of its own on the same server. "
    "Drain: the queue is filled first; the clock runs from the first task's first line to the moment when the database "
    "shows the last job's end committed (Redis: acknowledged, append-only file synced each second). The start of the "
    "processes is left out for everybody. Every peer gets as many jobs as keep it busy for about the same time. "
    "Enqueue: the clock runs in the client, after it has connected."
)
COLOURS = {"reached": "green", "not reached": "red", "not measured": "dim"}


def show(console: Console, results: Results, server: str) -> None:
    """One table for each case, then the goals."""
    console.print(
        f"\n{server}, {os.cpu_count()} cores, load average {os.getloadavg()[1]:.1f}, large tables x {results.scale:g}"
    )
    done: set[tuple[str, str]] = set()
    for row in results.rows:
        key = (row.workload, row.case)
        if key not in done:
            done.add(key)
            console.print(_table([each for each in results.rows if (each.workload, each.case) == key]))
    console.print(FOOTNOTE, style="dim")
    console.print(_goals(results))


def _table(rows: list[Row]) -> Table:
    first = rows[0]
    values = {row.peer: row.value for row in rows}
    table = Table(title=f"{first.workload}: {first.case}", title_justify="left", title_style="bold")
    table.add_column("peer", no_wrap=True)
    table.add_column(first.unit, justify="right", no_wrap=True)
    for heading in ("lowest-highest", "jobs", f"/ {RAW}", f"{OURS} /"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("settings")
    for row in rows:
        if row.reason is not None:
            table.add_row(row.peer, "-", "", "", "", "", f"not run: {row.reason}", style="dim")
            continue
        spread = f"{short(min(row.values))}-{short(max(row.values))}" if len(row.values) > 1 else ""
        to_raw, to_ours = ratio(row.value, values.get(RAW)), ratio(values.get(OURS), row.value)
        table.add_row(
            row.peer,
            short(row.value),
            spread,
            f"{row.jobs:,}" if row.jobs else "",
            short(to_raw),
            short(to_ours),
            row.settings,
            style="bold" if row.peer == OURS else "",
        )
    return table


def _goals(results: Results) -> Table:
    table = Table(title="goals", title_justify="left", title_style="bold")
    for heading in ("what", "goal", "figure", ""):
        table.add_column(heading, justify="right" if heading in ("goal", "figure") else "left")
    for goal in GOALS:
        figure, verdict = goal.verdict(results)
        table.add_row(goal.what, goal.goal, figure, f"[{COLOURS[verdict]}]{verdict}[/]")
    return table


def write(path: Path, results: Results, server: str) -> None:
    """The same as a file."""
    goals: list[dict[str, Any]] = []
    for goal in GOALS:
        figure, verdict = goal.verdict(results)
        goals.append({"what": goal.what, "goal": goal.goal, "figure": figure, "verdict": verdict})
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": server,
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "scale": results.scale,
        "python": platform.python_version(),
        "rows": [row.as_json() for row in results.rows],
        "goals": goals,
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
