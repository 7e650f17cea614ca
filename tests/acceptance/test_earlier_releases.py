"""Workers of the release of before go on while the schema is upgraded under them: no job lost, none run twice.

The release is a wheel, built from the last commit at which the schema had its version.
"""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from examples.demo.processes import ROOT
from tests.acceptance.commands import wait_for
from workrow import schema

BEFORE, MEANWHILE, AFTER, HANDED_ON = 300, 100, 100, 50


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the history that earlier releases are built from is not there: {done.stderr.decode().strip()}")
    return done.stdout


@pytest.fixture
def release(version: int, tmp_path: Path) -> Path:
    """Where the last release with this version of the schema is installed, and the app beside it."""
    file = "workrow/schema/versions/__init__.py"
    commits = git("log", "--format=%H", "-S", f"LATEST = {version + 1}", "--", file).decode().split()
    if not commits:
        pytest.skip(f"the history does not reach back to where schema version {version + 1} came (a shallow clone?)")
    source, site = tmp_path / "source", tmp_path / "site"
    with tarfile.open(fileobj=io.BytesIO(git("archive", f"{commits[-1]}^"))) as archive:
        archive.extractall(source, filter="data")
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([sys.executable, "-m", *build, str(source)], check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "earlier_app.py").write_text(Path(__file__).with_name("earlier_app.py").read_text())
    return site


@contextmanager
def worker(url: str, site: Path | None, command: str = "workrow") -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the release that is installed there; None: of this one."""
    directory = site or Path(__file__).parent
    names = {
        "EARLIER_DATABASE_URL": url,
        "EARLIER_RELEASE": "before" if site else "this",
        "PYTHONPATH": os.pathsep.join([str(directory), *([] if site else [str(ROOT)])]),
    }
    program = [sys.executable, "-m", command, "--app", "earlier_app.app", "worker", "--concurrency", "8"]
    log = directory / "worker.log" if site else None
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else subprocess.DEVNULL
        process = stack.enter_context(
            subprocess.Popen(program, cwd=directory, env={**os.environ, **names}, stdout=output, stderr=output)
        )
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("version", range(1, schema.LATEST))
def test_an_upgrade_under_workers_of_the_release_before(version: int, release: Path, empty_database_url: str) -> None:
    url = empty_database_url
    install = [sys.executable, "-m", "workrow", "--database-url", url, "schema", "upgrade"]
    subprocess.run(install, cwd=release, env={**os.environ, "PYTHONPATH": str(release)}, check=True)
    assert schema.status(url).installed == version, "the worker of before was not built from before"
    with psycopg.connect(url, autocommit=True) as connection, ExitStack() as stack:
        connection.execute("CREATE TABLE ran (n integer, release text)")

        def insert(task: str, first: int, count: int) -> None:
            connection.execute(
                """INSERT INTO procrastinate_jobs (queue_name, task_name, args)
                   SELECT 'default', %s, jsonb_build_object('n', n)
                   FROM generate_series(CAST(%s AS integer), %s) AS n""",
                [task, first, first + count - 1],
            )

        def ran(at_least: int) -> bool:
            for each in [each for each in workers if each.poll() is not None]:
                # version 1 ran procrastinate's own loop: an error ends it, and a fetch that waits while its table gets
                # columns is one. It puts its running jobs to their ends first; a worker of this release goes on.
                # Versions 5 to 7 end if the upgrade holds the workers' table for over 100 ms just when they register.
                assert version in (1, 5, 6, 7), "a worker died"
                workers.remove(each)
                workers.append(stack.enter_context(worker(url, None)))
            row = connection.execute("SELECT count(*) FROM ran").fetchone()
            return row is not None and row[0] >= at_least

        insert("note", 0, BEFORE)
        # the first release had no command of its own for workers
        command = "procrastinate" if version == 1 else "workrow"
        workers = [stack.enter_context(worker(url, release, command)) for _ in range(2)]
        wait_for(lambda: ran(BEFORE // 10))
        schema.upgrade(url)
        assert not ran(BEFORE), "the upgrade met no work: more jobs"
        insert("note", BEFORE, MEANWHILE)
        insert("hand_on", BEFORE + MEANWHILE, HANDED_ON)
        total = BEFORE + MEANWHILE + HANDED_ON
        # by workers of before, on the schema of now
        wait_for(lambda: ran(total))
        workers.append(stack.enter_context(worker(url, None)))
        insert("note", total, AFTER)
        wait_for(lambda: ran(total + AFTER))
        wait_for(lambda: connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,))
        assert connection.execute("SELECT n FROM ran ORDER BY n").fetchall() == [(n,) for n in range(total + AFTER)]
        ended = connection.execute("SELECT status, attempts, count(*) FROM workrow.jobs GROUP BY 1, 2").fetchall()
        assert ended == [("succeeded", 1, total + HANDED_ON + AFTER)]
    assert schema.status(url).changed == ()
