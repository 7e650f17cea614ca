"""The Celery door of workrow: its workers, and ``task.delay()``."""

import sys
from collections.abc import Mapping
from typing import ClassVar

import workrow
from benchmarks.peers.base import Mode, in_our_python
from benchmarks.peers.ours import Workrow

MODULE = "benchmarks.programs.door_tasks"
POOLS: dict[Mode, tuple[str, ...]] = {
    "drain": ("-P", "threads", "-c", "10"),
    "sync": ("-P", "threads", "-c", "10"),
    "kept": ("-P", "threads", "-c", "10"),
    "prefork": ("-P", "prefork", "-c", "2"),
}


class Door(Workrow):
    """Tasks that are declared and called as Celery's."""

    name = "workrow-celery"
    version = workrow.__version__
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": "async tasks, no results",
        "sync": "-P threads -c 10, no results",
        "prefork": "-P prefork -c 2, no results",
        "kept": "-P threads -c 10, results kept",
    }
    bulk = "with app.together()"

    def command(self, *arguments: str) -> list[str]:
        return in_our_python(MODULE, *arguments)

    def worker(self, mode: Mode) -> list[str]:
        return [sys.executable, "-m", "workrow.celery", "-A", MODULE, "worker", "-Q", "bench", *POOLS[mode]]
