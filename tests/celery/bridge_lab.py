"""Both fleets on this machine: a Redis of our own, Celery's workers and workrow's, on the same module."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.celery.conformance import real

REPOSITORY = Path(__file__).parents[2]
MODULE = "tests.celery.bridge_shop"
SECONDS = 60


def real_python() -> str:
    """Of a Python that has Celery 5.7, redis and workrow; `make celery-bridge` makes one. Skips without."""
    found = os.environ.get("REAL_CELERY_PYTHON") or str(REPOSITORY / ".workrow/real-celery/bin/python")
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server here")
    if not Path(found).exists() or subprocess.run([found, "-c", "import celery, redis, workrow"]).returncode:
        pytest.skip("there is no Python with Celery and workrow: make celery-bridge")
    return found


def until(found: Callable[[], Any], seconds: float = SECONDS) -> Any:
    late = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < late, "too late"
        time.sleep(0.1)
    return value


class Lab:
    """Both sides.

    Args:
        python: see `real_python`.
        redis_url, database_url: of the broker, and of the database.
        folder: for files.

    Attributes:
        said: what the last producer has logged.
    """

    def __init__(self, python: str, redis_url: str, database_url: str, folder: str) -> None:
        self.folder = folder
        self.said = ""
        self.python = python
        self.redis_url = redis_url
        self.database_url = database_url
        self.environment = {**os.environ, "BRIDGE_REDIS": redis_url, "DATABASE_URL": database_url}

    def redis(self, *words: str) -> str:
        """What redis-cli prints."""
        command = ["redis-cli", "-u", self.redis_url, "--raw", *words]
        return subprocess.run(command, capture_output=True, text=True).stdout

    def ran(self) -> list[list[str]]:
        """What the tasks have noted: the side, and what."""
        return [line.split(" ", 1) for line in self.redis("lrange", "ran", "0", "-1").splitlines()]

    def command(self, *words: str, fails: bool = False) -> str:
        """``python -m workrow.celery …`` of workrow's own Python."""
        done = subprocess.run(
            [sys.executable, "-m", "workrow.celery", *words],
            cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
        assert bool(done.returncode) == fails, done.stderr
        return done.stdout + done.stderr

    def produce(self, code: str, **more: str) -> Any:
        """What a producer prints as JSON; ``shop`` is the module, ``app`` its app."""
        text = f"import json\nimport {MODULE} as shop\nfrom {MODULE} import app\n{code}"
        done = subprocess.run(
            [self.python, "-c", text], cwd=REPOSITORY, env={**self.environment, **more}, capture_output=True, text=True,
            timeout=SECONDS * 3,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        self.said = done.stderr
        return json.loads(done.stdout) if done.stdout else None

    @contextlib.contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen([self.python, "-m", *words], cwd=REPOSITORY, env=self.environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def old_worker(self, *words: str) -> Any:
        """A worker of Celery's."""
        queues = () if "-Q" in words else ("-Q", "celery,slow")
        return self.started("celery", "-A", MODULE, "worker", "-c", "2", "-l", "WARNING", *queues, *words)

    def new_worker(self, *words: str) -> Any:
        """One of ours, on the same module."""
        command = ("workrow.celery", "--as-celery", "-A", MODULE, "worker", "-c", "2", "-Q", "celery,slow")
        return self.started(*command, *words)


@contextlib.contextmanager
def lab_on(database_url: str) -> Iterator[Lab]:
    python = real_python()
    with real.lanes(1) as (redis_url,), tempfile.TemporaryDirectory() as folder:
        lab = Lab(python, redis_url, database_url, folder)
        until(lambda: "PONG" in lab.redis("ping"))
        yield lab
