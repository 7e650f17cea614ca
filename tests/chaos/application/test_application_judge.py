"""The judge of the application finds each way in which its books can be wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from examples.demo.registration import Answer
from tests.chaos.application.balanced import ADA, CARL, Books, finish
from tests.chaos.application.judge import CUT_OFF, judge
from tests.chaos.facts import Crash, Run


@pytest.fixture
def books(migrated_database_url: str, tmp_path: Path) -> Iterator[Books]:
    with psycopg.connect(migrated_database_url) as connection:
        yield Books.written(connection, tmp_path)
        connection.rollback()


def test_nothing_is_found_where_nothing_is_wrong(books: Books) -> None:
    assert books.violated() == set()


def test_all_of_it_is_judged(books: Books) -> None:
    verdict = judge(books.connection, books.facts, books.done, books.maildir, books.logs)
    assert [name for name, by in verdict.judged.items() if not by] == []


MAILS = "mails in the maildir = two per user, less the discarded"
LEDGER = "mails in the ledger = mails in the maildir"
FINISHED = "jobs finished = jobs"
DONE = "every job is done"
CALLS = "calls that ended here as at the provider = at the provider"
OUTCOMES = "outcomes in the campaign's report = targets"
MESSAGES, ORDER = "messages in the table = messages posted", "chats whose messages are in order = chats"
CAME = "events that came to the receiver = deliveries"
REPEATS = "events that came more often than attempts explain"
STRANGERS = "mails to anybody else who is no user"
COPIES = "copies that no interrupted attempt explains"
SPOILT_ROWS: list[tuple[str, set[str]]] = [
    ("DELETE FROM email_deliveries WHERE cause = 'welcome.1'", {LEDGER}),
    ("UPDATE workrow.history SET claims = 1 WHERE id = 1", {COPIES}),
    (
        "UPDATE workrow.history SET status = 'failed', errors = '[{\"message\": \"x\"}]' WHERE id = 2",
        {FINISHED, DONE},
    ),
    ("UPDATE workrow.history SET status = 'failed' WHERE id = 11", {DONE}),
    ("UPDATE workrow.history SET started_at = now() WHERE id = 11", {"history complete, its times in order"}),
    ("DELETE FROM leads WHERE id = 3", {"leads imported = good rows of the file"}),
    (
        "INSERT INTO leads (id, email, rules_version) OVERRIDING SYSTEM VALUE VALUES (98, 'more@mail.example', 1)",
        {"leads imported = good rows of the file"},
    ),
    ("UPDATE leads SET rules_version = 0 WHERE id = 3", {"leads scored = leads imported"}),
    ("DELETE FROM campaign_reports", {"campaigns with a report = campaigns started"}),
    ("UPDATE calls SET state = 'failed' WHERE state = 'busy'", {CALLS}),
    ("DELETE FROM calls WHERE state = 'busy'", {CALLS}),
    ("DELETE FROM messages WHERE id = 0", {MESSAGES, ORDER}),
    ("UPDATE messages SET id = 5 WHERE id = 0", {ORDER}),
    ("UPDATE drafts SET version = version - 1", {"drafts at their last version = chats"}),
    (
        "UPDATE webhook_deliveries SET status = 'failed' WHERE event_id = 'msg_1' AND subscription_id = 1",
        {"deliveries delivered = deliveries"},
    ),
    ("DELETE FROM webhook_events WHERE id = 'msg_1'", {"events published that are not in the table", CAME}),
    (
        "INSERT INTO procrastinate_jobs (id, queue_name, task_name, args, status)"
        " VALUES (77, 'q', 'leads.qualify', '{}', 'doing')",
        {DONE, "nothing stuck in doing"},
    ),
    ("INSERT INTO procrastinate_workers DEFAULT VALUES", {"no dead worker registered"}),
    (
        "INSERT INTO users (id, email, name) OVERRIDING SYSTEM VALUE VALUES (3, 'carl@mail.example', 'x')",
        {
            "users in the table = registrations confirmed",
            "users in the table who were rolled back",
            "jobs = two per user, none for anybody else",
            MAILS,
        },
    ),
]


@pytest.mark.parametrize(("statement", "expected"), SPOILT_ROWS)
def test_what_is_wrong_in_the_database_is_found(books: Books, statement: str, expected: set[str]) -> None:
    books.sql(statement)
    assert books.violated() == expected


def lose_mail(books: Books) -> None:
    (books.maildir / "new" / "welcome.1@workrow.example").unlink()


def answer_with_500(books: Books) -> None:
    line = 'INFO:     127.0.0.1:5 - "POST /chats HTTP/1.1" 500 Internal Server Error\n'
    (books.logs / "service-0.log").write_text(f"{line}asyncio.exceptions.CancelledError: {CUT_OFF}\n{line}")


SPOILT_FACTS: list[tuple[Callable[[Books], object], set[str]]] = [
    (lose_mail, {MAILS, LEDGER}),
    (
        lambda books: books.mail("welcome.1", ADA.email, "another@workrow.example"),
        {"mails that came twice", MAILS, LEDGER},
    ),
    (lambda books: books.mail("verification.1", ADA.email), {COPIES}),
    (lambda books: books.mail("welcome.3", CARL.email), {"mails to people rolled back", STRANGERS, MAILS, LEDGER}),
    (lambda books: books.mail("welcome.9", "eve@mail.example"), {STRANGERS, MAILS, LEDGER}),
    (
        lambda books: books.done.registration.answers[Answer.REGISTERED].pop(),
        {"people answered = people in the file", "users in the table = registrations confirmed"},
    ),
    (lambda books: books.done.files[0].told.update(merged=3), {"rows merged = addresses that came twice"}),
    (lambda books: books.done.files[0].told.update(refused=0), {"rows refused, each with its reason = bad rows"}),
    (lambda books: books.done.campaigns[0].report.update(busy=0), {OUTCOMES}),
    (lambda books: books.done.provider["dialled"].update({"+4915120000000": 2}), {"people who were called twice"}),
    (lambda books: books.done.provider["calls"].update({"unheard of": "completed"}), {CALLS}),
    (lambda books: books.done.chats[0].posted[1].append("message 2"), {MESSAGES, ORDER}),
    (lambda books: books.done.hooks.published.append("msg_3"), {"events published that are not in the table"}),
    (lambda books: books.done.hooks.receiver.taken["plain"].pop(), {CAME}),
    (lambda books: books.done.hooks.receiver.taken["plain"].append("msg_9"), {CAME}),
    (lambda books: books.done.hooks.receiver.taken["plain"].append("msg_1"), {REPEATS}),
    (lambda books: books.done.hooks.receiver.taken["ordered"].append("msg_1"), {REPEATS}),
    (
        lambda books: books.done.hooks.receiver.taken["ordered"].reverse(),
        {"ordered events that came before an earlier one"},
    ),
    (lambda books: setattr(books.done.hooks.receiver, "forged", 1), {"events with a wrong signature"}),
    (lambda books: books.done.failures.append("404"), {"the service answers, and as it says"}),
    (answer_with_500, {"the service answers, and as it says"}),
    (lambda books: books.facts.together.append("x"), {"no more at a time than locks and campaigns allow"}),
    (lambda books: books.facts.unsettled.append("x"), {DONE}),
    (lambda books: books.facts.exits.append("x"), {"no process ended by itself"}),
    (lambda books: books.facts.orphans.append("x"), {"no child outlives its worker"}),
]


@pytest.mark.parametrize(("spoil", "expected"), SPOILT_FACTS)
def test_what_is_wrong_elsewhere_is_found(books: Books, spoil: Callable[[Books], object], expected: set[str]) -> None:
    spoil(books)
    assert books.violated() == expected


def test_each_invariant_has_been_seen_to_fail(books: Books) -> None:
    verdict = judge(books.connection, books.facts, books.done, books.maildir, books.logs)
    assert set(verdict.found) == {name for _, names in [*SPOILT_ROWS, *SPOILT_FACTS] for name in names}


def test_what_a_crash_of_the_server_took_explains_a_repeat(books: Books) -> None:
    books.done.hooks.receiver.taken["plain"].append("msg_1")
    books.facts.crashes.append(Crash(100.0, 103.0))
    books.facts.runs += [Run(10, 1, 1, 99.0), Run(10, 1, 2, 104.0)]
    assert books.violated() == set()
    books.done.hooks.receiver.taken["plain"].append("msg_1")
    assert books.violated() == {REPEATS}


def test_a_job_that_ends_in_favour_of_a_newer_one_is_done(books: Books) -> None:
    finish(books, 50, "chats.persist_draft", "{}")
    books.sql("UPDATE workrow.history SET status = 'cancelled', attempts = 0, worker = NULL WHERE id = 50")
    assert books.violated() == {DONE}
    books.sql('UPDATE workrow.history SET errors = \'[{"type": "workrow.Superseded"}]\' WHERE id = 50')
    assert books.violated() == set()


def test_an_answer_that_the_end_of_a_service_cut_off_is_excused(books: Books) -> None:
    line = 'INFO:     127.0.0.1:5 - "POST /chats HTTP/1.1" 500 Internal Server Error\n'
    (books.logs / "service-0.log").write_text(f"{line}asyncio.exceptions.CancelledError: {CUT_OFF}\n")
    assert books.violated() == set()
