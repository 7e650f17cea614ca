"""Several worker processes under one parent."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from workrow.declare.backoff import exponential

logger = logging.getLogger(__name__)

BACK_OFF = exponential(0.5, cap=30)
"""Seconds until a crashed worker is started again."""
STEADY_SECONDS = 60.0
"""A worker that ran for so long is steady: its next crash counts as the first."""
ORDERLY_SECONDS = 1.0
"""From one start to the next, of a worker that has ended in order."""
LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Child:
    """One place for a worker process."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    crashes: int = 0
    started_at: float = 0.0
    start_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """Keeps worker processes running until a signal, which it passes on; then waits until they have drained.

    Args:
        command: what starts one worker; ``--name`` and ``--lifeline`` are added.
        processes: how many.
        name: what their names begin with.
        restarts: whether one that ends by itself without an error is started again.
        bury: called in a thread with the name and process id of a worker that a signal has killed, and with the cause.
    """

    def __init__(
        self, command: list[str], processes: int, name: str, *, restarts: bool, bury: Callable[[str, int, str], None]
    ) -> None:
        self._command = command
        self._children = [Child(f"{name}-{number}") for number in range(1, processes + 1)]
        self._restarts = restarts
        self._bury = bury
        self._signal: int | None = None
        self._exit_code = 0
        # the other end is this process's alone, and closes with it, however that ends
        self._lifeline, self._held = os.pipe()

    def run(self) -> int:
        """Supervise; the exit code is 0 if every worker ended in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        while self._children:
            for child in list(self._children):
                self._look_after(child)
            time.sleep(LOOK_SECONDS)
        return self._exit_code

    def _pass_on(self, number: int, _frame: object) -> None:
        # a worker drains at the first signal, and hurries at the second one
        self._signal = number
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(number)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if self._signal is not None:
                self._children.remove(child)
            elif now >= child.start_at:
                # a session of its own: Ctrl-C reaches the workers once, through us
                command = [*self._command, "--name", child.name, "--lifeline", str(self._lifeline)]
                child.process = subprocess.Popen(command, start_new_session=True, pass_fds=[self._lifeline])
                child.started_at = now
                if self._signal is not None:  # meanwhile
                    child.process.send_signal(self._signal)
                logger.info("%s started as process %d", child.name, child.process.pid)
            return
        code = child.process.poll()
        if code is None:
            return
        if code == -(self._signal or 0):
            code = 0  # it was starting: it had no handler yet, and no job
        if code < 0:
            cause = f"killed by {signal.Signals(-code).name}"
            threading.Thread(target=self._bury, args=(child.name, child.process.pid, cause), daemon=True).start()
        child.process = None
        if self._signal is not None or (code == 0 and not self._restarts):
            self._exit_code = self._exit_code or (code if code > 0 else 0 if code == 0 else 128 - code)
            self._children.remove(child)
            return
        if code == 0:
            child.crashes, child.start_at = 0, max(now, child.started_at + ORDERLY_SECONDS)
            logger.info("%s has ended in order; starting the next one", child.name)
            return
        child.crashes = 1 if now - child.started_at > STEADY_SECONDS else child.crashes + 1
        pause = BACK_OFF(child.crashes)
        child.start_at = now + pause
        logger.warning("%s ended with code %d; starting it again in %.1f s", child.name, code, pause)
