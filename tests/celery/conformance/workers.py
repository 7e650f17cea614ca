"""Workers of a lane, each a process of its own."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import until
from tests.celery.conformance.words import ROOT

TASKS = "tests.celery.conformance.tasks"
REPOSITORY = Path(__file__).parents[3]
SECONDS_TO_START = 60
SECONDS_TO_STOP = 25


class Running:
    """A worker or beat that was started, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def said(self, pattern: str) -> list[str]:
        """The lines of its log that match, without their times."""
        lines = (re.sub(r"^\[[^\]]*\] ", "", line) for line in self._log.read_text().splitlines())
        return [line for line in lines if re.search(pattern, line)]

    def stop(self) -> int:
        """Its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[Running]:
    """``celery -A tasks …``, for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", ROOT, "-A", TASKS, *arguments],
                cwd=REPOSITORY,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        running = Running(process, log)
        try:
            yield running
        finally:
            if process.poll() is None:
                running.stop()


@contextlib.contextmanager
def worker(
    *arguments: str, name: str = "one", processes: int = 2, conf: dict[str, Any] | None = None, **environment: str
) -> Iterator[Running]:
    """A worker that is ready. Raises RuntimeError if it never is."""
    environment |= {"CONFORMANCE_ROLE": "worker", "CONFORMANCE_CONF": json.dumps(conf or {})}
    command = ("worker", "-c", str(processes), "-P", "prefork", "-n", f"{name}@truth", "-l", "INFO", *arguments)
    with started(*command, **environment) as running:
        process = running.process
        if not until(lambda: process.poll() is not None or notes(kind="ready", pid=process.pid), SECONDS_TO_START):
            raise RuntimeError(f"the worker is not ready after {SECONDS_TO_START} s: {running.said('')[-5:]}")
        if process.poll() is not None:
            raise RuntimeError(f"the worker has ended ({process.returncode}): {running.said('')[-5:]}")
        yield running


def seen_by_another_process(code: str, *arguments: str) -> Any:
    """What a Python program prints as JSON, that knows nothing of ours but the URL, its first argument."""
    code = code.replace("CELERY", ROOT)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code, os.environ["CONFORMANCE_URL"], *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
    return json.loads(done.stdout) if done.stdout else done.stderr[-300:]
