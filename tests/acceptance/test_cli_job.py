"""``workrow job`` and ``workrow retry``."""

import json
from typing import Any

from tests.acceptance.test_cli_status import workrow

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
