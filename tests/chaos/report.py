"""The table at the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.chaos.facts import Facts, Finding
from tests.chaos.flows_judge import flows_unfinished, parts_wrong
from tests.chaos.judge import (
    INVARIANTS,
    Invariant,
    commits_forgotten,
    history_incomplete,
    jobs_from_nowhere,
    jobs_lost,
    lock_holders,
    not_done,
    over_limit,
    over_rate,
    plain_effects,
    steps_wrong,
    stuck,
    transactional_effects,
)
from tests.chaos.ticks import due_times, ticks_at_a_wrong_time, ticks_missing, ticks_twice

TOTALS = {
    "jobs": "SELECT count(*) FROM workrow.jobs",
    "of them quarantined": "SELECT count(*) FROM workrow.quarantine",
    "business rows committed": "SELECT count(*) FROM chaos.orders",
    "transactional effects": "SELECT count(*) FROM chaos.ledger",
    "other effects": "SELECT count(*) FROM chaos.effects",
    "claims": "SELECT sum(claims) FROM workrow.jobs",
    "jobs that lived through a crash": "SELECT count(*) FROM workrow.jobs WHERE crashes > 0 OR claims > attempts",
    "locks held": "SELECT count(*) FROM chaos.holds",
    "stays under limits and unique keys": "SELECT count(*) FROM chaos.stays",
    "transactional steps": "SELECT count(*) FROM chaos.stepped",
    "signals": "SELECT count(*) FROM workrow.job_signals",
    "workflows and batches": "SELECT count(*) FROM chaos.flows",
    "traces of their parts": "SELECT count(*) FROM chaos.parts",
    "ticks": "SELECT count(*) FROM chaos.ticks",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says.

    Attributes:
        found: each invariant, with what violates it.
        judged: by how many things each was judged.
        totals: what happened.
    """

    found: Mapping[str, Finding]
    judged: Mapping[str, int]
    totals: dict[str, object]


def totals(conn: psycopg.Connection, queries: Mapping[str, str]) -> dict[str, object]:
    """Figures that show that something happened."""
    found: dict[str, object] = {}
    for name, query in queries.items():
        row = conn.execute(query.encode()).fetchone()
        found[name] = row[0] if row else None
    return found


JUDGED: dict[Invariant, str] = {
    jobs_lost: "SELECT count(*) FROM chaos.orders",
    jobs_from_nowhere: "SELECT count(*) FROM workrow.jobs",
    not_done: "SELECT count(*) FROM workrow.jobs",
    transactional_effects: "SELECT (SELECT count(*) FROM chaos.ledger) + (SELECT count(*) FROM chaos.ticks)",
    plain_effects: "SELECT count(*) FROM chaos.effects",
    steps_wrong: "SELECT (SELECT count(*) FROM chaos.stepped) + (SELECT count(*) FROM workrow.job_signals)",
    flows_unfinished: "SELECT count(*) FROM chaos.flows",
    parts_wrong: "SELECT count(*) FROM chaos.parts",
    lock_holders: "SELECT count(*) FROM chaos.holds",
    over_limit: "SELECT count(*) FROM chaos.stays",
    over_rate: "SELECT count(*) FROM chaos.stays WHERE place LIKE 'tenant %'",
    ticks_twice: "SELECT count(*) FROM chaos.ticks",
    ticks_at_a_wrong_time: "SELECT count(*) FROM chaos.ticks",
    history_incomplete: "SELECT count(*) FROM workrow.history",
    stuck: "SELECT count(*) FROM workrow.jobs",
}


def judged(conn: psycopg.Connection, facts: Facts) -> dict[str, int]:
    """How many things each invariant was judged by: one that had none says nothing."""
    found: dict[str, int] = {}
    for name, check in INVARIANTS.items():
        if query := JUDGED.get(check):
            row = conn.execute(query.encode()).fetchone()
            found[name] = int(row[0]) if row else 0
        elif check is ticks_missing:
            found[name] = len(list(due_times(facts)))
        else:
            found[name] = len(facts.acknowledged) if check is commits_forgotten else facts.starts
    return found


def show(
    seed: int,
    faults: Mapping[str, int],
    found: Mapping[str, Finding],
    judged_: Mapping[str, int],
    totals_: Mapping[str, object],
    logs: Path,
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
    table = Table("invariant", "", "judged by")
    for name, examples in found.items():
        held = "[green]held[/green]" if judged_[name] else "[yellow]nothing to judge[/yellow]"
        table.add_row(name, "[red]VIOLATED[/red]" if examples else held, str(judged_[name]))
    console.print(table)
    for name, examples in found.items():
        for example in examples:
            console.print(f"[red]{escape(name)}[/red]: {escape(example)}", highlight=False, soft_wrap=True)
    verdict = "[red]violated[/red]" if any(found.values()) else "[green]all invariants held[/green]"
    empty = [name for name, examples in found.items() if not examples and not judged_[name]]
    if empty:
        verdict += f" of those that had something to judge, not: {', '.join(empty)}"
    console.print(f"seed {seed}: {verdict}; logs in {escape(str(logs))}", soft_wrap=True)
