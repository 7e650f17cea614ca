"""Where servers of the suite have their data: in memory, if there is room.

Five processes that make and drop databases at the same time take 36 ms for each there, and 80 to 220 on a disk (ext4)
that nothing waits for either.
"""

import os
import re
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")
LEAST = 4 << 30
"""Bytes that have to be free: containers often have 64 MB there."""
NAME = re.compile(r"workrow-tests-(\d+)")


def room() -> Path | None:
    """The directory that is in memory; None: there is none, or not enough."""
    if MEMORY.is_dir() and min(shutil.disk_usage(MEMORY).free, _free()) >= LEAST:
        return MEMORY
    return None


def directory(otherwise: Path) -> Path:
    """A directory of this process, which is to `forget` it at its end; or this one."""
    if room() is None:
        return otherwise
    for left in MEMORY.iterdir():
        if (found := NAME.fullmatch(left.name)) and not _runs(int(found[1])):
            forget(left)
    return MEMORY / f"workrow-tests-{os.getpid()}"


def forget(path: Path) -> None:
    """Delete what was in memory; no server runs there any more."""
    if path.parent == MEMORY:
        shutil.rmtree(path, ignore_errors=True)


def _free() -> int:
    found = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
