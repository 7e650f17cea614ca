"""graphile-worker, on node."""

from collections.abc import Mapping
from typing import ClassVar

from benchmarks import install
from benchmarks.peers.base import PROGRAMS, Case, Mode, Peer


class Graphile(Peer):
    """The settings of its own benchmark, with a larger local queue."""

    name = "graphile-worker"
    version = "0.17.3"
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": "concurrentJobs 24, localQueue 500, completeJobBatchDelay 0; deletes its jobs",
        "latency": "concurrentJobs 24, no localQueue",
    }
    bulk = "addJobs"
    last_id = "SELECT coalesce(max(id), 0) FROM graphile_worker._private_jobs"
    finished = "SELECT %(total)s - count(*) FROM graphile_worker._private_jobs WHERE id > %(after)s"
    seeds: ClassVar[Mapping[Case, tuple[str, ...]]] = {
        "scheduled": (
            "INSERT INTO graphile_worker._private_jobs (task_id, payload, run_at) SELECT (SELECT id FROM "
            "graphile_worker._private_tasks WHERE identifier = 'noop'), '{}', now() + interval '1 day' "
            "FROM generate_series(1, %(rows)s)",
        ),
        "backlog": (
            "INSERT INTO graphile_worker._private_jobs (task_id, payload) SELECT (SELECT id FROM "
            "graphile_worker._private_tasks WHERE identifier = 'noop'), '{}' FROM generate_series(1, %(rows)s)",
        ),
    }

    def install(self) -> None:
        self._node = install.node_modules([f"graphile-worker@{self.version}", "pg@8"])

    def command(self, *arguments: str) -> list[str]:
        return [self._node, str(PROGRAMS / "graphile.mjs"), *arguments]

    def worker(self, mode: Mode) -> list[str]:
        return self.command("worker", "latency" if mode == "latency" else "drain")

    def env(self, url: str) -> dict[str, str]:
        return {**super().env(url), "BENCHMARK_NODE": str(install.NODE), "NODE_ENV": "production"}
