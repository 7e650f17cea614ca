"""What a task leaves behind for the harness: when it ran, without a query. Only the standard library.

Every process writes one line each STEP tasks to ``$BENCHMARK_MARKS/<pid>.marks``: the time. The first line is the
first task's. ``ping`` writes how many milliseconds a job took from enqueue to start to ``<pid>.pings``.
"""

import itertools
import os
import time

STEP = 500

_ran = itertools.count()
_marks = -1
_pings = -1


def _open(kind: str) -> int:
    path = os.path.join(os.environ["BENCHMARK_MARKS"], f"{os.getpid()}.{kind}")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def tick() -> None:
    """One more task starts."""
    if next(_ran) % STEP == 0:
        mark()


def mark() -> None:
    """Write the time down."""
    global _marks
    if _marks < 0:
        _marks = _open("marks")
    os.write(_marks, f"{time.time()}\n".encode())


def ping(sent: float) -> None:
    """A job that was enqueued at ``sent`` starts now."""
    global _pings
    now = time.time()
    if _pings < 0:
        _pings = _open("pings")
    os.write(_pings, f"{(now - sent) * 1000}\n".encode())
