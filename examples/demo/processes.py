"""Child processes that end with their parent, whatever ends it."""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import psutil

from examples.demo.errors import DemoError

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 10.0
START_SECONDS = 30.0
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
Answer = TypeVar("Answer")
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def script(name: str) -> str:
    """The path of a command of this virtual environment, such as `procrastinate`."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def interrupt_on_termination() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: through every `finally` and `with`."""
    # a shell without job control starts what it puts in the background with SIGINT ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # whoever handles Ctrl-C at that moment (asyncio, or nobody) handles this
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


@dataclass
class Child:
    """A process started by `Processes`."""

    name: str
    process: subprocess.Popen[bytes]
    started: float
    """By the system's clock, as the system tells it: with the id it names one process for good."""
    log: Path | None
    told_to_stop: bool = False

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        """How it ended, and the last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log else []
        said = f": {lines[-1]} (all of it in {self.log})" if lines else ""
        return f"{self.name} ended with exit code {self.process.poll()}{said}"

    def listening_port(self) -> int | None:
        """The TCP port it listens on; None as long as there is none."""
        try:
            connections = psutil.Process(self.pid).net_connections(kind="tcp")
        except psutil.Error:
            return None
        return next((c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN), None)


class Processes:
    """The child processes of one directory, which holds their logs (`<name>.log`) and their ids (`pids.json`).

    All are stopped when the block ends. On Linux the kernel kills them if this process is killed first; elsewhere the
    next run does, by the ids it finds in the directory.

    Args:
        directory: made if missing; only one process at a time may use it.
        logs: False lets the children write to this process's own output.

    Raises:
        DemoError: another process uses the directory.
    """

    def __init__(self, directory: Path, *, logs: bool = True) -> None:
        self.directory = directory
        self._ids = directory / "pids.json"
        self._logs = logs
        self._children: list[Child] = []
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = (self.directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise DemoError(
                f"{self.directory} is in use by another run; wait for it, or name another --directory"
            ) from error
        self._kill_left_over()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop(*self._children)
        finally:
            assert self._lock is not None
            self._lock.close()

    def start(self, name: str, *command: str, environment: Mapping[str, str]) -> Child:
        """Start `command` in the root of the repository with exactly `environment`."""
        log = self.directory / f"{name}.log" if self._logs else None
        output = log.open("wb") if log else None
        # a KeyboardInterrupt between fork and exec is lost in Python's own hooks, and one after them loses the child
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                # Ctrl-C in the terminal is for this process, which then stops its children in order
                start_new_session=True,
                preexec_fn=_end_with_parent(os.getpid()),
            )
            child = Child(name, process, psutil.Process(process.pid).create_time(), log)
            self._children.append(child)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
            if output:
                output.close()
        self._write_ids()
        return child

    def run(self, name: str, *command: str, environment: Mapping[str, str]) -> None:
        """Run `command` to its end.

        Raises:
            DemoError: its exit code is not 0.
        """
        child = self.start(name, *command, environment=environment)
        child.process.wait()
        self._forget(child)
        if child.process.returncode != 0:
            raise DemoError(child.last_words())

    def kill(self, child: Child) -> None:
        """End `child` with SIGKILL."""
        child.process.kill()
        child.process.wait()
        self._forget(child)

    def stop(self, *children: Child, timeout: float = STOP_SECONDS) -> None:
        """Ask `children` to end, all at once; kill those that have not after `timeout` seconds."""
        running = [child for child in children if child.is_running()]
        for child in running:
            child.told_to_stop = True
            child.process.terminate()
        deadline = time.monotonic() + timeout
        for child in running:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        for child in children:
            self._forget(child)

    def check(self) -> None:
        """Nothing, as long as all children run.

        Raises:
            DemoError: one has ended by itself.
        """
        for child in self._children:
            if not child.is_running() and not child.told_to_stop:
                raise DemoError(child.last_words())

    def wait_for(self, what: str, answer: Callable[[], Answer | None], timeout: float = START_SECONDS) -> Answer:
        """What `answer()` gives once it is not None or False, asked again and again.

        Raises:
            DemoError: it still is after `timeout` seconds, or a child has ended meanwhile.
        """
        deadline = time.monotonic() + timeout
        while not (given := answer()):
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{what} is not there after {timeout:.0f} seconds; see the logs in {self.directory}")
            time.sleep(0.05)
        return given

    def _forget(self, child: Child) -> None:
        self._children = [other for other in self._children if other is not child]
        self._write_ids()

    def _write_ids(self) -> None:
        ids = [[child.pid, child.started] for child in self._children]
        # renamed into place: whoever is killed here leaves the old ids or the new ones
        draft = self._ids.with_suffix(".tmp")
        draft.write_text(json.dumps(ids))
        draft.replace(self._ids)

    def _kill_left_over(self) -> None:
        if not self._ids.exists():
            return
        for pid, started in json.loads(self._ids.read_text()):
            try:
                process = psutil.Process(pid)
                # a stranger may have got the number since then
                if abs(process.create_time() - started) < 1.0:
                    process.kill()
            except psutil.NoSuchProcess:
                continue
        self._ids.unlink()


def _end_with_parent(parent: int) -> Callable[[], None]:
    """What a new child runs first: on Linux the kernel shall kill it when `parent` dies."""

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return prepare
