"""workrow, with its default settings."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import workrow
from benchmarks.peers.base import Case, Mode, Peer, beside, in_our_python

_JOBS = "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, {}) SELECT {}, 'noop', 0, '{{}}', {}"
_EACH = "generate_series(1, %(rows)s) AS n"

LOCKS = (
    # somebody who lives and runs a job of each lock: whatever else has these locks has to wait
    "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 day')",
    """INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, lock, status, started_at, worker_id)
       SELECT 'bench', 'noop', 0, '{}', 'lock ' || n, 'doing', now(), (SELECT max(id) FROM procrastinate_workers)
       FROM generate_series(1, 1000) AS n""",
    _JOBS.format("lock", "'bench'", "'lock ' || (n %% 1000 + 1)") + f" FROM {_EACH}",
)
"""For any schema with procrastinate's tables; `started_at` is ours, and left out for the stock one."""

LIVE: dict[Case, tuple[str, ...]] = {
    "scheduled": (
        _JOBS.format("scheduled_at", "'bench'", "now() + interval '1 day' + n * interval '1 ms'") + f" FROM {_EACH}",
    ),
    "backlog": (_JOBS.format("lock", "'bench'", "NULL") + f" FROM {_EACH}",),
    "other queue": (_JOBS.format("lock", "'other'", "NULL") + f" FROM {_EACH}",),
}


class Workrow(Peer):
    """Ours."""

    name = "workrow"
    version = workrow.__version__
    settings: ClassVar[Mapping[Mode, str]] = {
        **dict.fromkeys(("drain", "sync", "kept", "latency"), "defaults"),
        "prefork": "run_in='process', --concurrency 2",
    }
    bulk = "COPY (task.enqueue_copy)"
    last_id = "SELECT greatest((SELECT max(id) FROM procrastinate_jobs), (SELECT max(id) FROM workrow.history), 0)"
    finished = "SELECT count(*) FROM workrow.history WHERE id > %(after)s"
    seeds: ClassVar[Mapping[Case, tuple[str, ...]]] = {
        **LIVE,
        "finished": (
            """INSERT INTO workrow.history
                   (id, queue_name, task_name, priority, args, status, attempts, created_at, started_at, finished_at)
               SELECT
                   nextval('procrastinate_jobs_id_seq'), 'bench', 'noop', 0, '{}', 'succeeded', 1, now(), now(), now()
               FROM generate_series(1, %(rows)s)""",
        ),
        "locks": LOCKS,
    }

    def install(self) -> None:
        """It is what runs us."""

    def command(self, *arguments: str) -> list[str]:
        return in_our_python("benchmarks.programs.workrow_client", *arguments)

    def prepare(self, url: str) -> None:
        workrow.schema.upgrade(url)

    def worker(self, mode: Mode) -> list[str]:
        program = beside(Path(sys.executable), "procrastinate")
        slots = ["--concurrency", "2"] if mode == "prefork" else []
        return [program, "--log-level", "warning", "--app=benchmarks.tasks.app", "worker", "--queues", "bench", *slots]
