"""One worker process, as the parent that supervises it sees it."""

import json
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

SILENT_LEAST, SILENT_MOST = 3.0, 10.0
"""A worker tells how it is once a second; one that has not for a lease is not well, within these bounds of seconds."""


@dataclass(slots=True)
class Child:
    """One place for a worker process.

    Attributes:
        name: the worker's.
        process: the one that runs there now.
        crashes: how often in a row it has not ended in order.
        idle_starts: how many processes in a row have ended without having done a job, or having stood a while.
        started_at: when the process was started, by `time.monotonic`.
        start_at: when the next one may be.
        ended: how the last one ended, in words.
        said: what the process has told of itself last; None: nothing yet.
    """

    name: str
    process: subprocess.Popen[bytes] | None = None
    crashes: int = 0
    idle_starts: int = 0
    started_at: float = 0.0
    start_at: float = field(default_factory=time.monotonic)
    ended: str = ""
    said: dict[str, Any] | None = None
    _said_at: float = 0.0
    _heard: bytes = b""
    _line: socket.socket | None = None

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process with this command, its name, and one end of a line on which both notice the other's end."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            command = [*command, "--name", self.name, "--lifeline", str(theirs.fileno())]
            # a session of its own: Ctrl-C reaches the workers once, through us
            process = subprocess.Popen(command, start_new_session=True, pass_fds=[theirs.fileno()])
        self.said, self._heard, self._line = None, b"", ours
        self.started_at = self._said_at = time.monotonic()
        self.process = process
        return process

    def forget(self) -> None:
        """The process has ended."""
        self.process = None
        if self._line is not None:
            self._line.close()
            self._line = None

    def hear(self) -> None:
        """Read what the process has told of itself."""
        try:
            while self._line is not None and (told := self._line.recv(65536)):
                self._heard += told
        except OSError:  # nothing more for now, or for ever
            pass
        *lines, self._heard = self._heard.split(b"\n")
        if lines:
            self.said, self._said_at = json.loads(lines[-1]), time.monotonic()

    @property
    def has_worked(self) -> bool:
        """Whether the process has ended a job, as far as it has told."""
        return bool(self.said and self.said["jobs"])

    def problems(self) -> list[str]:
        """What is wrong with it now."""
        if self.process is None:
            return [f"{self.name} does not run: {self.ended or 'it was not started yet'}"]
        if self.said is None or not self.said["started"]:
            return [f"{self.name} is starting"]
        silent = time.monotonic() - self._said_at
        if silent > min(SILENT_MOST, max(SILENT_LEAST, self.said["lease"])):
            return [f"{self.name} has told nothing for {silent:.0f} s"]
        return [f"{self.name}: {problem}" for problem in self.said["problems"]]

    def warnings(self) -> list[str]:
        """What it works in spite of."""
        return [f"{self.name}: {warning}" for warning in (self.said or {}).get("warnings", ())]
