"""pgqueuer, at its best and with its defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from benchmarks import install
from benchmarks.peers.base import PROGRAMS, Case, Mode, Peer


class PgQueuer(Peer):
    """asyncpg and uvloop, large batches."""

    name = "pgqueuer"
    version = "1.6.0"
    batch = 500
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": "asyncpg, uvloop, batch_size 500",
        "sync": "asyncpg, uvloop, batch_size 500, asyncio.to_thread",
        "latency": "asyncpg, uvloop, batch_size 500",
    }
    bulk = "enqueue of lists"
    last_id = "SELECT coalesce(max(id), 0) FROM pgqueuer"
    # what ended leaves the queue for the log, in one statement
    finished = "SELECT %(total)s - count(*) FROM pgqueuer WHERE id > %(after)s"
    seeds: ClassVar[Mapping[Case, tuple[str, ...]]] = {
        "finished": (
            """INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint)
               SELECT n, 'successful', 0, 'noop' FROM generate_series(1, %(rows)s) AS n""",
        ),
        "scheduled": (
            """INSERT INTO pgqueuer (priority, created, updated, heartbeat, execute_after, status, entrypoint)
               SELECT 0, now(), now(), now(), now() + interval '1 day', 'queued', 'noop'
               FROM generate_series(1, %(rows)s)""",
        ),
        "backlog": (
            """INSERT INTO pgqueuer (priority, created, updated, heartbeat, execute_after, status, entrypoint)
               SELECT 0, now(), now(), now(), now(), 'queued', 'noop' FROM generate_series(1, %(rows)s)""",
        ),
        "other queue": (
            """INSERT INTO pgqueuer (priority, created, updated, heartbeat, execute_after, status, entrypoint)
               SELECT 0, now(), now(), now(), now(), 'queued', 'other' FROM generate_series(1, %(rows)s)""",
        ),
    }

    def install(self) -> None:
        packages = [f"pgqueuer[asyncpg]=={self.version}", "asyncpg==0.32.0", "uvloop==0.23.0"]
        self._python: Path = install.venv("pgqueuer", packages)

    def command(self, *arguments: str) -> list[str]:
        return [str(self._python), str(PROGRAMS / "pgqueuer_tasks.py"), *arguments]

    def worker(self, mode: Mode) -> list[str]:
        return self.command("worker", str(self.batch))


class PgQueuerDefaults(PgQueuer):
    """batch_size 10, as it comes."""

    name = "pgqueuer-defaults"
    batch = 10
    settings: ClassVar[Mapping[Mode, str]] = {
        "drain": "asyncpg, uvloop, batch_size 10",
        "sync": "asyncpg, uvloop, batch_size 10, asyncio.to_thread",
        "latency": "asyncpg, uvloop, batch_size 10",
    }
