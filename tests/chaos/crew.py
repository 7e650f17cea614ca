"""The producers as processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.chaos.fleet import spawn

PRODUCERS = 3
STOP_SECONDS = 45.0


class Crew:
    """Starts the producers and keeps what they know.

    Args:
        url: of the database.
        logs: the directory of their logs.
        seed: for their choices.
        rate: jobs a second of all together.
    """

    def __init__(self, url: str, logs: Path, seed: int, rate: float) -> None:
        self._environment = {**os.environ, "CHAOS_URL": url}
        self._logs = logs
        self._arguments = [str(seed), str(rate / PRODUCERS)]
        self._processes: list[subprocess.Popen[bytes]] = []
        self.violations: list[str] = []

    def start(self) -> None:
        """Start all of them."""
        for number in range(PRODUCERS):
            program = [sys.executable, "-m", "tests.chaos.workload", str(number), *self._arguments]
            with (self._logs / f"producer-{number}.log").open("ab") as output:
                self._processes.append(spawn([*program, str(self._keys(number))], self._environment, output))

    def poll(self) -> None:
        """See that none has ended: that would be an error of the suite itself."""
        for number, process in enumerate(self._processes):
            if process.poll() is not None and not any(f"producer {number} " in each for each in self.violations):
                self.violations.append(f"producer {number} ended with code {process.returncode}, see its log")

    def stop(self) -> None:
        """Let them finish what they are at."""
        self.poll()
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def acknowledged(self) -> set[str]:
        """The keys whose commit was answered."""
        files = [self._keys(number) for number in range(PRODUCERS)]
        # the last line of a killed one may be half written
        return {line.strip() for file in files if file.exists() for line in file.open() if line.endswith("\n")}

    def destroy(self) -> None:
        """End whatever is left."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _keys(self, number: int) -> Path:
        return self._logs / f"acknowledged-{number}.txt"
