"""The books: what the database, the service's answers and the maildir say must be the same."""

import email.parser
import email.policy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from examples.demo.database import query
from examples.demo.registration import Answer, Registration
from examples.demo.smtp_sink import DUPLICATES
from jobs.users.service import normalised_email


@dataclass(frozen=True, order=True)
class Mail:
    """A mail, received or expected: what it is for (`welcome.42`), and to whom."""

    cause: str
    recipient: str

    def __str__(self) -> str:
        return f"{self.cause} to {self.recipient}"


@dataclass(frozen=True)
class Entry:
    """Two figures that must be equal, and, one line each, what makes them differ.

    Attributes:
        of: where none is due: among how many things it was looked for.
    """

    text: str
    found: int
    due: int
    differences: tuple[str, ...] = ()
    of: int = 0

    @property
    def is_balanced(self) -> bool:
        return self.found == self.due and not self.differences


def read_figures(
    connection: psycopg.Connection[Any], registration: Registration, left: Sequence[int] = ()
) -> dict[str, Any]:
    """What the tables and views say in figures; see `sql/figures.sql`.

    Args:
        connection: to the database of the application.
        registration: what was asked of the service, and its answers.
        left: ids of the jobs that the killed worker was running.
    """
    parameters = {"rolled_back": sorted(_rolled_back(registration)), "left": list(left)}
    with connection.cursor(row_factory=dict_row) as cursor:
        figures = cursor.execute(query("figures"), parameters).fetchone()
    assert figures is not None
    return figures


def compare(
    connection: psycopg.Connection[Any],
    figures: dict[str, Any],
    registration: Registration,
    maildir: Path,
    may_copy: Callable[[dict[str, Any]], int],
) -> list[Entry]:
    """The entries of people and their mails. Arguments as for `read_figures`, whose result is `figures`.

    Args:
        may_copy: how many copies a mail may have, given its row of `sql/expected_mails.sql`.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        owed = cursor.execute(query("expected_mails")).fetchall()
        ledger = {Mail(**row) for row in cursor.execute(query("ledger"))}
        unfinished = cursor.execute(query("unfinished_jobs")).fetchall()
    users = {row["recipient"] for row in owed}
    expected = {Mail(row["cause"], row["recipient"]) for row in owed if not row["discarded"]}
    received, subjects = _read_maildir(maildir)
    copies, _ = _read_maildir(maildir / DUPLICATES)
    needless = Counter(mail.cause for mail in copies)
    needless.subtract({row["cause"]: may_copy(row) for row in owed})
    needless = +needless  # those above zero
    taken_back = _rolled_back(registration)
    rolled_back = [mail for mail in received if mail.recipient in taken_back]
    strangers = [mail for mail in received if mail.recipient not in users]
    twice = {subject: count - 1 for subject, count in subjects.items() if count > 1}
    return [
        Entry(
            "people answered = people in the file",
            registration.succeeded,
            len(registration.people),
            tuple(registration.failures),
        ),
        Entry(
            "users in the table = registrations confirmed",
            figures["users"],
            len(registration.answers[Answer.REGISTERED]),
        ),
        Entry("users in the table who were rolled back", figures["rolled_back_users"], 0, of=len(taken_back)),
        Entry("jobs = two per user, none for anybody else", figures["jobs"], 2 * figures["users"]),
        Entry(
            "jobs finished = jobs", figures["finished"], figures["jobs"], tuple(_describe(row) for row in unfinished)
        ),
        Entry(
            "mails in the maildir = two per user, less the discarded",
            len(received),
            2 * figures["users"] - figures["discarded"],
            _differences({"missing": expected - set(received), "unexpected": set(received) - expected}),
        ),
        Entry(
            "mails to people rolled back", len(rolled_back), 0, _differences({"sent": rolled_back}), of=len(taken_back)
        ),
        Entry(
            "mails to anybody else who is no user",
            len(strangers),
            0,
            _differences({"sent": strangers}),
            of=len(received),
        ),
        Entry("mails that came twice", sum(twice.values()), 0, _differences({"twice": twice}), of=len(received)),
        Entry(
            "copies that no interrupted attempt explains",
            needless.total(),
            0,
            _differences({"copy": needless}),
            of=len(received),
        ),
        Entry(
            "mails in the ledger = mails in the maildir",
            len(ledger),
            len(received),
            _differences({"only in the ledger": ledger - set(received), "only in the maildir": set(received) - ledger}),
        ),
    ]


def _read_maildir(maildir: Path) -> tuple[list[Mail], Counter[str]]:
    """The mails, and how often each subject came to each recipient, whatever the Message-ID."""
    parser = email.parser.HeaderParser(policy=email.policy.default)
    mails = []
    subjects: Counter[str] = Counter()
    for path in (maildir / "new").iterdir():
        # as text: a header may be UTF-8 as it is (SMTPUTF8), which the parser of bytes does not decode
        message = parser.parsestr(path.read_bytes().decode(errors="replace"))
        recipient = normalised_email(message["To"].addresses[0].addr_spec)
        mails.append(Mail(str(message["Message-ID"]).strip("<>").rpartition("@")[0], recipient))
        subjects[f"{message['Subject']!r} to {recipient}"] += 1
    return mails, subjects


def _rolled_back(registration: Registration) -> set[str]:
    """The addresses that no other row of the file registered."""
    answers = registration.answers
    return {normalised_email(person.email) for person in answers[Answer.ROLLED_BACK]} - {
        normalised_email(person.email) for person in answers[Answer.REGISTERED]
    }


def _differences(found: dict[str, Iterable[Any]]) -> tuple[str, ...]:
    return tuple(f"{what}: {each}" for what, those in found.items() for each in sorted(those))


def _describe(row: dict[str, Any]) -> str:
    return f"job {row['id']} ({row['task']}) is {row['status']}: {row['error'] or 'no error yet'}"
