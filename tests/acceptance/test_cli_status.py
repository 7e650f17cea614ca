"""The workrow command: what it tells, and how it says what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.catalog import objects
from workrow import schema
from workrow.cli.status import SECTIONS

ROOT = Path(__file__).parents[2]


def workrow(
    *arguments: str, cwd: Path = ROOT, input: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "WORKROW_APP")}
    return subprocess.run(
        [sys.executable, "-m", "workrow", *arguments],
        env={**inherited, **environment},
        cwd=cwd,
        input=input,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def succeeds(*arguments: str, **options: Any) -> str:
    run = workrow(*arguments, **options)
    assert run.returncode == 0, run.stderr
    return run.stdout


def fails(*arguments: str, **options: Any) -> str:
    """The error, which is one line."""
    run = workrow(*arguments, **options)
    assert run.returncode != 0
    assert run.stdout == ""
    [error] = run.stderr.splitlines()
    return error


@pytest.fixture
def filled(conn: psycopg.Connection, database_url: str) -> str:
    """A database with a live and a stock worker, waiting, running and failed jobs."""
    [worker] = conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id").fetchone() or ()
    conn.execute(
        """INSERT INTO workrow.worker_details (worker_id, name, host, pid, queues, concurrency, version)
           VALUES (%s, 'worker-one', 'here', 7, ARRAY['mails', 'other'], 4, '1.2.3')""",
        [worker],
    )
    conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
    conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, status, worker_id, scheduled_at)
           VALUES ('mails', 'welcome', 'todo', NULL, NULL), ('mails', 'welcome', 'doing', %s, NULL),
                  ('mails', 'welcome', 'todo', NULL, now() + interval '1 hour')""",
        [worker],
    )
    error = {"attempt": 1, "type": "Refused", "message": "[red] nobody\nby that name", "discarded": True}
    conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, status, attempts, started_at, finished_at, errors)
           VALUES ('mails', 'verify', 'failed', 1, now() - interval '2 s', now() - interval '1 s', %s)""",
        [json.dumps([error])],
    )
    return database_url


def test_status_prints_all_four(filled: str) -> None:
    said = succeeds("--database-url", filled, "status")
    words = ["Queues", "mails", "Tasks", "verify", "24 hours", "0.0%", "1.0 s", "Workers", "worker-one", "mails, other"]
    words += ["(stock procrastinate)", " ago, lost", "Latest failures", "discarded, Refused: [red] nobody"]
    assert [word for word in words if word not in said] == []


def test_status_json_is_one_document_of_the_views(filled: str, conn: psycopg.Connection) -> None:
    said = json.loads(succeeds("--database-url", filled, "status", "--json"))
    assert list(said) == [*SECTIONS]
    for name in ("queues", "tasks", "workers"):
        columns = conn.execute(f"SELECT * FROM workrow.{name} LIMIT 0").description  # type: ignore[arg-type]
        assert list(said[name][0]) == [column.name for column in columns or ()]
    [queue] = said["queues"]
    assert (queue["depth"], queue["ready"], queue["scheduled"], queue["running"]) == (2, 1, 1, 1)
    assert [(row["window"], row["discarded"]) for row in said["tasks"]] == [
        ("5 minutes", 1),
        ("1 hour", 1),
        ("24 hours", 1),
    ]
    assert [(row["name"], row["alive"], row["running"]) for row in said["workers"]] == [
        ("worker-one", True, 1),
        (None, False, 0),
    ]
    [failure] = said["failures"]
    assert (failure["task"], failure["error"], failure["discarded"]) == ("verify", "[red] nobody\nby that name", True)


def test_status_of_an_idle_database(database_url: str) -> None:
    said = json.loads(succeeds("--database-url", database_url, "status", "--json"))
    assert said == {name: [] for name in SECTIONS}
    assert "Workers" in succeeds("--database-url", database_url, "status")


def test_status_reads_the_views_and_nothing_else(filled: str, new_role: str) -> None:
    role = sql.Identifier(new_role)
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA workrow TO {}").format(role))
        shown = (
            "jobs",
            "queues",
            "tasks",
            "workers",
            "pauses",
            "caps",
            "quarantine",
            "unroutable",
            "held",
            "notifications",
            "schema_version",
        )
        for name in shown:
            connection.execute(sql.SQL("GRANT SELECT ON workrow.{} TO {}").format(sql.Identifier(name), role))
        only_reader = {"PGOPTIONS": f"-c role={new_role}"}
        assert json.loads(succeeds("--database-url", filled, "status", "--json", **only_reader))["failures"]
        downgrade = ("--database-url", filled, "schema", "downgrade", "--to=0")
        assert fails(*downgrade, **only_reader).startswith("Error: permission denied for table")


@pytest.mark.parametrize("option", ["argument", "environment"])
def test_the_database_is_the_apps(option: str, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(f"import workrow\napp = workrow.App({database_url!r})\n")
    elsewhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    if option == "argument":
        succeeds("--app", "shop.app", "status", cwd=tmp_path, **elsewhere)
    else:
        succeeds("status", cwd=tmp_path, WORKROW_APP="shop.app", **elsewhere)


def test_the_database_is_that_of_the_environment(database_url: str) -> None:
    succeeds("status", DATABASE_URL=database_url)


def test_the_repositorys_own_app(database_url: str) -> None:
    assert "workrow schema version" in succeeds("--app", "app.app", "schema", "status", DATABASE_URL=database_url)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no database is named: give --app=module.app or --database-url=postgresql://…"),
        (("--database-url=mysql://me:secret@x/y",), "'mysql://me:***@x/y' is no PostgreSQL URL"),
        (("--database-url=postgresql://me:secret@127.0.0.1:1/x",), "cannot connect to postgresql://me:***@127.0.0.1:1"),
        (("--app=nowhere.app",), "--app=nowhere.app cannot be loaded (No module named 'nowhere')"),
        (("--app=app",), "--app=app cannot be loaded"),
        (("--app=app.missing",), "--app=app.missing cannot be loaded (module 'app' has no attribute 'missing')"),
        (("--app=stock.app",), "--app=stock.app is a procrastinate.App, which does not tell its database"),
        (("--app=json.dumps",), "--app=json.dumps cannot be loaded"),
    ],
)
def test_a_database_that_cannot_be_read_is_one_line(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "stock.py").write_text(
        "import procrastinate\napp = procrastinate.App(connector=procrastinate.PsycopgConnector())\n"
    )
    error = fails(*arguments, "status", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert error.startswith("Error: ")
    assert words in error
    assert "secret" not in error


def test_an_unmigrated_database_is_one_line(empty_database_url: str) -> None:
    error = fails("--database-url", empty_database_url, "status")
    assert error == "Error: this database has no workrow schema: run `alembic upgrade head` or `workrow schema upgrade`"


def test_a_newer_database_is_one_line(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (99, 'x', false)")
    assert "at version 99" in fails("--database-url", empty_database_url, "status")
    assert "upgrade the workrow package" in fails("--database-url", empty_database_url, "schema", "upgrade")


def test_schema_goes_up_and_down(empty_database_url: str) -> None:
    before = objects(empty_database_url)
    target = ("--database-url", empty_database_url, "schema")
    assert succeeds(*target, "status").startswith("no workrow schema is installed; this package brings version ")
    said = succeeds(*target, "upgrade")
    version = f"{schema.LATEST} of {schema.LATEST}"
    assert said == f"workrow schema version {version}, on the schema of procrastinate 3.10.0 (installed)\n"
    assert json.loads(succeeds(*target, "status", "--json")) == {
        "installed": schema.LATEST,
        "latest": schema.LATEST,
        "upstream": "3.10.0",
        "adopted": False,
    }
    assert workrow(*target, "downgrade").returncode == 2  # what would drop jobs must be said
    succeeds(*target, "downgrade", "--to", "0")
    assert objects(empty_database_url) == before


def test_psql_is_on_the_database(database_url: str) -> None:
    arguments = ("psql", "-X", "-A", "-t", "-c", "SELECT current_database()")
    said = succeeds("--database-url", database_url.replace("://", "+asyncpg://", 1), *arguments)
    assert said.strip() in database_url
    assert workrow("--database-url", database_url, "psql", "-X", "-c", "SELECT nothing").returncode == 1


def test_psql_is_the_embedded_one_when_there_is_no_other(database_url: str, tmp_path: Path) -> None:
    said = succeeds("--database-url", database_url, "psql", "--version", PATH=str(tmp_path))
    assert said.startswith("psql (PostgreSQL) ")


def test_the_embedded_server_is_not_imported(database_url: str) -> None:
    program = (
        "import sys; from workrow.cli import main;"
        f"main(['--database-url', {database_url!r}, 'status', '--json'], standalone_mode=False);"
        "assert not [name for name in sys.modules if 'embedded' in name]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.DEVNULL)
