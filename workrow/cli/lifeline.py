"""What ties worker processes to the parent that supervises them: a line whose other end closes with it."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from workrow.logs import get_logger

if TYPE_CHECKING:
    from workrow.worker import Worker

logger = get_logger(__name__)

TELL_SECONDS = 1.0
ORPHANS_LEASES = 2.0
"""A worker that stops waits for a database that is away, to write how jobs ended, until a second signal. One whose
parent is gone gets none: it waits so many leases after its own is over."""


def follow(descriptor: int) -> socket.socket:
    """Stop this process in order, as SIGTERM does, when the other end of the line has closed. Returns at once.

    Args:
        descriptor: one end of a pair of sockets; nothing is ever written into the other one.

    Returns:
        The line.
    """
    line = socket.socket(fileno=descriptor)
    line.set_inheritable(False)
    threading.Thread(target=_wait, args=(line,), name="workrow-lifeline", daemon=True).start()
    return line


def report(line: socket.socket, workers: "Callable[[], Iterable[Worker]]") -> None:
    """Tell the parent how these workers are, again and again. Returns at once."""
    threading.Thread(target=_tell, args=(line, workers), name="workrow-report", daemon=True).start()


def _wait(line: socket.socket) -> None:
    line.recv(1)
    logger.warning("the parent of this worker is gone: it stops, as at a SIGTERM")
    os.kill(os.getpid(), signal.SIGTERM)


def _tell(line: socket.socket, workers: "Callable[[], Iterable[Worker]]") -> None:
    """In a thread of its own, so that a task that blocks the worker's loop does not silence it."""
    while True:
        running = list(workers())
        told = {
            "started": any(worker.worker_id is not None for worker in running),
            "jobs": sum(worker.jobs_ended for worker in running),
            "lease": min((worker.lease for worker in running), default=None),
            "problems": [problem for worker in running for problem in worker.problems()],
            "warnings": [warning for worker in running for warning in worker.warnings()],
        }
        try:
            line.sendall(json.dumps(told).encode() + b"\n")
        except OSError:  # `_wait` has asked for a stop in order
            break
        time.sleep(TELL_SECONDS)
    _hurry(workers)


def _hurry(workers: "Callable[[], Iterable[Worker]]") -> None:
    answered_at = time.monotonic()
    while True:
        leases = [worker.lease for worker in workers() if worker.lease_is_over]
        if not leases:
            answered_at = time.monotonic()
        elif time.monotonic() - answered_at > ORPHANS_LEASES * max(leases):
            break
        time.sleep(TELL_SECONDS)
    logger.error("parent and database are gone: this worker waits no longer, as at a second SIGTERM")
    os.kill(os.getpid(), signal.SIGTERM)
