"""The table at the end."""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.chaos.judge import Facts, Finding, due_times

TOTALS = {
    "jobs": "SELECT count(*) FROM workrow.jobs",
    "of them quarantined": "SELECT count(*) FROM workrow.quarantine",
    "business rows committed": "SELECT count(*) FROM chaos.orders",
    "transactional effects": "SELECT count(*) FROM chaos.ledger",
    "other effects": "SELECT count(*) FROM chaos.effects",
    "claims": "SELECT sum(claims) FROM workrow.jobs",
    "jobs that lived through a crash": "SELECT count(*) FROM workrow.jobs WHERE crashes > 0 OR claims > attempts",
    "locks held": "SELECT count(*) FROM chaos.holds",
    "ticks": "SELECT count(*) FROM chaos.ticks",
}


def totals(conn: psycopg.Connection, facts: Facts) -> dict[str, object]:
    """Figures that show that something happened."""
    found: dict[str, object] = {}
    for name, query in TOTALS.items():
        row = conn.execute(query.encode()).fetchone()
        found[name] = row[0] if row else None
    return found | {"ticks nothing excused from": len(list(due_times(facts))), "looks at the locks": facts.samples}


def show(
    seed: int, faults: Mapping[str, int], found: Mapping[str, Finding], totals_: Mapping[str, object], logs: Path
) -> None:
    """Print faults, invariants and totals."""
    console = Console()
    table = Table("fault injected", "times", title=f"chaos, seed {seed}")
    for name, count in sorted(faults.items()):
        table.add_row(name, str(count))
    table.add_row("all", str(sum(faults.values())), style="bold")
    console.print(table)
    table = Table("total", "")
    for name, value in totals_.items():
        table.add_row(name, str(value))
    console.print(table)
    table = Table("invariant", "")
    for name, examples in found.items():
        table.add_row(name, "[red]VIOLATED[/red]" if examples else "[green]held[/green]")
    console.print(table)
    for name, examples in found.items():
        for example in examples:
            console.print(f"[red]{escape(name)}[/red]: {escape(example)}", highlight=False, soft_wrap=True)
    verdict = "[red]violated[/red]" if any(found.values()) else "[green]all invariants held[/green]"
    console.print(f"seed {seed}: {verdict}; logs in {escape(str(logs))}", soft_wrap=True)
