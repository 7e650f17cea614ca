"""``workrow cancel``, ``release``, ``pause`` and ``resume``."""

from typing import Any

from tests.acceptance.test_cli_status import workrow


def test_jobs_are_cancelled_by_id(database_url: str, conn: Any) -> None:
    ids = [
        conn.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't') RETURNING id"
        ).fetchone()[0]
        for _ in range(2)
    ]
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [ids[1]])
    done = workrow("--database-url", database_url, "cancel", "--terminate", *map(str, ids))
    assert (done.returncode, done.stdout) == (0, f"{ids[0]}: cancelled\n{ids[1]}: aborting\n")
    assert conn.execute("SELECT terminate_requested FROM procrastinate_jobs").fetchall() == [(True,)]
    gone = workrow("--database-url", database_url, "cancel", str(ids[0]))
    assert (gone.returncode, gone.stdout) == (1, f"{ids[0]}: has ended already, or never existed\n")


def test_quarantined_jobs_are_shown_and_released(database_url: str, conn: Any) -> None:
    (job,) = conn.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't') RETURNING id"
    ).fetchone()
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing', crashes = 2")
    conn.execute("SELECT workrow.crash_job_v1(%s, true, 3, 'killed by SIGSEGV')", [job])
    shown = workrow("--database-url", database_url, "status").stdout
    assert "Quarantine" in shown
    assert "killed by SIGSEGV" in shown
    done = workrow("--database-url", database_url, "release", str(job))
    assert (done.returncode, done.stdout) == (0, f"{job}: released\n")
    assert "Unroutable" in workrow("--database-url", database_url, "status").stdout
    again = workrow("--database-url", database_url, "release", str(job))
    assert (again.returncode, again.stdout) == (1, f"{job}: is not in quarantine\n")


def test_a_queue_is_paused_shown_and_resumed(database_url: str, conn: Any) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = workrow("--database-url", database_url, *arguments)
        return done.returncode, done.stdout

    pause = ("pause", "queue", "mails", "--reason", "smtp is down", "--actor", "ada")
    assert run(*pause) == (0, "queue mails: paused\n")
    assert run(*pause)[1].startswith("queue mails: was paused already")
    shown = run("status")[1]
    assert "Pauses" in shown
    assert "smtp is down" in shown
    assert run("resume", "queue", "mails") == (0, "queue mails: resumed\n")
    assert run("resume", "queue", "mails") == (0, "queue mails: was not paused\n")
    assert "Pauses" not in run("status")[1]
    (actor,) = conn.execute("SELECT resumed_by FROM workrow.pauses").fetchone()
    assert actor
    assert run("pause", "task", "mail")[0] != 0  # a pause without a reason
