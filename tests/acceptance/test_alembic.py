"""The alembic command, as a deployer runs it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.catalog import engine_objects, objects

ROOT = Path(__file__).parents[2]
DEPLOYERS = 0x6D696772617465
MIGRATED = ("relation r", "public.users")


def command(url: str | None, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    return [sys.executable, "-m", "alembic", *arguments], {**environment, **({"DATABASE_URL": url} if url else {})}


def alembic(url: str | None, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    line, environment = command(url, *arguments)
    return subprocess.run(line, env=environment, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def succeeds(url: str, *arguments: str, cwd: Path = ROOT) -> str:
    run = alembic(url, *arguments, cwd=cwd)
    assert run.returncode == 0, run.stderr
    return run.stdout


def fails(url: str | None, *arguments: str) -> str:
    """The error, which is one line."""
    run = alembic(url, *arguments)
    assert run.returncode != 0
    errors = [line for line in run.stderr.splitlines() if not line.startswith("INFO")]
    assert len(errors) == 1, run.stderr
    return errors[0]


def psql(url: str, script: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "workrow", "--database-url", url, "psql", "-Xq", "-v", "ON_ERROR_STOP=1"],
        input=script,
        text=True,
        check=True,
        timeout=60,
    )


def head() -> str | None:
    return ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_current_head()


def test_up_check_down_up(empty_database_url: str) -> None:
    before = objects(empty_database_url)
    succeeds(empty_database_url, "upgrade", "head")
    migrated = objects(empty_database_url)
    assert MIGRATED in migrated
    assert ("view", "workrow.jobs") in migrated
    succeeds(empty_database_url, "check")
    assert str(head()) in succeeds(empty_database_url, "current")
    succeeds(empty_database_url, "downgrade", "base")
    assert objects(empty_database_url) == before
    succeeds(empty_database_url, "upgrade", "head")
    assert objects(empty_database_url) == migrated


def test_offline_gives_the_same_as_online(empty_database_url: str, migrated_database_url: str) -> None:
    before = objects(empty_database_url)
    psql(empty_database_url, succeeds("postgresql://nobody@127.0.0.1:1/nowhere", "upgrade", "head", "--sql"))
    assert objects(empty_database_url) == objects(migrated_database_url)
    succeeds(empty_database_url, "check")
    psql(empty_database_url, succeeds("postgresql://nobody@127.0.0.1:1/nowhere", "downgrade", "head:base", "--sql"))
    assert objects(empty_database_url) == before


def test_it_works_from_any_directory(empty_database_url: str, tmp_path: Path) -> None:
    succeeds(empty_database_url, "-c", str(ROOT / "alembic.ini"), "upgrade", "head", cwd=tmp_path)
    assert MIGRATED in objects(empty_database_url)


def test_x_url_wins(empty_database_url: str) -> None:
    url = empty_database_url.replace("://", "+asyncpg://", 1)
    succeeds("postgresql://nobody@127.0.0.1:1/nowhere", "-x", f"url={url}", "upgrade", "head")
    assert MIGRATED in objects(empty_database_url)


def test_autogenerate_finds_nothing_and_numbers_the_revision(database_url: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    known = set((tmp_path / "migrations/versions").glob("*.py"))
    succeeds(database_url, "revision", "--autogenerate", "-m", "nothing new", cwd=tmp_path)
    [written] = set((tmp_path / "migrations/versions").glob("*.py")) - known
    assert written.name == f"{int(head() or 0) + 1:04}_nothing_new.py"
    text = written.read_text()
    assert text.count("    pass") == 2
    assert f'down_revision = "{head()}"' in text


@contextmanager
def locked(url: str, statement: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        yield
        connection.rollback()


def test_a_lock_is_not_waited_for_too_long(empty_database_url: str) -> None:
    succeeds(empty_database_url, "upgrade", "head")
    before = objects(empty_database_url)
    with locked(empty_database_url, "LOCK TABLE procrastinate_jobs IN ACCESS SHARE MODE"):
        error = fails(empty_database_url, "-x", "lock_timeout=100ms", "downgrade", "base")
    assert error == "error: canceling statement due to lock timeout"
    # the revisions that do not need that table have gone down
    assert engine_objects(empty_database_url).keys() <= before.keys()
    assert ("relation r", "public.procrastinate_jobs") in engine_objects(empty_database_url)
    succeeds(empty_database_url, "upgrade", "head")  # the deployers' lock is free again
    assert objects(empty_database_url) == before


def test_a_statement_does_not_run_too_long(empty_database_url: str) -> None:
    error = fails(empty_database_url, "-x", "statement_timeout=1ms", "upgrade", "head")
    assert error == "error: canceling statement due to statement timeout"
    assert engine_objects(empty_database_url) == {}


def test_two_deployers_at_once_both_succeed(empty_database_url: str) -> None:
    line, environment = command(empty_database_url, "upgrade", "head")
    both = [
        subprocess.Popen(line, env=environment, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    said = [each.communicate(timeout=60)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert MIGRATED in objects(empty_database_url)
    assert sorted("Running upgrade" in each for each in said) == [False, True]


def test_a_second_deployer_waits_and_says_so(empty_database_url: str) -> None:
    line, environment = command(empty_database_url, "upgrade", "head")
    with locked(empty_database_url, f"SELECT pg_advisory_xact_lock({DEPLOYERS})"):
        deployer = subprocess.Popen(line, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert deployer.stderr is not None
        assert "another deployer is migrating this database; waiting for it up to 60 s" in deployer.stderr.readline()
        assert deployer.poll() is None
    _, said = deployer.communicate(timeout=60)
    assert deployer.returncode == 0, said
    assert MIGRATED in objects(empty_database_url)


def test_a_second_deployer_gives_up_in_time(empty_database_url: str) -> None:
    with locked(empty_database_url, f"SELECT pg_advisory_xact_lock({DEPLOYERS})"):
        began = time.monotonic()
        error = fails(empty_database_url, "-x", "deploy_wait=0", "upgrade", "head")
        assert time.monotonic() - began < 20
    assert error.startswith("error: another deployer has been migrating this database for 0 s: try again")


@pytest.mark.parametrize(
    ("url", "arguments", "words"),
    [
        ("mysql://me:secret@localhost/x", (), "DATABASE_URL: 'mysql://me:***@localhost/x' is no PostgreSQL URL"),
        ("postgresql://me:secret@127.0.0.1:1/x", (), "cannot connect to postgresql://me:***@127.0.0.1:1/x"),
        (None, ("-x", "url=sqlite:///x"), "'sqlite:///x' is no PostgreSQL URL"),
        (None, ("-x", "ulr=x"), "unknown option -x ulr=x: known are url, lock_timeout"),
        (None, ("-x", "deploy_wait=long"), "-x deploy_wait=long is no number of seconds"),
    ],
)
def test_bad_input_is_one_line(url: str | None, arguments: tuple[str, ...], words: str) -> None:
    error = fails(url, *arguments, "upgrade", "head")
    assert error.startswith("error: ")
    assert words in error
    assert "secret" not in error


def test_a_bad_timeout_is_one_line(empty_database_url: str) -> None:
    error = fails(empty_database_url, "-x", "lock_timeout=long", "upgrade", "head")
    assert error == 'error: invalid value for parameter "lock_timeout": "long"'


def test_history_is_one_line() -> None:
    scripts = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == [f"{number:04}" for number in range(len(revisions), 0, -1)]
    assert len(scripts.get_heads()) == 1
