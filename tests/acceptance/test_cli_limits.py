"""``workrow limits`` from a shell's point of view."""

import psycopg
import pytest
from click.testing import CliRunner, Result

from workrow.cli import main


@pytest.fixture(autouse=True)
def limit(conn: psycopg.Connection) -> None:
    conn.execute("SELECT workrow.declare_limit_v1('r.export/tenant', 2, NULL, NULL, NULL)")
    conn.commit()


def workrow(database_url: str, *args: str) -> Result:
    return CliRunner().invoke(main, ["--database-url", database_url, "limits", *args])


def rule(conn: psycopg.Connection, key: str | None) -> tuple[object, ...] | None:
    found = conn.execute(
        "SELECT max_running, rate_count, rate_seconds, rate_burst, weight, paused, actor, reason FROM workrow.limits"
        " WHERE name = 'r.export/tenant' AND key IS NOT DISTINCT FROM %s",
        [key],
    ).fetchone()
    conn.rollback()
    return found


def test_set_pause_resume_reset(conn: psycopg.Connection, database_url: str) -> None:
    name = "r.export/tenant"
    done = workrow(database_url, "set", name, "--key", "42", "--max-running", "5", "--rate", "7/2m", "--actor", "ann")
    assert (done.exit_code, done.output) == (0, "r.export/tenant: set\n")
    assert rule(conn, "42") == (5, 7, 120.0, 7, 1.0, False, "ann", None)
    assert workrow(database_url, "set", name, "--weight", "3", "--reason", "gold").exit_code == 0
    assert workrow(database_url, "pause", name, "--key", "42", "--reason", "abuse", "--actor", "bob").exit_code == 0
    assert rule(conn, "42") == (5, 7, 120.0, 7, 3.0, True, "bob", "abuse")
    shown = workrow(database_url, "list").output
    assert "paused" in shown
    assert "abuse" in shown
    assert workrow(database_url, "resume", name, "--key", "42").exit_code == 0
    assert rule(conn, "42")[5] is False  # type: ignore[index]
    assert workrow(database_url, "reset", name, "--key", "42").output == "r.export/tenant: reset\n"
    assert rule(conn, "42") is None
    assert workrow(database_url, "reset", name, "--key", "42").exit_code == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["set", "nope", "--max-running", "1"], "no limit is named 'nope'; known are r.export/tenant"),
        (["pause", "nope"], "no limit is named 'nope'"),
        (["pause", "nope", "--key", ""], "an empty key would mean all keys"),
        (["set", "r.export/tenant"], "say what to change"),
        (["set", "r.export/tenant", "--rate", "often"], "must be a count and a period"),
        (["set", "r.export/tenant", "--weight", "0"], "0"),
        (["set", "r.export/tenant", "--max-running", "-1"], "-1"),
    ],
)
def test_bad_input_is_refused(database_url: str, args: list[str], message: str) -> None:
    done = workrow(database_url, *args)
    assert done.exit_code == 2
    assert message in done.output
