"""``workrow schedules``."""

import json
from typing import Any

import pytest

from tests.acceptance.test_cli_status import workrow


@pytest.fixture
def run(database_url: str) -> Any:
    def run(*arguments: str) -> tuple[int, str]:
        done = workrow(
            "--app=tests.acceptance.schedule_app.app", "schedules", *arguments, SCHEDULE_DATABASE_URL=database_url
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_an_operators_day(run: Any, database_url: str, conn: Any) -> None:
    created = run(
        "create", "daily", "tick", "--cron=0 9 * * *", "--timezone=Europe/Berlin", "--args={}", "--missed=all",
        "--catch-up=3", "--jitter=30s", "--queue=slow",
    )  # fmt: skip
    assert created == (0, "daily: created\n")
    assert run("run", "daily")[1].startswith("daily: enqueued job ")
    assert conn.execute("SELECT queue_name, args ? 'timestamp' FROM procrastinate_jobs").fetchall() == [("slow", True)]
    assert run("pause", "daily", "--by=ada", "--reason=quarter's end") == (0, "daily: paused\n")
    code, table = run("list")
    assert code == 0
    assert "0 9 * * * Europe/Berlin" in table
    assert "dynamic, paused by ada: quarter's end" in table
    assert run("resume", "daily") == (0, "daily: resumed\n")
    assert run("resume", "daily") == (0, "daily: was not paused\n")
    code, document = run("list", "--json")
    assert (json.loads(document)[0]["jitter"], json.loads(document)[0]["paused_at"]) == (30.0, None)
    # without the app's code, all but what needs its tasks
    deleted = workrow("--database-url", database_url, "schedules", "delete", "daily")
    assert (deleted.returncode, deleted.stdout) == (0, "daily: deleted\n")
    assert run("list")[1].splitlines()[1:] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "s", "tick", "--cron=0 9 * * *", "--timezone=Mars/Olympus"), "timezone='Mars/Olympus': no such"),
        (("create", "s", "tick", "--every=5 parsecs"), "a number and one of s, m, h, d"),
        (("create", "s", "tick", "--every=5m", "--args=[1]"), "must be a JSON object"),
        (("create", "s", "nothing", "--every=5m"), "task='nothing': this app has no such task"),
        (("create", "s", "tick", "--every=5m", "--missed=sometimes"), "missed='sometimes': must be one of"),
        (("delete", "s"), "schedule 's': there is none of that name"),
    ],
)
def test_what_cannot_be_is_one_line(run: Any, arguments: tuple[str, ...], message: str) -> None:
    code, output = run(*arguments)
    assert code != 0
    assert message in output
    assert "Traceback" not in output
