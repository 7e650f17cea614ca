"""Small books of the application in which all is well."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from examples.demo.acts.campaign import Campaign
from examples.demo.acts.chats import DRAFTS, Chats
from examples.demo.acts.leads import Leads
from examples.demo.people import Person
from examples.demo.registration import Answer, Registration
from examples.demo.smtp_sink import Maildir
from tests.chaos.application.hooks import KINDS, Hooks, Moody
from tests.chaos.application.judge import judge
from tests.chaos.application.traffic import Done
from tests.chaos.facts import Facts

ADA, BOB, CARL = (Person(name, f"{name}@mail.example", rolled_back=name == "carl") for name in ("ada", "bob", "carl"))
KEYS = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(2)]
ENDS = ("completed", "busy")
EVENTS = ("msg_1", "msg_2")
COPIED = 1
"""The job whose first attempt died with the mail sent: there is a copy."""


@dataclass
class Books:
    """Books in which all is well, to be spoilt."""

    connection: psycopg.Connection[Any]
    facts: Facts
    done: Done
    maildir: Path
    logs: Path

    @classmethod
    def written(cls, connection: psycopg.Connection[Any], directory: Path) -> "Books":
        """In the connection's transaction, and in the directory."""
        books = cls(connection, Facts(starts=5), done(), directory / "maildir", directory)
        for write in (write_mails, write_leads, write_calls, write_chats, write_hooks):
            write(books)
        return books

    def violated(self) -> set[str]:
        verdict = judge(self.connection, self.facts, self.done, self.maildir, self.logs)
        return {name for name, examples in verdict.found.items() if examples}

    def sql(self, statement: str, *values: object) -> None:
        self.connection.execute(statement.encode(), values)

    def mail(self, cause: str, to: str, message_id: str | None = None) -> None:
        name = message_id or f"{cause}@workrow.example"
        Maildir(self.maildir).store(f"Message-ID: <{name}>\nTo: {to}\nSubject: {cause}\n\n".encode())


def done() -> Done:
    registration = Registration([ADA, BOB, CARL], "http://nowhere")
    registration.answers[Answer.REGISTERED] += [ADA, BOB]
    registration.answers[Answer.ROLLED_BACK].append(CARL)
    file = Leads(100, "http://nowhere")
    file.told = {"rows": 100, "merged": 2, "refused": 1}
    campaign = Campaign(2, file, "http://nowhere", "http://nowhere")
    campaign.report = {"completed": 1, "busy": 1}
    chats = Chats(1, 2, "http://nowhere", "", None)  # type: ignore[arg-type]
    chats.posted = {1: ["message 0", "message 1"]}
    receiver = Moody()
    receiver.taken = {kind: list(EVENTS) for kind in KINDS}
    hooks = Hooks(receiver)
    hooks.published = list(EVENTS)
    provider: dict[str, dict[str, Any]] = {
        "dialled": {"+4915120000000": 1, "+4915120000001": 1},
        "calls": dict(zip(KEYS, ENDS, strict=True)),
    }
    return Done(registration, hooks, [file], [campaign], [chats], provider)


def finish(books: Books, id: int, task: str, args: str, claims: int = 1, discarded: bool = False) -> None:
    status, errors = ("failed", '[{"message": "550", "discarded": true}]') if discarded else ("succeeded", None)
    books.sql(
        """INSERT INTO workrow.history (id, queue_name, task_name, priority, args, status, errors, attempts, worker,
               created_at, started_at, finished_at, claims, crashes)
           VALUES (%s, 'q', %s, 0, %s, %s, %s, 1, 'w', now() - interval '3 s', now() - interval '2 s',
               now() - interval '1 s', %s, 0)""",
        *(id, task, args, status, errors, claims),
    )


def write_mails(books: Books) -> None:
    """Ada has both mails, one of them twice; Bob's mailbox does not exist."""
    for id, person in ((1, ADA), (2, BOB)):
        books.sql("INSERT INTO users (id, email, name) OVERRIDING SYSTEM VALUE VALUES (%s, %s, 'x')", id, person.email)
        for number, kind in enumerate(("welcome", "verification")):
            job = 2 * id - 1 + number
            claims = 2 if job == COPIED else 1
            finish(books, job, f"emails.send_{kind}", f'{{"user_id": {id}}}', claims, discarded=person is BOB)
            if person is ADA:
                books.mail(f"{kind}.{id}", person.email)
                books.sql(
                    "INSERT INTO email_deliveries (cause, kind, recipient, message_id) VALUES (%s, %s, %s, 'x')",
                    *(f"{kind}.{id}", kind, person.email),
                )
    books.mail("welcome.1", ADA.email)


def write_leads(books: Books) -> None:
    books.sql(
        """INSERT INTO leads (id, email, phone, rules_version) OVERRIDING SYSTEM VALUE
           SELECT n, 'lead.' || n || '@mail.example', '+49151' || 20000000 + n, 1 FROM generate_series(1, 97) AS n"""
    )


def write_calls(books: Books) -> None:
    books.sql(
        "INSERT INTO campaigns (id, name, concurrency, started_at) OVERRIDING SYSTEM VALUE VALUES (1, 'x', 5, now())"
    )
    books.sql(
        "INSERT INTO campaign_reports (campaign_id, targets, completed, failed, no_answer, busy, cancelled, skipped)"
        " VALUES (1, 2, 1, 0, 0, 1, 0, 0)"
    )
    for number, (key, end) in enumerate(zip(KEYS, ENDS, strict=True)):
        books.sql(
            "INSERT INTO calls (key, phone, time_zone, state, scheduled_at) VALUES (%s, %s, 'UTC', %s, now())",
            *(key, f"+491512000000{number}", end),
        )


def write_chats(books: Books) -> None:
    books.sql("INSERT INTO chats (id, user_id, title) OVERRIDING SYSTEM VALUE VALUES (1, 1, 'x')")
    for number in range(2):
        books.sql(
            "INSERT INTO messages (id, chat_id, sender_id, client_id, text, posted_at)"
            " VALUES (%s, 1, 1, gen_random_uuid(), %s, now())",
            *(number, f"message {number}"),
        )
    books.sql("INSERT INTO drafts (chat_id, user_id, version, text, typed_at) VALUES (1, 1, %s, 'x', now())", DRAFTS)


def write_hooks(books: Books) -> None:
    for event in EVENTS:
        books.sql("INSERT INTO webhook_events (id, type, body) VALUES (%s, 'x', '{}')", event)
    for id, kind in enumerate(KINDS, 1):
        books.sql(
            "INSERT INTO webhook_subscriptions (id, url, events, description, secret, max_running)"
            " OVERRIDING SYSTEM VALUE VALUES (%s, 'http://x', '{*}', %s, 'x', 5)",
            *(id, kind),
        )
        for number, event in enumerate(EVENTS):
            job = 10 * id + number
            finish(books, job, "webhooks.deliver", "{}")
            books.sql(
                "INSERT INTO webhook_deliveries (event_id, subscription_id, status, job_id)"
                " VALUES (%s, %s, 'delivered', %s)",
                *(event, id, job),
            )
