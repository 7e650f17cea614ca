"""Several worker processes under one parent."""

import random
import signal
import threading
import time
from collections.abc import Callable

from workrow.cli.child import Child
from workrow.declare.backoff import exponential
from workrow.logs import get_logger

logger = get_logger(__name__)

BACK_OFF = exponential(0.5, cap=30, jitter=False)
"""Seconds until a crashed worker is started again, at most; half of it at least."""
STEADY_SECONDS = 60.0
"""A worker that ran for so long is steady: its next crash counts as the first."""
ORDERLY_SECONDS = 1.0
"""From one start to the next, of a worker that has ended in order."""
IDLE_STARTS_MOST = 10
"""When each worker has been started so often without doing a job, none ever will: two minutes, with the pauses."""
LOOK_SECONDS = 0.1


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
        self._signals: list[int] = []
        self._passed_on = 0
        self._exit_code = 0

    def run(self) -> int:
        """Supervise; the exit code is 0 if every worker ended in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: self._signals.append(received))
        while self._children:
            for child in list(self._children):
                self._look_after(child)
            self._pass_on()
            time.sleep(LOOK_SECONDS)
        return self._exit_code

    def problems(self) -> list[str]:
        """What is wrong with any of the workers."""
        return [problem for child in list(self._children) for problem in child.problems()]

    def warnings(self) -> list[str]:
        """What they work in spite of."""
        return [warning for child in list(self._children) for warning in child.warnings()]

    def _pass_on(self) -> None:
        """Here and not in the handler, which may run while a process is being started: each gets each signal once."""
        for number in self._signals[self._passed_on :]:
            self._passed_on += 1
            for child in self._children:
                # a worker drains at the first signal, and hurries at the second one
                if child.process is not None and child.process.poll() is None:
                    child.process.send_signal(number)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if self._signals:
                self._children.remove(child)
            elif now >= child.start_at:
                process = child.start(self._command)
                logger.info("%s started as process %d", child.name, process.pid)
            return
        child.hear()
        code = child.process.poll()
        if code is None:
            return
        if self._signals and code == -self._signals[-1]:
            code = 0  # it was starting: it had no handler yet, and no job
        if code < 0:
            cause = f"killed by {signal.Signals(-code).name}"
            threading.Thread(target=self._bury, args=(child.name, child.process.pid, cause), daemon=True).start()
        child.forget()
        if self._signals or (code == 0 and not self._restarts):
            self._exit_code = self._exit_code or exit_code(code)
            self._children.remove(child)
        elif code == 0:
            child.crashes, child.idle_starts = 0, 0
            child.start_at, child.ended = max(now, child.started_at + ORDERLY_SECONDS), "it has ended in order"
            logger.info("%s has ended in order; starting the next one", child.name)
        else:
            self._back_off(child, code, now)

    def _back_off(self, child: Child, code: int, now: float) -> None:
        steady = now - child.started_at > STEADY_SECONDS
        child.crashes = 1 if steady else child.crashes + 1
        child.idle_starts = 0 if steady or child.has_worked else child.idle_starts + 1
        pause = random.uniform(0.5, 1) * BACK_OFF(child.crashes)
        child.start_at, child.ended = now + pause, f"it ended with code {code}"
        if min(each.idle_starts for each in self._children) < IDLE_STARTS_MOST:
            logger.warning("%s ended with code %d; starting it again in %.1f s", child.name, code, pause)
            return
        logger.error(
            "giving up: %d starts of each worker, and no job done; the last ended with %d", IDLE_STARTS_MOST, code
        )
        self._exit_code = exit_code(code)
        self._signals.append(signal.SIGTERM)


def exit_code(code: int) -> int:
    """How a shell tells the end of a process: by a signal, 128 and its number."""
    return code if code >= 0 else 128 - code
