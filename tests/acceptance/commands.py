"""Commands of the repository as subprocesses."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from examples.demo.processes import ROOT

T = TypeVar("T")


@contextmanager
def start(command: Sequence[str], **names: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m` the command with these names in the environment; killed if it still runs at the end of the block."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PEOPLE", "DATABASE_URL")}
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=kept | names,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(question: Callable[[], T | None], seconds: float = 45) -> T:
    """The answer, once it is not None, False or empty."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"no answer within {seconds} seconds"
        time.sleep(0.02)
    return answer


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children_of(directory: Path) -> set[int]:
    """The processes that a run in the directory has started, by what it wrote down."""
    path = directory / "pids.json"
    return {pid for pid, _ in json.loads(path.read_text())} if path.exists() else set()
