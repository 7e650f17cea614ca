"""``python -m jobs.worker`` and ``workrow worker`` on the application, as processes."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from jobs import database, worker
from jobs.emails import tasks as emails
from jobs.users import tasks as users
from jobs.users.models import User
from tests.domains.conftest import MailServer, jobs, until

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.usefixtures("application")
COMMANDS = [("jobs.worker", "emails", "4"), ("workrow", "worker", "--queues", "emails:4")]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_worker_of_one_queue_has_its_slots_and_leaves_others_alone(
    command: tuple[str, ...], mail: MailServer, conn: psycopg.Connection[Any]
) -> None:
    async with database.session() as session, session.begin():
        user = User(name="Ada", email="ada@example.com")
        session.add(user)
        await session.flush()
        await emails.send_welcome.enqueue(session, user_id=user.id)
        await users.deactivate_inactive_users.enqueue(session)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, cwd=ROOT, env=dict(os.environ), stderr=asyncio.subprocess.PIPE
    )
    try:
        await until(lambda: [job["status"] for job in jobs(conn)] == ["succeeded"])
        running = conn.execute("SELECT queues, concurrency FROM workrow.workers WHERE alive").fetchall()
        assert running == [(["emails"], 4)]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert mail.recipients() == ["ada@example.com"]
    assert [job["status"] for job in jobs(conn, "users.%")] == ["todo"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobs.worker", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


async def test_several_queues_share_the_slots_of_one_worker(conn: psycopg.Connection[Any]) -> None:
    await users.deactivate_inactive_users.enqueue(None)
    ended = await asyncio.to_thread(run, "emails, users", "2", "--one-shot", "--log-level", "debug")
    assert ended.returncode == 0, ended.stderr
    assert "DEBUG" in ended.stderr
    assert [job["status"] for job in jobs(conn, "users.%")] == ["succeeded"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("emials", "4"), "no task uses a queue named 'emials'. Did you mean emails? Known are "),
        (("emails,", "4"), "no task uses a queue named ''. Known are "),
        (("emails", "none"), "'none' is not a valid integer range"),
        (("emails", "0"), "0 is not in the range 1<=x<=1000"),
        (("emails", "4", "--log-level", "loud"), "'loud' is not one of 'debug', 'info', 'warning', 'error'"),
        ((), "Missing argument 'QUEUE[,QUEUE…]'"),
    ],
)
def test_a_wrong_word_is_told_before_anything_starts(words: tuple[str, ...], said: str) -> None:
    ended = CliRunner().invoke(worker.main, words)
    assert isinstance(ended.exception, SystemExit)  # and no error that would be a traceback
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_a_database_that_is_down_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:1/x")
    ended = run("emails", "1")
    assert ended.returncode == 1
    assert "127.0.0.1:1/x" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_an_app_py_the_app_must_be_named(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "workrow", "worker", "--queues", "emails:4"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "no app is named: give --app=module.app, set WORKROW_APP" in ended.stderr
