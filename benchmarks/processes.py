"""The processes of a run. All of them are stopped, by their pids, whatever ends the run."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError

ROOT = Path(__file__).parent.parent
STOP_SECONDS = 10.0


class Process:
    """A started program. What it says goes to a file, whose end a failure shows; what a client reports, to us."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], *, reports: bool = False) -> None:
        self.argv = list(argv)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        self._popen = subprocess.Popen(
            self.argv,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            stdin=subprocess.PIPE if reports else subprocess.DEVNULL,
            stdout=subprocess.PIPE if reports else self._errors,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is ours; we stop it
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def check(self) -> None:
        """Raise if it ended although nobody told it to."""
        if self._popen.poll() is not None:
            raise BenchmarkError(f"{self._name()} ended with code {self._popen.returncode}: {self._words()}")

    def line(self) -> str:
        """The next line that it prints."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline().decode().strip()
        if not line:
            self._popen.wait()
            raise BenchmarkError(f"{self._name()} ended with code {self._popen.returncode}: {self._words()}")
        return line

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{line}\n".encode())
        self._popen.stdin.flush()

    def join(self) -> None:
        """Wait for its end; raise if it failed."""
        if code := self._popen.wait():
            raise BenchmarkError(f"{self._name()} ended with code {code}: {self._words()}")

    def stop(self) -> None:
        """Ask it to end, then make it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._popen.poll() is not None:
                break
            self._popen.send_signal(number)
            try:
                self._popen.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        for stream in (self._popen.stdin, self._popen.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _name(self) -> str:
        return " ".join(Path(word).name if "/" in word else word for word in self.argv[:4])

    def _words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:])[-500:]


@contextmanager
def running(
    argv: Sequence[str], env: Mapping[str, str], count: int = 1, *, reports: bool = False
) -> Iterator[list[Process]]:
    """So many processes of the same command, for as long as the block runs."""
    started: list[Process] = []
    try:
        for _ in range(count):
            started.append(Process(argv, env, reports=reports))  # noqa: PERF401 - those before a failure are stopped
        yield started
    finally:
        for process in started:
            process.stop()


def call(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a program to its end."""
    with running(argv, env) as (process,):
        process.join()


def clients(argv: Sequence[str], env: Mapping[str, str], count: int = 1) -> tuple[float, list[dict[str, Any]]]:
    """Run client programs (see `benchmarks.programs.protocol`) side by side.

    Returns:
        The seconds from the first one's begin to the last one's end, and what each reported.
    """
    with running(argv, env, count, reports=True) as started:
        for process in started:
            if (said := process.line()) != "ready":
                raise BenchmarkError(f"{argv}: said {said!r} instead of ready")
        for process in started:
            process.say("go")
        reports = [json.loads(process.line()) for process in started]
        for process in started:
            process.join()
    return max(r["ended"] for r in reports) - min(r["begun"] for r in reports), reports


class Marks:
    """What `benchmarks.programs.marks` wrote in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def env(self) -> dict[str, str]:
        return {"BENCHMARK_MARKS": str(self.directory)}

    def times(self) -> list[float]:
        """The times of the marks, of all processes, in order."""
        return sorted(self._read("marks"))

    def pings(self) -> list[float]:
        """The latencies, in milliseconds."""
        return self._read("pings")

    def _read(self, kind: str) -> list[float]:
        # a line that is being written has no end yet
        complete = (path.read_text().rpartition("\n")[0] for path in self.directory.glob(f"*.{kind}"))
        return [float(line) for text in complete for line in text.splitlines()]


@contextmanager
def new_marks() -> Iterator[Marks]:
    """An empty directory for them."""
    with tempfile.TemporaryDirectory(prefix="workrow-bench-") as directory:
        yield Marks(Path(directory))


def wait_until(done: Any, what: str, processes: Sequence[Process] = (), seconds: float = 120.0) -> None:
    """Wait for ``done()``; it is asked as often as it is cheap.

    Raises:
        BenchmarkError: it takes longer than ``seconds``, or one of the processes ended.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if done():
            return
        now = time.monotonic()
        if now > deadline:
            raise BenchmarkError(f"{what}: not within {seconds:.0f} s")
        for process in processes:
            process.check()
        time.sleep(max(0.005, 2 * (now - asked)))
