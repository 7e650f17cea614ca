"""The parent of several workers: signals at any moment, and workers that never do anything."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from workrow.cli import child, supervisor
from workrow.cli.supervisor import Supervisor

pytestmark = pytest.mark.timed

ROOT = Path(__file__).parents[2]
PATIENT = ["/bin/sh", "-c", "trap 'echo term >> $0; exit 0' TERM; echo up >> $0; while :; do sleep 0.02; done"]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "BACK_OFF", lambda _: 0.01)


def supervised(command: list[str], processes: int = 2, **options: Any) -> Supervisor:
    return Supervisor(command, processes, "w", **{"restarts": True, "bury": lambda *_: None, **options})


@contextlib.contextmanager
def signal_at(moment: int) -> Iterator[list[str]]:
    """A SIGTERM at the given step of what the supervisor does from its first look on; says at which line that was."""
    steps, where = 0, list[str]()

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        if frame.f_code.co_filename not in (supervisor.__file__, child.__file__, subprocess.__file__):
            return None
        if event == "line" and not where and (steps or frame.f_code.co_name == "_look_after"):
            steps += 1
            if steps == moment:
                where.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
                os.kill(os.getpid(), signal.SIGTERM)
        return step

    sys.settrace(step)
    try:
        yield where
    finally:
        sys.settrace(None)


@pytest.mark.parametrize("first", range(1, 8))
def test_a_signal_at_any_moment_of_a_start_reaches_each_worker_once(first: int, tmp_path: Path) -> None:
    # in a process of its own, where nothing else has to do with signals
    script = f"from tests.unit.test_supervisor import moments; moments({first}, {str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert not done.returncode, f"{done.returncode}: {done.stderr}"


def moments(first: int, directory: str) -> None:
    """Every 28th moment from the first one on."""
    supervisor.LOOK_SECONDS = 0.01
    for moment in range(first, 400, 28):
        log = Path(directory) / str(moment)
        with signal_at(moment) as where:
            began = time.monotonic()
            assert supervised([*PATIENT, str(log)]).run() == 0, where
        assert where
        assert time.monotonic() - began < 30
        told = log.read_text().split() if log.exists() else []
        assert told.count("term") <= told.count("up") <= 2


def test_two_signals_are_two(tmp_path: Path) -> None:
    command = (
        "trap 'n=$((n+1)); echo term >> $0; [ $n = 2 ] && exit 0' TERM; echo up >> $0; while :; do sleep 0.02; done"
    )
    one = supervised(["/bin/sh", "-c", command, str(tmp_path / "log")], 1)
    look_after, seen = one._look_after, 0

    def look(looked_at: Any) -> None:
        nonlocal seen
        told = (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []
        if len(told) == seen + 1 < 3:
            seen += 1
            os.kill(os.getpid(), signal.SIGTERM)
        look_after(looked_at)

    one._look_after = look  # type: ignore[method-assign]
    assert one.run() == 0
    assert (tmp_path / "log").read_text().split() == ["up", "term", "term"]


def test_workers_that_never_do_a_job_are_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    one = supervised(["/bin/sh", "-c", "echo up >> $0; exit 3", str(tmp_path / "log")])
    assert one.run() == 3
    assert 20 <= len((tmp_path / "log").read_text().split()) <= 22
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["giving up: 10 starts of each worker, and no job done; the last ended with 3"]


@pytest.mark.parametrize(("lease", "silent", "told"), [(2, 4, True), (5, 4, False), (60, 9, False), (60, 11, True)])
def test_who_is_silent_for_a_lease_is_not_well(lease: float, silent: float, told: bool) -> None:
    one = child.Child("w-1", process=subprocess.Popen([sys.executable, "-S", "-c", ""]))
    one.said = {"started": True, "lease": lease, "jobs": 0, "problems": [], "warnings": []}
    one._said_at = time.monotonic() - silent
    assert one.problems() == ([f"w-1 has told nothing for {silent} s"] if told else [])
    assert one.process
    one.process.wait()


TALKER = """
import os, socket, sys, time
number, line = sys.argv[2][-1], socket.socket(fileno=int(sys.argv[4]))
with open(sys.argv[5] if len(sys.argv) > 5 else os.environ["LOG"], "a") as log:
    log.write(number)
if number == "1":
    line.sendall(b'{"started": true, "lease": 20, "jobs": %d, "problems": [], "warnings": []}\\n')
    time.sleep(0.1)
sys.exit(3)
"""


@pytest.mark.parametrize("jobs", [1, 0])
def test_one_that_works_keeps_the_others_going(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    one = supervised([sys.executable, "-S", "-c", TALKER % jobs])
    look_after = one._look_after

    def look(looked_at: Any) -> None:
        if (tmp_path / "log").exists() and (tmp_path / "log").read_text().count("1") > 12:
            one._signals.append(signal.SIGTERM)
        look_after(looked_at)

    one._look_after = look  # type: ignore[method-assign]
    one.run()
    assert ((tmp_path / "log").read_text().count("1") > 12) == bool(jobs)
