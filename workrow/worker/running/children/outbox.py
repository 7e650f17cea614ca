"""What a child process sends to its parent."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from queue import SimpleQueue

from workrow.context import Step

PROGRESS_SECONDS = 0.1
"""The shortest time between two words on a task's progress."""


class Outbox:
    """Sends answers; and before them what the task says of its progress, as often as that is of use.

    Args:
        connection: to the parent.
        blocked: signals that are not for a thread of its own, where they would not wake the main one.
    """

    def __init__(self, connection: Connection, blocked: Iterable[signal.Signals]) -> None:
        self._connection = connection
        self._blocked = tuple(blocked)
        self._sending = threading.Lock()
        self._said: Step | None = None
        self._sent: Step | None = None
        self._rung = False
        # put() is one step, which a soft limit's signal in the main thread does not tear apart
        self._bell: SimpleQueue[None] | None = None

    def open(self) -> None:
        """From here on there may be progress."""
        if self._bell is None:
            self._bell = SimpleQueue()
            threading.Thread(target=self._tell, args=(self._bell,), daemon=True).start()

    def say(self, step: Step) -> None:
        """From any thread."""
        self._said = step
        if not self._rung and self._bell:
            self._rung = True
            self._bell.put(None)

    def send(self, answer: object) -> None:
        """The end of a job, after its last word."""
        with self._sending:
            self._send_said()
            self._said = self._sent = None
            self._connection.send(answer)

    def _tell(self, bell: "SimpleQueue[None]") -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, self._blocked)
        while True:
            bell.get()
            self._rung = False
            with self._sending, contextlib.suppress(OSError):  # the end of the parent is noticed by the inbox
                self._send_said()
            time.sleep(PROGRESS_SECONDS)

    def _send_said(self) -> None:
        if (said := self._said) is not self._sent:
            self._sent = said
            self._connection.send(said)
