"""What the fleet runs: a process of its own for each."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

SHUTDOWN_SECONDS = 5
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s %(message)s"


@dataclass(frozen=True, slots=True)
class Program:
    """One of the fleet, whichever process it is at the moment.

    Attributes:
        name: in messages; `log_name` is that of its log.
        command: what is run.
        environment: what it is told besides ours.
        up: what it says in its log once it is there.
        ends: its exit codes after SIGTERM.
        refuses: its exit code if it cannot reach the database when it starts.
        any_clock: whether it has to do its work by a clock that is wrong.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    up: str
    ends: tuple[int, ...] = (os.EX_OK,)
    refuses: int = 1
    any_clock: bool = True

    @property
    def log_name(self) -> str:
        """The name of its log."""
        return f"{self.name.replace(' ', '-')}.log"


def worker(number: int, app: str, slots: int, environment: Mapping[str, str]) -> Program:
    """Worker `number` of the app: every other one is started by procrastinate's command, the rest by ours."""
    name = f"w{number}"
    if number % 2:
        command = (sys.executable, "-m", "workrow", "--app", app, "worker", "-n", name, "-c", str(slots))
        command += ("--shutdown-timeout", str(SHUTDOWN_SECONDS))
    else:
        command = (sys.executable, "-m", "procrastinate", "-v", f"--app={app}", "--log-format", LOG_FORMAT)
        command += ("worker", "--name", name, "--concurrency", str(slots))
        command += ("--shutdown-graceful-timeout", str(SHUTDOWN_SECONDS))
    return Program(f"worker {number}", command, environment, " started, ")
