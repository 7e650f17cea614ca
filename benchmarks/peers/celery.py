"""Celery on Redis: no transaction of yours, and another kind of durability."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import psycopg

from benchmarks import install
from benchmarks.peers.base import PROGRAMS, Mode, Peer, beside
from benchmarks.processes import Process, wait_until

_ALWAYS = "acks_late, prefetch 1000, no results; Redis appendonly everysec"
POOLS: dict[Mode, list[str]] = {
    "sync": ["--pool", "threads", "--concurrency", "10"],
    "kept": ["--pool", "threads", "--concurrency", "10"],
    "prefork": ["--pool", "prefork", "--concurrency", "2"],
}


class Celery(Peer):
    """acks_late, so that a job is gone only after it ran; no result backend; Redis with its append-only file."""

    name = "celery"
    version = "5.7.0"
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": f"pool solo, {_ALWAYS}",
        "sync": f"pool threads, concurrency 10, {_ALWAYS}",
        "latency": f"pool solo, {_ALWAYS}",
    }
    bulk = "apply_async in a loop"
    durable: ClassVar[Sequence[str]] = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")
    uses_postgres = False

    def __init__(self) -> None:
        self._server: Process | None = None
        self._directory: Path | None = None

    def install(self) -> None:
        self._redis = install.program("redis-server")
        self._redis_cli = install.program("redis-cli")
        self._python: Path = install.venv(self.name, [f"celery[redis]=={self.version}"])

    def prepare(self, url: str) -> None:
        """A new Redis for every database: on a socket, for nobody else."""
        self.stop()
        self._directory = Path(tempfile.mkdtemp(prefix="workrow-bench-redis-"))
        files = ["--dir", str(self._directory), "--unixsocket", str(self._socket)]
        self._server = Process([self._redis, "--port", "0", *files, *self.durable], {})
        wait_until(lambda: self._ask("PING") == "PONG", "redis-server", [self._server], 10)

    def env(self, url: str) -> dict[str, str]:
        redis = f"redis+socket://{self._socket}" if self._directory else ""
        return {"BENCHMARK_REDIS_URL": redis, "PYTHONPATH": str(PROGRAMS)}

    def command(self, *arguments: str) -> list[str]:
        return [str(self._python), str(PROGRAMS / "celery_tasks.py"), *arguments]

    def worker(self, mode: Mode) -> list[str]:
        pool = POOLS.get(mode, ["--pool", "solo"])
        quiet = ["--loglevel", "warning", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        return [beside(self._python, "celery"), "--app", "celery_tasks", "worker", *pool, *quiet]

    def count_finished(self, connection: psycopg.Connection, after: int, total: int) -> int:
        waiting, unacknowledged = self._ask("LLEN", "bench"), self._ask("HLEN", "unacked")
        return total - int(waiting or 0) - int(unacknowledged or 0)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    @property
    def _socket(self) -> Path:
        assert self._directory is not None
        return self._directory / "redis.sock"

    def _ask(self, *words: str) -> str:
        asked = subprocess.run(
            [self._redis_cli, "-s", str(self._socket), *words], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()


class CeleryAtItsBest(Celery):
    """As fast as it goes: acknowledged before it runs, a Redis that writes nothing to disk, and nothing that talks."""

    name = "celery-best"
    _BEST = "acks early, prefetch 1000, Redis in memory only, no events, gossip, mingle or heartbeats"
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": f"pool solo, no results; {_BEST}",
        "sync": f"pool threads, concurrency 10, no results; {_BEST}",
        "prefork": f"pool prefork, concurrency 2, no results; {_BEST}",
        "kept": f"pool threads, concurrency 10, results in Redis; {_BEST}",
    }
    durable: ClassVar[Sequence[str]] = ("--appendonly", "no", "--save", "")

    def env(self, url: str) -> dict[str, str]:
        return {**super().env(url), "BENCHMARK_ACKS": "early"}
