"""What the system tells of a process: its memory, and how it ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path


def how_it_ended(code: int | None) -> str:
    """An exit code as ``multiprocessing`` tells it, in words; None: it was collected by another thread."""
    if code is None:
        return "ended, and somebody else has collected how"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        return f"killed by signal {-code}"
    return f"killed by {name}" + (", perhaps out of memory" if -code == signal.SIGKILL else "")


def resident(pid: int) -> int:
    """The resident memory of a process in bytes; 0 if there is none to be seen."""
    if sys.platform == "linux":
        try:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(told.strip() or 0) * 1024
