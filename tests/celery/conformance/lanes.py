"""Lanes: experiments that run beside each other without knowing of each other, each with its own database."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from tests.celery.conformance import rows
from tests.celery.conformance.experiments import Experiment, experiment_of
from tests.celery.conformance.values import NotUnderstood
from tests.celery.conformance.words import REAL
from tests.celery.conformance.workers import REPOSITORY

if REAL:
    from tests.celery.conformance import real as side
else:
    from tests.celery.conformance import door as side

assert rows  # they are known by now
SECONDS_FOR_A_ROW = 240
SECONDS_TO_STOP = 60


class Asked:
    """A row, and how it is to be run."""

    def __init__(self, table: str, row: dict[str, Any]) -> None:
        self.table, self.row = table, row
        self.not_understood = ""
        self._experiment = Experiment(lambda: None)
        if table == "behaviour":
            try:
                self._experiment = experiment_of(row)
            except NotUnderstood as error:
                self.not_understood = f"not understood: {error}"
        self.alone, self.about, self.seconds = self._experiment[2:]


class Answer(NamedTuple):
    seen: Any
    failed: str
    seconds: float = 0


class Lane:
    """A process that runs rows; a new one is started where the last one died or did not answer."""

    def __init__(self, url: str, folder: Path) -> None:
        self._environment = {**os.environ, "CONFORMANCE_URL": url, "CONFORMANCE_JOURNAL": str(folder / "journal")}
        self._process: subprocess.Popen[str] | None = None

    def ask(self, asked: Asked) -> Answer:
        if asked.not_understood:
            return Answer(None, asked.not_understood)
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        began = time.monotonic()
        too_long = threading.Timer(SECONDS_FOR_A_ROW, self._kill)
        too_long.start()
        try:
            process.stdin.write(json.dumps({"table": asked.table, "row": asked.row}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            too_long.cancel()
        took = time.monotonic() - began
        if not answer:
            self._bury()
            return Answer(None, f"no answer: the lane's process has ended after {took:.0f} s", took)
        told = json.loads(answer)
        return Answer(told.get("seen"), told.get("failed", ""), took)

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.celery.conformance.lane"],
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # its group: with its workers it can be ended as one
            )
        return self._process

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _bury(self) -> None:
        self._kill()
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]

    def stop(self) -> None:
        """Let it stop its workers."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS_TO_STOP)
            self._bury()


class Rows:
    """What is left to run. Who shares a worker takes what stands alone last, the others first."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        longest_first = sorted(asked, key=lambda each: -each.seconds)
        self._alone = deque(each for each in longest_first if each.alone)
        self._shared = deque(each for each in longest_first if not each.alone)
        self._lock = threading.Lock()

    def next(self, alone_first: bool) -> Asked | None:
        with self._lock:
            for rows in (self._alone, self._shared) if alone_first else (self._shared, self._alone):
                if rows:
                    return rows.popleft()
            return None

    def give_up(self) -> None:
        with self._lock:
            self._alone.clear()
            self._shared.clear()


def run(asked: list[Asked], number: int, server: str | None) -> Iterator[tuple[Asked, Answer]]:
    """Each row with what came of it, as it comes."""
    left = Rows(asked)
    answers: SimpleQueue[tuple[Asked, Answer]] = SimpleQueue()

    def work(url: str, index: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lane = Lane(url, Path(folder))
            try:
                while (each := left.next(alone_first=index % 3 == 0)) is not None:
                    answers.put((each, lane.ask(each)))
            finally:
                lane.stop()

    with side.lanes(min(number, len(asked)), server) as urls, ThreadPoolExecutor(len(urls)) as pool:
        working = [pool.submit(work, url, index) for index, url in enumerate(urls)]
        try:
            for _ in asked:
                yield _next(answers, working)
        finally:
            left.give_up()


def _next(answers: "SimpleQueue[tuple[Asked, Answer]]", working: "list[Future[None]]") -> tuple[Asked, Answer]:
    while True:
        try:
            return answers.get(timeout=1)
        except Empty:
            for each in working:
                if each.done():
                    each.result()  # raises what has ended it
