"""What is sent, to whom, how often, and what happens when the mail server says no."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg
import pytest

import workrow
from jobs import database
from jobs.emails import letters, service, tasks
from jobs.settings import get_settings
from jobs.users.models import User
from tests.domains.conftest import MailServer, header, jobs, scalar, until

ROOT = Path(__file__).parent.parent.parent
Work = Callable[[], Awaitable[None]]

pytestmark = pytest.mark.usefixtures("application")


async def a_user(name: str = "Ada", email: str = "ada@example.com") -> int:
    """A user, without going through the service that would refuse some of the names."""
    async with database.session() as session, session.begin():
        user = User(name=name, email=email)
        session.add(user)
    return user.id


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


async def test_a_worker_delivers_what_a_registration_enqueues(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any]
) -> None:
    user_id = await a_user()
    for task in (tasks.send_welcome, tasks.send_verification):
        await task.enqueue(None, user_id=user_id)
    await tasks.send_password_reset.enqueue(None, user_id=user_id, request_id="r1")
    await work()
    assert mail.recipients() == ["ada@example.com"] * 3
    for job, cause in zip(
        jobs(conn), (f"welcome.{user_id}", f"verification.{user_id}", "password-reset.r1"), strict=True
    ):
        assert job["status"] == "succeeded"
        message_id = f"<{cause}@workrow.example>"
        assert job["result"] == {"message_id": message_id, "recipient": "ada@example.com", "sent": True}
        ledger = conn.execute(
            "SELECT message_id, recipient, job_id FROM email_deliveries WHERE cause = %s", (cause,)
        ).fetchone()
        assert ledger == (message_id, "ada@example.com", job["id"])


@pytest.mark.parametrize(
    ("letter", "subject", "path"),
    [
        (letters.WELCOME, "Welcome, Ada <b>", None),
        (letters.VERIFICATION, "Please confirm your e-mail address", "/verify/"),
        (letters.PASSWORD_RESET, "Reset your password", "/password-reset/"),
    ],
)
async def test_every_letter_has_both_parts_and_its_link(letter: letters.Letter, subject: str, path: str | None) -> None:
    message = letters.compose(letter, User(id=7, name="Ada <b>", email="ada@example.com"), cause="c.7")
    text, html = part(message, "plain"), part(message, "html")
    assert message["Subject"] == subject
    assert message.get_content_type() == "multipart/alternative"
    assert "Ada <b>" in text
    assert "Ada &lt;b&gt;" in html
    assert "<b>" not in html
    assert message["From"] == "Workrow <no-reply@workrow.example>"
    assert message["Message-ID"] == "<c.7@workrow.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert abs(message["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    for body in (text, html):
        assert (f"http://localhost:8000{path}" in body) == (path is not None)
        assert "{" not in body


def test_every_letter_has_two_templates_and_every_template_a_letter() -> None:
    kinds = {letter.kind for letter in vars(letters).values() if isinstance(letter, letters.Letter)}
    files = {path.name for path in (Path(letters.__file__).parent / "templates").iterdir()}
    assert files == {f"{kind}.{form}.j2" for kind in kinds | {"layout"} for form in ("txt", "html")}


async def test_a_template_that_names_what_is_not_there_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    import jinja2

    with pytest.raises(jinja2.UndefinedError, match="nobody"):
        letters._templates().from_string("Hello {{ nobody }}").render(name="Ada")


@pytest.mark.parametrize("name", ["Ada\r\nBcc: all@example.com", "Ada\nX-Evil: 1", "Ada\u2028Bcc: all@example.com"])
async def test_a_line_break_in_a_name_adds_no_header(mail: MailServer, work: Work, name: str) -> None:
    await tasks.send_welcome.enqueue(None, user_id=await a_user(name))
    await work()
    (message,) = mail.received
    assert {"Bcc", "X-Evil"}.isdisjoint(message.keys())
    assert message["To"].addresses[0].display_name == " ".join(name.split())
    assert mail.recipients() == ["ada@example.com"]


@pytest.mark.parametrize(
    ("name", "email", "received"),
    [
        ("Zoë Ångström", "zoe@example.com", "zoe@example.com"),
        ("张伟", "zhang@example.com", "zhang@example.com"),
        ('O"Brien, Jr. <x@y.z>', "obrien@example.com", "obrien@example.com"),
        ("Jürgen", "jürgen@example.com", "jürgen@example.com"),
        ("Bücher", "info@bücher.example", "info@xn--bcher-kva.example"),
        ("x" * 200, "long@example.com", "long@example.com"),
    ],
)
async def test_names_and_addresses_of_all_the_world_arrive(
    mail: MailServer, work: Work, name: str, email: str, received: str
) -> None:
    await tasks.send_welcome.enqueue(None, user_id=await a_user(name, email))
    await work()
    (message,) = mail.received
    assert header(message["To"].addresses[0].display_name) == name
    assert header(message["To"].addresses[0].addr_spec) == received
    assert header(message["Subject"]) == f"Welcome, {name}"
    assert f"Hello {name}," in part(message, "plain")


async def test_the_same_cause_sends_once(mail: MailServer, work: Work, conn: psycopg.Connection[Any]) -> None:
    user_id = await a_user()
    for _ in range(3):
        await tasks.send_welcome.enqueue(None, user_id=user_id)
    await work()
    assert len(mail.received) == 1
    assert [job["result"]["sent"] for job in jobs(conn)] == [True, False, False]


async def test_another_request_is_another_cause(mail: MailServer, work: Work) -> None:
    user_id = await a_user()
    for request_id in ("r1", "r2", "r1"):
        await tasks.send_password_reset.enqueue(None, user_id=user_id, request_id=request_id)
    await work()
    assert sorted(message["Message-ID"] for message in mail.received) == [
        "<password-reset.r1@workrow.example>",
        "<password-reset.r2@workrow.example>",
    ]


async def deliver(user_id: int) -> service.Delivery:
    async with database.session() as session, session.begin():
        return await service.deliver(session, letters.WELCOME, user_id, cause="c", job_id=None)


async def test_two_attempts_at_the_same_moment_send_once(mail: MailServer) -> None:
    user_id = await a_user()
    deliveries = await asyncio.gather(*(deliver(user_id) for _ in range(5)))
    assert sorted(delivery.sent for delivery in deliveries) == [False] * 4 + [True]
    assert len(mail.received) == 1


async def test_an_attempt_that_waited_for_one_that_failed_sends(mail: MailServer) -> None:
    user_id = await a_user()
    answers = iter(["451 4.3.0 Later"])

    class Once(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            return next(answers, default)

    mail.answers = Once()
    results = await asyncio.gather(deliver(user_id), deliver(user_id), return_exceptions=True)
    (failed,) = [result for result in results if isinstance(result, Exception)]
    assert str(failed) == "451 4.3.0 Later"
    assert len(mail.received) == 1


async def test_a_refused_address_ends_the_job_with_the_words_of_the_server(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any]
) -> None:
    mail.answers["ada@example.com"] = "550 5.1.1 No such mailbox here"
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"], job["attempts"]) == ("failed", True, 1)
    assert job["error"] == "550 5.1.1 No such mailbox here"
    assert job["error_type"].endswith("RefusedAddress")
    assert scalar(conn, "SELECT count(*) FROM email_deliveries") == 0


@pytest.mark.parametrize("answer", ["451 4.7.1 Greylisted, come again", "530 5.7.0 Authentication required"])
async def test_a_server_that_says_later_is_asked_again(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any], answer: str
) -> None:
    mail.answers["ada@example.com"] = answer
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"], job["error"]) == ("todo", False, answer)
    assert job["scheduled_at"] > job["started_at"]

    mail.answers.clear()
    conn.execute("UPDATE procrastinate_jobs SET scheduled_at = NULL")
    await work()
    (job,) = jobs(conn)
    assert job["status"] == "succeeded"
    assert len(mail.received) == 1


async def test_an_unreachable_server_is_tried_again(
    work: Work, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_SMTP_PORT", "1")
    get_settings.cache_clear()
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"]) == ("todo", False)
    assert job["scheduled_at"] > job["started_at"]
    assert "127.0.0.1" in job["error"]
    assert scalar(conn, "SELECT count(*) FROM email_deliveries") == 0


async def test_a_server_that_hangs_up_is_tried_again(
    work: Work, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        monkeypatch.setenv("WORKROW_SMTP_PORT", str(server.sockets[0].getsockname()[1]))
        get_settings.cache_clear()
        await tasks.send_welcome.enqueue(None, user_id=await a_user())
        await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"]) == ("todo", False)


async def test_an_address_beyond_ascii_is_refused_by_a_server_that_cannot_take_it(
    work: Work, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(MailServer(), hostname="mx.test"), "127.0.0.1", 0)
    async with server:
        monkeypatch.setenv("WORKROW_SMTP_PORT", str(server.sockets[0].getsockname()[1]))
        get_settings.cache_clear()
        await tasks.send_welcome.enqueue(None, user_id=await a_user("Jürgen", "jürgen@example.com"))
        await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"]) == ("failed", True)
    assert "SMTPUTF8" in job["error"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_nothing_is_sent_in_the_clear_when_encryption_is_asked_for(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    monkeypatch.setenv("WORKROW_SMTP_TLS", tls)
    get_settings.cache_clear()
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"]) == ("todo", False)
    assert mail.received == []


@pytest.mark.parametrize(("password", "status", "received"), [("right", "succeeded", 1), ("wrong", "todo", 0)])
async def test_the_mail_server_is_told_the_password(
    mail: MailServer,
    work: Work,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    status: str,
    received: int,
) -> None:
    monkeypatch.setenv("WORKROW_SMTP_USERNAME", "mailer")
    monkeypatch.setenv("WORKROW_SMTP_PASSWORD", password)
    get_settings.cache_clear()
    mail.password = b"right"
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    await work()
    assert jobs(conn)[0]["status"] == status
    assert len(mail.received) == received


async def test_a_malformed_address_in_the_table_is_discarded(work: Work, conn: psycopg.Connection[Any]) -> None:
    await tasks.send_welcome.enqueue(None, user_id=await a_user("Ada", "no address at all"))
    await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"]) == ("failed", True)


async def test_a_mail_to_a_user_who_is_gone_is_discarded(work: Work, conn: psycopg.Connection[Any]) -> None:
    await tasks.send_welcome.enqueue(None, user_id=12345)
    await work()
    (job,) = jobs(conn)
    assert (job["status"], job["discarded"], job["error"]) == ("failed", True, "there is no user 12345")


BLOCKER = 4711  # the advisory lock that the triggers below wait for

BLOCK_THE_FINISH = """
CREATE FUNCTION block_the_finish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN OLD; END $$;
CREATE TRIGGER block_the_finish BEFORE DELETE ON procrastinate_jobs
FOR EACH ROW WHEN (OLD.status = 'doing') EXECUTE FUNCTION block_the_finish();
"""
UNBLOCK_THE_FINISH = "DROP FUNCTION block_the_finish CASCADE"

BLOCK_THE_LEDGER = """
CREATE FUNCTION block_the_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER block_the_ledger AFTER INSERT ON email_deliveries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION block_the_ledger();
"""
UNBLOCK_THE_LEDGER = "DROP FUNCTION block_the_ledger CASCADE"


@contextmanager
def blocked(conn: psycopg.Connection[Any], create: str, drop: str) -> Iterator[None]:
    conn.execute("SELECT pg_advisory_lock(%s)", (BLOCKER,))
    conn.execute(create)
    try:
        yield
    finally:
        # whoever waits would go on when the lock is released, its dead client notwithstanding
        conn.execute(
            """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event = 'advisory'"""
        )
        conn.execute("SELECT pg_advisory_unlock(%s)", (BLOCKER,))
        conn.execute(drop)


@asynccontextmanager
async def worker_process() -> AsyncIterator[asyncio.subprocess.Process]:
    """A real worker in a process of its own; killed with -9 at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "procrastinate", "--app=app.app", "worker"),
        cwd=ROOT,
        env=dict(os.environ),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def somebody_waits_for_the_blocker(conn: psycopg.Connection[Any]) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
    await until(lambda: scalar(conn, query) > 0)


