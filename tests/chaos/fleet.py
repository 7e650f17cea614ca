"""The workers, and what else is to be hit, as processes: started, watched, started again."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.child import die_with_parent
from tests.chaos.programs import Program

ROOT = Path(__file__).parent.parent.parent
SHIM = Path(__file__).parent / "shim"
DEPLOY_SECONDS = 20.0
"""A worker that was told to stop, with its database there, is gone by then."""
RESTART_SECONDS = 0.5
ORPHAN_SECONDS = 20.0
"""A child that is killed while it starts has to end its imports first: several seconds on a busy machine."""
REFUSED = re.compile("cannot connect to|the database says|DatabaseUnavailable")
"""What a worker says that gives up because it cannot reach the database to start with."""
CLOCK_OFF_SECONDS = 3600

Log = Callable[[str], None]


@dataclass
class Worker:
    """One of the fleet: the process of the moment, and what it has been told."""

    number: int
    program: Program
    process: subprocess.Popen[bytes]
    log: Path
    offset: int
    killed: bool = False
    told_to_stop: float | None = None
    stopped: bool = False
    clock_off: int = 0
    met_away: bool = False
    stops_without_database: bool = False

    @property
    def started(self) -> bool:
        """Whether it is up."""
        return self.program.up in self.words()

    @property
    def refused(self) -> bool:
        """Whether it has ended because it found no database."""
        said = not self.started and REFUSED.search(self.words())
        return bool(said) and self.process.poll() == self.program.refuses

    @property
    def calm(self) -> bool:
        """Whether it runs, and nobody does anything to it at the moment."""
        told = self.killed or self.stopped or self.told_to_stop
        return not told and self.process.poll() is None and self.started

    def words(self) -> str:
        """What this process has logged."""
        with self.log.open("rb") as log:
            log.seek(self.offset)
            return log.read().decode(errors="replace")


class Fleet:
    """Keeps a number of processes running.

    Args:
        programs: what each of them runs.
        logs: the directory of their logs.
        say: where it is told what happens.
        away: whether the database may be out of reach; who starts then may give up.
    """

    def __init__(self, programs: Sequence[Program], logs: Path, say: Log, away: Callable[[], bool]) -> None:
        self._programs = programs
        self._logs = logs
        self._say = say
        self._away = away
        self._pending: dict[int, tuple[float, int]] = {}
        self._sessions: dict[int, float] = {}
        self._ending = False
        self.size = len(programs)
        self.workers: dict[int, Worker] = {}
        self.violations: list[str] = []
        self.orphans: list[str] = []
        self.refused_starts = 0
        self.starts = 0

    def start(self, number: int, clock_off: int = 0) -> None:
        """Start worker `number`, its clock wrong by so many seconds."""
        program = self._programs[number]
        log = self._logs / program.log_name
        environment = {**os.environ, **program.environment}
        if clock_off:
            environment |= {"CHAOS_CLOCK_OFF": str(clock_off), "PYTHONPATH": str(SHIM)}
        with log.open("ab") as output:
            offset = output.seek(0, os.SEEK_END)
            process = spawn(program.command, environment, output)
        self.workers[number] = Worker(number, program, process, log, offset, clock_off=clock_off)
        self._pending.pop(number, None)
        self.starts += 1

    def signal(self, number: int, what: signal.Signals, *, everyone: bool = False) -> None:
        """Send a signal to a worker, or to it and its children; remembers what to expect of it."""
        worker = self.workers[number]
        if what is signal.SIGKILL:
            worker.killed = True
        elif what is signal.SIGTERM:
            worker.told_to_stop = time.monotonic()
        elif what is signal.SIGSTOP:
            worker.stopped = True
        elif what is signal.SIGCONT:
            worker.stopped = False
        if everyone:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, what)
        elif worker.process.poll() is None:
            worker.process.send_signal(what)

    def next_clock(self, number: int, clock_off: int) -> bool:
        """The next process of this worker starts with its clock wrong by so many seconds; if it can bear that."""
        if self._programs[number].any_clock:
            self._pending[number] = (float("inf"), clock_off)
        return self._programs[number].any_clock

    def poll(self) -> None:
        """Start again who has ended; note who should not have."""
        now = time.monotonic()
        for number, worker in list(self.workers.items()):
            worker.met_away |= self._away()
            if worker.process.poll() is None:
                self._check_deadline(worker, now)
            else:
                del self.workers[number]
                self._judge(worker)
                self._sessions[worker.process.pid] = now
                _, clock = self._pending.get(number, (0.0, 0))
                self._pending[number] = (now + RESTART_SECONDS, clock)
        if not self._ending:
            for number, (due, clock) in list(self._pending.items()):
                if number not in self.workers and now >= due:
                    self.start(number, clock)
        self._look_for_orphans(now)

    def stop(self) -> None:
        """Tell all workers to stop, and wait for them."""
        self._ending = True
        for number in list(self.workers):
            self.signal(number, signal.SIGTERM)
        while self.workers:
            self.poll()
            time.sleep(0.05)
        deadline = time.monotonic() + ORPHAN_SECONDS
        while self._sessions and time.monotonic() < deadline:
            self._look_for_orphans(time.monotonic())
            time.sleep(0.1)
        self._look_for_orphans(float("inf"))

    def destroy(self) -> None:
        """End whatever is left, at once."""
        self._ending = True
        for worker in self.workers.values():
            worker.process.kill()
            worker.process.wait()
        for session in [worker.process.pid for worker in self.workers.values()] + list(self._sessions):
            kill(members(session))

    def _check_deadline(self, worker: Worker, now: float) -> None:
        if worker.told_to_stop is None or worker.killed:
            return
        if self._away():
            # it may wait until it can write down what it did, and leave a thread behind that waits for the database
            worker.told_to_stop = now
            worker.stops_without_database = True
        elif now - worker.told_to_stop > DEPLOY_SECONDS:
            self._violation(worker, f"has not stopped {DEPLOY_SECONDS:.0f} s after SIGTERM")
            self.signal(worker.number, signal.SIGKILL)

    def _judge(self, worker: Worker) -> None:
        code = worker.process.returncode
        if worker.killed and code == -signal.SIGKILL:
            return
        if worker.told_to_stop is not None:
            if code not in worker.program.ends and not (worker.stops_without_database and code == os.EX_TEMPFAIL):
                self._violation(worker, f"was told to stop and ended with code {code}")
        elif worker.met_away and worker.refused:
            self.refused_starts += 1
            self._say(f"{worker.program.name} could not start: the database is away")
        else:
            self._violation(worker, f"ended by itself with code {code}")

    def _violation(self, worker: Worker, what: str) -> None:
        last = (worker.words().strip().splitlines() or [""])[-1]
        text = f"{worker.program.name} (pid {worker.process.pid}) {what}; last line: {last[:200]}"
        self.violations.append(text)
        self._say(f"VIOLATION {text}")

    def _look_for_orphans(self, now: float) -> None:
        for session, since in list(self._sessions.items()):
            left = members(session)
            if not left:
                del self._sessions[session]
            elif now - since > ORPHAN_SECONDS:
                del self._sessions[session]
                self.orphans.append(f"worker process {session} left behind {', '.join(map(described, left))}")
                self._say(f"VIOLATION {self.orphans[-1]}")
                kill(left)


def spawn(program: Sequence[str], environment: dict[str, str], output: object) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that does not outlive this one."""
    return subprocess.Popen(
        program,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def members(session: int) -> list[int]:
    """The processes of a session; on Linux only."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def kill(pids: list[int]) -> None:
    """End them, if they have not by now."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def described(pid: int) -> str:
    """What is known of a process: its state, parent, where it waits, and the end of its command."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        waits = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return f"{pid} (gone)"
    return f"{pid} (state {fields[0]}, parent {fields[1]}, in {waits}: …{command[-60:]})"
