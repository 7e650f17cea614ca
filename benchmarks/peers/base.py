"""What the harness needs to know of a peer."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import psycopg

from benchmarks import processes
from benchmarks.errors import NotRun
from benchmarks.processes import ROOT

PROGRAMS = ROOT / "benchmarks" / "programs"
Mode = Literal["drain", "sync", "prefork", "kept", "latency"]
Case = Literal["finished", "scheduled", "backlog", "locks", "other queue"]
NOT_THERE: dict[Mode, str] = {
    "drain": "it has no async tasks",
    "sync": "it has no threads for tasks",
    "prefork": "it has no processes for tasks",
    "kept": "it keeps no results",
    "latency": "nothing wakes it up",
}


class Peer(ABC):
    """A queue, or what we compare queues with.

    Attributes:
        name: as on the command line.
        version: of the package.
        settings: what it runs with, per mode: a line of the table. A mode that is missing cannot be measured.
            "drain" is of async tasks, "sync" of sync ones in threads, "prefork" in processes, "kept" with results.
        bulk: what its ``bulk`` call does.
        finished: a query for how many jobs above the id ``%(after)s`` ended, committed.
        seeds: statements that fill its tables for a case of ``growth``, with ``%(rows)s``.
    """

    name: ClassVar[str]
    version: ClassVar[str] = ""
    settings: ClassVar[Mapping[Mode, str]] = {}
    bulk: ClassVar[str] = ""
    last_id: ClassVar[str] = ""
    finished: ClassVar[str] = ""
    seeds: ClassVar[Mapping[Case, tuple[str, ...]]] = {}
    uses_postgres: ClassVar[bool] = True

    @abstractmethod
    def install(self) -> None:
        """Make its programs ready. Raises NotRun."""

    @abstractmethod
    def command(self, *arguments: str) -> list[str]:
        """Its program: ``prepare``, or a client of `benchmarks.programs.protocol`."""

    @abstractmethod
    def worker(self, mode: Mode) -> list[str]:
        """The command of one worker process."""

    def env(self, url: str) -> dict[str, str]:
        """The environment of its programs."""
        return {"DATABASE_URL": url}

    def prepare(self, url: str) -> None:
        """Install its schema in an empty database."""
        processes.call(self.command("prepare"), {**self.env(url), "BENCHMARK_MARKS": "."})

    def count_finished(self, connection: psycopg.Connection, after: int, total: int) -> int:
        """How many of the ``total`` jobs above the id ``after`` ended, committed."""
        row = connection.execute(self.finished, {"after": after, "total": total}).fetchone()
        return int(row[0]) if row else 0

    def highest_id(self, connection: psycopg.Connection) -> int:
        """The highest job id so far."""
        row = connection.execute(self.last_id).fetchone() if self.last_id else None
        return int(row[0]) if row else 0

    def require(self, mode: Mode) -> str:
        """Its settings for a mode. Raises NotRun if it has no such thing."""
        if mode not in self.settings:
            raise NotRun(NOT_THERE[mode])
        return self.settings[mode]

    def stop(self) -> None:  # noqa: B027 - most have nothing to stop
        """Stop what `prepare` started, if anything."""


def in_our_python(module: str, *arguments: str) -> list[str]:
    """A module of this package in the interpreter that runs the harness."""
    return [sys.executable, "-m", module, *arguments]


def beside(python: Path, program: str) -> str:
    """A program that is installed next to a Python."""
    return str(python.parent / program)