def rescue(conn: psycopg.Connection[Any]) -> None:
    """What becomes of a dead worker's job."""
    conn.execute("UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE status = 'doing'")


async def test_a_worker_killed_between_send_and_finish_does_not_send_again(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any]
) -> None:
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    with blocked(conn, BLOCK_THE_FINISH, UNBLOCK_THE_FINISH):
        async with worker_process():
            await somebody_waits_for_the_blocker(conn)
            assert scalar(conn, "SELECT count(*) FROM email_deliveries") == 1
            assert len(mail.received) == 1
    assert jobs(conn)[0]["status"] == "doing"

    rescue(conn)
    await work()
    (job,) = jobs(conn)
    assert job["status"] == "succeeded"
    assert job["result"]["sent"] is False
    assert len(mail.received) == 1


async def test_a_worker_killed_before_the_ledger_commits_sends_again_under_the_same_message_id(
    mail: MailServer, work: Work, conn: psycopg.Connection[Any]
) -> None:
    await tasks.send_welcome.enqueue(None, user_id=await a_user())
    with blocked(conn, BLOCK_THE_LEDGER, UNBLOCK_THE_LEDGER):
        async with worker_process():
            await somebody_waits_for_the_blocker(conn)
            assert len(mail.received) == 1
    assert scalar(conn, "SELECT count(*) FROM email_deliveries") == 0

    rescue(conn)
    await work()
    (job,) = jobs(conn)
    assert job["result"]["sent"] is True
    first, second = mail.received
    assert first["Message-ID"] == second["Message-ID"]


def test_the_tasks_of_the_application_have_these_names(application: workrow.App) -> None:
    """Names are in queued rows: changing one loses jobs."""
    names = {name for name in application.tasks if name.startswith(("emails.", "users."))}
    assert names == {
        "emails.clean_up",
        "emails.end_bulk",
        "emails.send_bulk",
        "emails.send_digest",
        "emails.send_password_reset",
        "emails.send_verification",
        "emails.send_welcome",
        "emails.start_bulk",
        "users.deactivate_inactive",  # former name
        "users.deactivate_inactive_users",
    }
