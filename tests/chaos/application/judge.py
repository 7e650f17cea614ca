"""The judge of the application's books: those of the demo, and what holds of every engine under it."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.demo import books
from examples.demo.acts import campaign, chats, leads
from examples.demo.books import Entry
from tests.chaos.application.traffic import Done
from tests.chaos.facts import EXAMPLES, Connection, Facts, Finding, told
from tests.chaos.judge import dead_workers, exits, history_incomplete, orphans, stuck
from tests.chaos.report import Verdict, totals
from tests.chaos.runs import claims_taken

TOTALS = {
    "jobs": "SELECT count(*) FROM workrow.jobs",
    "claims": "SELECT sum(claims) FROM workrow.jobs",
    "jobs that lived through a crash": "SELECT count(*) FROM workrow.jobs WHERE crashes > 0 OR claims > attempts",
    "people": "SELECT count(*) FROM users",
    "mails": "SELECT count(*) FROM email_deliveries",
    "leads": "SELECT count(*) FROM leads",
    "calls": "SELECT count(*) FROM calls",
    "messages": "SELECT count(*) FROM messages",
    "webhooks": "SELECT count(*) FROM webhook_deliveries",
}
REPORTED = """SELECT count(*), count(report.campaign_id) FROM campaigns
              LEFT JOIN campaign_reports AS report ON report.campaign_id = campaigns.id
              WHERE campaigns.started_at IS NOT NULL"""
BROKEN = re.compile(r'"[A-Z]+ (\S+) HTTP/[0-9.]+" 500')
"""An answer in the log of a service."""
CUT_OFF = "Task cancelled, timeout graceful shutdown exceeded"
"""A request that still waited for the database when a service had to end: uvicorn answers 500."""


def judge(connection: Connection, facts: Facts, done: Done, maildir: Path, logs: Path) -> Verdict:
    """All invariants, with what violates them.

    Args:
        connection: to the database, when all is over.
        facts: what the database does not know of the engine.
        done: what people did, and were told.
        maildir: of the mail server.
        logs: of workers and services.
    """
    found, judged = {}, {}
    for entry in entries(connection, facts, done, maildir):
        found[entry.text] = _finding(entry)
        judged[entry.text] = entry.due or entry.of
    for name, check in INVARIANTS.items():
        found[name], judged[name] = check(connection, facts)[:EXAMPLES], facts.starts
    found["the service answers, and as it says"] = (done.failures + broken_answers(logs))[:EXAMPLES]
    judged["the service answers, and as it says"] = facts.starts
    return Verdict(found, judged, totals(connection, TOTALS) | {"looks at the locks": facts.samples})


def entries(connection: Connection, facts: Facts, done: Done, maildir: Path) -> list[Entry]:
    """The books of all domains."""
    taken = Counter(claims_taken(facts))
    figures = books.read_figures(connection, done.registration)

    def may_copy(mail: dict[str, Any]) -> int:
        return mail["claims"] - 1 + taken[mail["job_id"]] if mail["job_id"] else 0

    started, reported = connection.execute(REPORTED).fetchone() or (0, 0)
    return [
        *books.compare(connection, figures, done.registration, maildir, may_copy),
        *leads.entries(connection, done.files),
        *campaign.entries(connection, done.campaigns, done.provider),
        Entry("campaigns with a report = campaigns started", reported, started),
        *chats.entries(connection, done.chats),
        *done.hooks.entries(connection, taken),
    ]


def not_done(connection: Connection, facts: Facts) -> Finding:
    """Jobs that have neither succeeded nor been given up on purpose.

    What is due by a schedule comes again; a debounced job that should wait again while a newer one waits ends in its
    favour (docs/state-machine.md), and the drafts tell whether its work was done.
    """
    return facts.unsettled + told(
        connection,
        """SELECT 'job ' || id || ' (' || task || ') is ' || status || ', claims ' || claims || ', crashes ' || crashes
                  || coalesce(': ' || error, '')
           FROM workrow.jobs
           WHERE status <> 'succeeded' AND NOT discarded
             AND NOT (status = 'cancelled' AND error_type IS NOT DISTINCT FROM 'workrow.Superseded')
             AND NOT (status = 'todo' AND task IN (SELECT task FROM workrow.schedules))""",
    )


def together(connection: Connection, facts: Facts) -> Finding:
    """Jobs that were seen beside another one of their lock, or too many others of their campaign."""
    return facts.together


def broken_answers(logs: Path) -> Finding:
    """Answers of 500: something that the service does not know happens."""
    found = []
    for log in sorted(logs.glob("service-*.log")):
        text = log.read_text(errors="replace")
        paths, cut_off = BROKEN.findall(text), text.count(CUT_OFF)
        if len(paths) > cut_off:
            found.append(f"{log.name} has {len(paths)} answers of 500, {cut_off} of them cut off: {', '.join(paths)}")
    return found


def _finding(entry: Entry) -> Finding:
    if entry.is_balanced:
        return []
    return [f"{entry.found} were found, and {entry.due} are due", *entry.differences[:EXAMPLES]]


INVARIANTS: dict[str, Callable[[Connection, Facts], Finding]] = {
    "every job is done": not_done,
    "no more at a time than locks and campaigns allow": together,
    "history complete, its times in order": history_incomplete,
    "nothing stuck in doing": stuck,
    "no dead worker registered": dead_workers,
    "no process ended by itself": exits,
    "no child outlives its worker": orphans,
}
