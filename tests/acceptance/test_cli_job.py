"""``workrow job`` and ``workrow retry``."""

import json
from typing import Any

from click.testing import CliRunner

from tests.acceptance.test_cli_status import workrow
from workrow.cli import main

ERRORS = """[
    {"attempt": 1, "at": "2026-01-01T00:00:00Z", "type": "OSError", "message": "one", "traceback": "first trace"},
    {"attempt": 2, "at": "2026-01-02T00:00:00Z", "type": "ValueError", "message": "two", "traceback": "second\\nline"}
]"""


def insert(conn: Any, **values: Any) -> int:
    columns = {"queue_name": "q", "task_name": "reports.build", "args": '{"year": 2026}', **values}
    names, marks = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
    (job,) = conn.execute(f"INSERT INTO procrastinate_jobs ({names}) VALUES ({marks}) RETURNING id", columns).fetchone()
    return int(job)


def test_a_running_job_shows_its_progress(database_url: str, conn: Any) -> None:
    progress = '{"done": 3, "total": 4, "message": "pages", "at": "2026-01-01T10:00:00+00:00"}'
    job = insert(conn, status="doing", progress=progress)
    shown = workrow("--database-url", database_url, "job", str(job))
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"reports.build[{job}] doing, queue q\n")
    assert '  args          {"year": 2026}\n' in shown.stdout
    assert "[###############.....] 75%, 3 of 4: pages, 2026-01-01 10:00:00" in shown.stdout


def test_a_failed_job_shows_every_error_and_runs_again(database_url: str, conn: Any) -> None:
    job = insert(conn, status="doing", errors=ERRORS)
    conn.execute("SELECT workrow.end_job_v1(%s, '{doing}', 'failed')", [job])
    shown = workrow("--database-url", database_url, "job", str(job)).stdout
    assert f"[{job}] failed" in shown
    assert "  attempt 1, 2026-01-01T00:00:00Z: OSError: one\n  attempt 2, " in shown
    assert "ValueError: two\n    second\n    line\n" in shown
    assert "first trace" in workrow("--database-url", database_url, "job", "--tracebacks", str(job)).stdout
    document = json.loads(workrow("--database-url", database_url, "job", "--json", str(job)).stdout)
    assert (document["id"], document["status"], len(document["errors"])) == (job, "failed", 2)

    done = workrow("--database-url", database_url, "retry", str(job))
    assert (done.returncode, done.stdout) == (0, f"{job}: queued\n")
    again = workrow("--database-url", database_url, "retry", str(job))
    assert again.returncode == 1
    assert again.stdout.startswith(f"{job}: has not failed")


def test_a_job_that_is_not_there(database_url: str) -> None:
    shown = workrow("--database-url", database_url, "job", "123456789")
    assert shown.returncode == 1
    assert "there is no job 123456789" in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1


def test_a_job_is_sent_a_signal(database_url: str, conn: Any) -> None:
    job = insert(conn)

    def said(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["--database-url", database_url, "job", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    def sent(*arguments: str, code: int = 0) -> str:
        return said("signal", *arguments, code=code)

    assert sent(str(job), "approved", "--payload", '{"by": "Ada"}') == f"{job}: signal approved sent\n"
    assert sent(str(job), "go") == f"{job}: signal go sent\n"
    signals = conn.execute("SELECT job_id, name, value FROM workrow.job_signals ORDER BY id").fetchall()
    assert signals == [(job, "approved", {"by": "Ada"}), (job, "go", None)]
    assert """'Ada' is no JSON""" in sent(str(job), "approved", "--payload", "Ada", code=2)
    assert "value=nan cannot be stored as JSON" in sent(str(job), "approved", "--payload", "NaN", code=1)
    assert "must be text of 1 to 200 characters" in sent(str(job), "", code=1)
    assert "there is no job 987654321" in sent("987654321", "approved", code=1)
    conn.execute("SELECT workrow.end_job_v1(%s, '{todo}', 'cancelled')", [job])
    assert sent(str(job), "go", code=1) == f"Error: signal 'go': job {job} has ended; nothing was written\n"
    assert conn.execute("SELECT count(*) FROM workrow.job_signals").fetchone() == (2,)
    assert said("show", str(job)) == said(str(job))
    assert "Send a job a signal" in said("--help")
    assert "Missing argument 'ID'" in said(code=2)
