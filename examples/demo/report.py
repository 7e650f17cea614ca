"""The table at the end, and the books."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from examples.demo.books import Entry
from examples.demo.registration import Answer, Registration

SHOWN_DIFFERENCES = 5


def figures_table(
    figures: dict[str, Any], registration: Registration, suppressed: int, more: Iterable[tuple[str, float | None, str]]
) -> Table:
    """What happened, and who says so.

    Args:
        figures: of `read_figures`.
        registration: the service's answers.
        suppressed: copies that the mail server recognised by their Message-ID.
        more: what the acts have to tell.
    """
    answers = {answer: len(people) for answer, people in registration.answers.items()}
    table = Table(title="What happened", title_justify="left", min_width=70)
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("according to", style="dim")
    for text, figure, source in (
        ("people registered", figures["users"], "SQL: users"),
        ("people rolled back", answers[Answer.ROLLED_BACK], "the service's answers"),
        ("duplicates refused", answers[Answer.DUPLICATE], "the service's answers"),
        ("invalid", answers[Answer.INVALID], "the service's answers"),
        ("mails delivered", figures["delivered"], "SQL: email_deliveries"),
        ("mails retried (451, come back later)", figures["retried"], "SQL: workrow.jobs"),
        ("mails discarded (550, refused)", figures["discarded"], "SQL: workrow.jobs"),
        ("killed worker's jobs recovered", figures["recovered"], "SQL: workrow.jobs"),
        ("copies suppressed by Message-ID", suppressed, "the maildir's .Duplicates"),
        ("mails per second, beside a killed worker", figures["jobs_per_second"], "SQL: workrow.jobs"),
        ("mails in the busiest second", figures["jobs_in_best_second"], "SQL: workrow.jobs"),
        ("from enqueue to start, p50 (ms)", figures["start_p50_ms"], "SQL: first attempts"),
        ("from enqueue to start, p95 (ms)", figures["start_p95_ms"], "SQL: first attempts"),
        *more,
    ):
        table.add_row(text, _number(figure), source)
    return table


def print_books(console: Console, entries: Iterable[Entry]) -> None:
    """Each entry with its two figures, and the first differences of those that do not balance."""
    table = Table(title="The books", title_justify="left", min_width=70)
    table.add_column("")
    table.add_column("")
    table.add_column("found", justify="right")
    table.add_column("due", justify="right")
    for entry in entries:
        mark = "[green]✓[/]" if entry.is_balanced else "[red]✗[/]"
        table.add_row(mark, entry.text, str(entry.found), str(entry.due))
    console.print(table)
    for entry in entries:
        for difference in entry.differences[:SHOWN_DIFFERENCES]:
            console.print(f"[red]✗[/] {entry.text}: {escape(difference)}", soft_wrap=True, highlight=False)
        hidden = len(entry.differences) - SHOWN_DIFFERENCES
        if hidden > 0:
            console.print(f"  … and {hidden} more", soft_wrap=True)


def _number(figure: Any) -> str:
    return "none" if figure is None else f"{figure:,.0f}"
