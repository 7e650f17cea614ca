"""Stock procrastinate on its own schema, in a venv of its own."""

from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import ClassVar

from benchmarks import install
from benchmarks.peers.base import PROGRAMS, Case, Mode, Peer, beside
from benchmarks.peers.ours import LIVE, LOCKS


class Procrastinate(Peer):
    """What we build on, as it comes."""

    name = "procrastinate"
    version = installed("procrastinate")
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": "concurrency 10",
        "sync": "concurrency 10",
        "latency": "concurrency 10",
    }
    bulk = "batch_defer_async"
    last_id = "SELECT coalesce(max(id), 0) FROM procrastinate_jobs"
    finished = "SELECT count(*) FROM procrastinate_jobs WHERE id > %(after)s AND status = 'succeeded'"
    seeds: ClassVar[Mapping[Case, tuple[str, ...]]] = {
        **LIVE,
        "finished": (
            """INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, status, attempts)
               SELECT 'bench', 'noop', 0, '{}', 'succeeded', 1 FROM generate_series(1, %(rows)s)""",
        ),
        "locks": (
            LOCKS[0],
            LOCKS[1].replace("started_at, ", "").replace("now(), ", ""),
            LOCKS[2],
        ),
    }

    def install(self) -> None:
        python = install.venv(self.name, [f"procrastinate=={self.version}", "psycopg[binary,pool]"])
        self._python: Path = python

    def command(self, *arguments: str) -> list[str]:
        if arguments == ("prepare",):
            return [*self._cli(), "schema", "--apply"]
        return [str(self._python), str(PROGRAMS / "stock_tasks.py"), *arguments]

    def worker(self, mode: Mode) -> list[str]:
        return [*self._cli(), "worker", "--queues", "bench", "--concurrency", "10"]

    def env(self, url: str) -> dict[str, str]:
        return {**super().env(url), "PYTHONPATH": str(PROGRAMS)}

    def _cli(self) -> list[str]:
        return [beside(self._python, "procrastinate"), "--log-level", "warning", "--app=stock_tasks.app"]
