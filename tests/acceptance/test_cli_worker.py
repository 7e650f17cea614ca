"""``workrow worker`` as a user runs it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from tests.conftest import ROOT
from workrow.cli import main
from workrow.cli.numbers import size
from workrow.cli.worker import read_queues
from workrow.errors import OptionError

MODULE = """
import asyncio, os, workrow
app = workrow.App({url!r}, lease=2)

@app.task(name="who")
async def who() -> int:
    return os.getpid()

@app.task(name="slow")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"
"""


def until(what: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)
    return found


@pytest.fixture
def module(database_url: str, tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(MODULE.format(url=database_url))
    return tmp_path


@contextmanager
def command(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "workrow", "--app", "shop.app", "worker", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(directory), str(ROOT)))}
    with subprocess.Popen(words, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            for child in psutil.Process(process.pid).children() if process.poll() is None else []:
                child.kill()
            process.kill()


def workers(conn: Any) -> list[tuple[str, int]]:
    return list(conn.execute("SELECT name, pid FROM workrow.workers ORDER BY name").fetchall())


def enqueue(conn: Any, task: str, args: str = "{}", queue: str = "default") -> int:
    row = conn.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES (%s, %s, %s) RETURNING id",
        [queue, task, args],
    ).fetchone()
    return int(row[0])


def test_one_shot_runs_what_is_there_and_ends(module: Path, conn: Any) -> None:
    ids = [enqueue(conn, "who", queue=queue) for queue in ("default", "emails", "other")]
    with command(module, "--one-shot", "--queues", "emails:3,default", "-c", "2") as process:
        assert process.wait(30) == 0
    done = conn.execute("SELECT id FROM workrow.jobs WHERE status = 'succeeded' ORDER BY id").fetchall()
    assert done == [(ids[0],), (ids[1],)]


def test_a_stop_while_workers_start_is_in_order(module: Path) -> None:
    with command(module, "--processes", "2") as process:
        until(lambda: len(psutil.Process(process.pid).children()) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it; on Linux, where it can be seen."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("seconds", [0, 0.05, 0.2, 0.4, 0.6, 0.8, 1, 1.3, 1.7, 2.5])
def test_a_stop_at_any_time_of_the_start_is_in_order(module: Path, seconds: float) -> None:
    with command(module) as process:
        until(lambda: catches_sigterm(process.pid))
        time.sleep(seconds)  # to be in another part of the start each time
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_stop_while_the_app_is_imported_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(60)\n")
    for arguments in ([], ["--processes", "2"]):
        with command(tmp_path, *arguments) as process:
            until((tmp_path / "importing").exists)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        (tmp_path / "importing").unlink()


def test_procrastinates_own_command_is_stopped_in_order_once_the_app_is_made(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import pathlib, time, workrow\napp = workrow.App('postgresql://nowhere')\n"
        "pathlib.Path('importing').touch()\ntime.sleep(60)\n"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        words = [sys.executable, "-m", "procrastinate", "--app", "shop.app", "worker"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
        with subprocess.Popen(words, cwd=tmp_path, env=environment) as process:
            try:
                until((tmp_path / "importing").exists)
                process.send_signal(number)
                assert process.wait(20) == 0
            finally:
                process.kill()
        (tmp_path / "importing").unlink()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def asked(port: int) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}


def test_the_parent_says_how_all_its_workers_are(module: Path, conn: Any) -> None:
    port = free_port()
    with command(module, "--processes", "2", "--name", "w", "--health", f"127.0.0.1:{port}") as process:
        until(lambda: asked(port)[0] == 200)
        assert asked(port)[1] == {"status": "ok", "problems": [], "warnings": []}
        (stopped, _) = [pid for _, pid in workers(conn)]
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: "has told nothing for" in str(asked(port)), 40)
        assert asked(port)[0] == 503
        os.kill(stopped, signal.SIGCONT)
        until(lambda: asked(port)[0] == 200)
        os.kill(stopped, signal.SIGKILL)
        until(lambda: re.search(r"w-1 does not run: it ended with code -9|w-1 is starting", str(asked(port))))
        until(lambda: asked(port)[0] == 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_several_processes_a_crash_and_a_drain(module: Path, conn: Any) -> None:
    with command(module, "--processes", "2", "--name", "w") as process:
        until(lambda: [name for name, _ in workers(conn)] == ["w-1", "w-2"])
        first = workers(conn)
        os.kill(first[0][1], signal.SIGKILL)
        until(lambda: any(name == "w-1" and pid != first[0][1] for name, pid in workers(conn)))
        slow = enqueue(conn, "slow", '{"seconds": 1.5}')
        until(lambda: conn.execute("SELECT status FROM workrow.jobs WHERE id = %s", [slow]).fetchone() == ("doing",))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert conn.execute("SELECT status, result FROM workrow.jobs WHERE id = %s", [slow]).fetchone() == (
        "succeeded",
        "done",
    )
    alive = [pid for _, pid in first if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert alive == []


def test_how_a_worker_died_is_known_to_its_jobs(module: Path, conn: Any) -> None:
    with command(module, "--processes", "2", "--name", "w"):
        until(lambda: len(workers(conn)) == 2)
        slow = enqueue(conn, "slow", '{"seconds": 1}')
        holder = "SELECT pid FROM workrow.workers JOIN workrow.jobs ON workers.id = worker_id AND status = 'doing'"
        (pid,) = until(lambda: conn.execute(holder).fetchone())
        os.kill(pid, signal.SIGKILL)
        until(
            lambda: conn.execute("SELECT status FROM workrow.jobs WHERE id = %s", [slow]).fetchone() == ("succeeded",)
        )
    (errors,) = conn.execute("SELECT errors FROM workrow.jobs WHERE id = %s", [slow]).fetchone()
    assert re.fullmatch(r"killed by SIGKILL of w-\d \d+", errors[0]["message"])


def test_who_has_done_enough_ends_and_the_next_one_starts(module: Path, conn: Any) -> None:
    jobs = [enqueue(conn, "who") for _ in range(12)]
    with command(module, "--max-jobs", "3") as process:
        assert process.wait(30) == 0
    with command(module, "--max-jobs", "3", "--processes", "1", "--name", "one") as process:
        assert process.wait(30) == 0
    with command(module, "--max-jobs", "3", "--max-memory", "1G", "--processes", "2", "--name", "w") as process:
        done = "SELECT count(*), count(DISTINCT result) FROM workrow.jobs WHERE status = 'succeeded'"
        until(lambda: conn.execute(done).fetchone()[0] == len(jobs))
        until(lambda: [name for name, _ in workers(conn)] == ["w-1", "w-2"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr is not None
        told = process.stderr.read()
    assert conn.execute(done).fetchone()[1] >= 4
    assert "has ended in order; starting the next one" in told
    assert "ended with code" not in told


def test_workers_do_not_outlive_their_parent(module: Path, conn: Any) -> None:
    with command(module, "--processes", "2", "--name", "w") as process:
        until(lambda: len(workers(conn)) == 2)
        pids = [pid for _, pid in workers(conn)]
        slow = enqueue(conn, "slow", '{"seconds": 2}')
        until(lambda: conn.execute("SELECT status FROM workrow.jobs WHERE id = %s", [slow]).fetchone() == ("doing",))
        process.kill()
        until(lambda: not workers(conn))
        until(lambda: not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"])
        assert process.stderr is not None
        told = process.stderr.read()
    assert told.count("the parent of this worker is gone: it stops, as at a SIGTERM") == 2
    assert {*re.findall(r" (w-\d), worker \d+ stopped", told)} == {"w-1", "w-2"}
    # in order: what ran could end
    ended = conn.execute("SELECT status, result, crashes FROM workrow.jobs WHERE id = %s", [slow]).fetchone()
    assert ended == ("succeeded", "done", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--queues", "a:0"], "--queues=a:0: 'a:0' is not understood"),
        (["--queues", "a,a"], "'a' is not understood"),
        (["--queues", "a,,b"], "--queues=a,,b: '' is not understood"),
        (["--queues", ""], "leave the option out for all queues"),
        (["--shutdown-timeout", "nan"], "nan is no finite number"),
        (["--shutdown-timeout", "-1"], "-1.0 is not in the range"),
        (["--concurrency", "0"], "0 is not in the range"),
        (["--concurrency", "99999999999"], "99999999999 is not in the range"),
        (["--max-jobs", "0"], "0 is not in the range"),
        (["--max-memory", "much"], "'much' is no size; write 512M or 2G"),
        (["--max-memory", "0.5"], "'0.5' is no size"),
        (["--max-memory", "10M"], "max_memory=10: the worker holds"),
        (["--processes", "x"], "'x' is not a valid integer"),
    ],
)
def test_bad_options_are_one_line(module: Path, arguments: list[str], message: str) -> None:
    with command(module, *arguments) as process:
        assert process.wait(20) != 0
        assert process.stderr is not None
        told = process.stderr.read()
    assert message in told
    assert "Traceback" not in told


def test_sizes_are_read() -> None:
    assert [size(text) for text in ("512", "512M", "0.5g", "2 GiB", "1MB")] == [512, 512, 512, 2048, 1]


def test_queues_are_read() -> None:
    assert read_queues("emails:20, default,x:y:3") == {"emails": 20, "default": None, "x:y": 3}
    assert read_queues(None) == {}
    for text in ("", "a,,b", ",a"):
        with pytest.raises(OptionError, match="'' is not understood"):
            read_queues(text)
    with pytest.raises(OptionError, match=re.escape("'b:'")):
        read_queues("a,b:")


def test_a_database_that_is_down_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(MODULE.format(url="postgresql://me:secret@127.0.0.1:1/x"))
    with command(tmp_path, "--one-shot") as process:
        assert process.wait(30) == 1
        assert process.stderr is not None
        told = process.stderr.read()
    assert "cannot connect to postgresql://me:***@127.0.0.1:1/x" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(("given", "passed"), [("0.2", 0.2), ("0", None)])
def test_when_the_event_loop_counts_as_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, passed: float | None
) -> None:
    (tmp_path / "patient.py").write_text("import workrow\napp = workrow.App('postgresql://h/d')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    options: dict[str, Any] = {}
    monkeypatch.setattr("workrow.App.run_worker", lambda _, **given: options.update(given))
    told = CliRunner().invoke(main, ["--app", "patient.app", "worker", "--slow-callback-duration", given])
    assert told.exit_code == 0, told.output
    assert options["slow_callback_duration"] == passed
