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
            "problems": [problem for worker in running for problem in worker.problems()],
            "warnings": [warning for worker in running for warning in worker.warnings()],
        }
        try:
            line.sendall(json.dumps(told).encode() + b"\n")
        except OSError:  # `_wait` sees to it
            return
        time.sleep(TELL_SECONDS)
