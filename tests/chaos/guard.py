"""Cleans up after a run that was killed: PostgreSQL's server is no child of it and would stay.

    python -m tests.chaos.guard DIRECTORY

Waits until stdin ends, which is when the run does, then stops the servers of the directory and deletes it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.chaos.fleet import ROOT


def watch(directory: Path) -> "subprocess.Popen[bytes]":
    """Start the guard; closing its stdin calls it to work."""
    command = [sys.executable, "-m", "tests.chaos.guard", str(directory)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)


def clean(directory: Path) -> None:
    """Stop the servers whose data is in the directory, and delete it."""
    for file in directory.glob("*/postmaster.pid"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(file.read_text().partition("\n")[0]), signal.SIGQUIT)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    clean(Path(sys.argv[1]))
