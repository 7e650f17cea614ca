"""The producers: business rows and their jobs, in one transaction, a fifth of them rolled back on purpose.

python -m tests.chaos.workload PRODUCER SEED RATE ACKNOWLEDGED_FILE
"""

import contextlib
import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import psycopg

from tests.chaos import app as chaos
from tests.chaos import flows
from tests.chaos.base import CONNECT_SECONDS, URL
from workrow.errors import WorkrowError
from workrow.tasks import Task

LOCKS = 5
TENANTS = 6
GROUPS = 8
ROLLED_BACK = 0.2
BACKLOG_LIMIT = 1500
LOOK_SECONDS = 1.0
KINDS = {
    "coroutine": 5,
    "thread": 3,
    "fork": 1,
    "transactional": 5,
    "flaky": 1,
    "locked": 1,
    "process": 1,
    "limited": 2,
    "unique": 1,
    "steps": 1,
}
FLOWS = {"whole": 3, flows.BROKEN: 2, "batch": 3}
FLOW_SHARE = 0.05
"""Of the transactions, which enqueue a workflow of one of these kinds."""
"""How often each task is enqueued, compared with the others."""


class Unwanted(Exception):
    """Rolls a transaction back on purpose."""


class Producer:
    """Enqueues at a steady rate, whatever the database does.

    Args:
        number: which of the producers this is.
        seed: for its choices.
        rate: jobs a second.
        acknowledged: the keys whose commit was answered are written here.
    """

    def __init__(self, number: int, seed: int, rate: float, acknowledged: TextIO) -> None:
        self._number = number
        self._random = random.Random(f"{seed}-{number}")
        self._rate = rate
        self._acknowledged = acknowledged
        self._keys = itertools.count()
        self._connection: psycopg.Connection | None = None
        self._stopped = False
        self._tasks: dict[str, Task[Any, Any]] = {name: getattr(chaos, name) for name in KINDS if hasattr(chaos, name)}

    def stop(self, *_: object) -> None:
        self._stopped = True

    def run(self) -> None:
        """Produce until stopped."""
        looked = -LOOK_SECONDS
        while not self._stopped:
            began = time.monotonic()
            count = 0
            try:
                if began - looked > LOOK_SECONDS:
                    looked = began
                    self._wait_for_workers()
                count = self._transaction()
            except (psycopg.Error, WorkrowError) as error:
                self._say(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                self._disconnect()
                time.sleep(self._random.uniform(0.1, 0.5))
            pause = count / self._rate - (time.monotonic() - began)
            if pause > 0:
                time.sleep(pause)

    def _transaction(self) -> int:
        connection = self._connect()
        if self._random.random() < FLOW_SHARE:
            return self._enqueue_flow(connection)
        kind = self._random.choices(list(self._tasks), [KINDS[name] for name in self._tasks])[0]
        count = self._random.choice((1, 1, 1, 2, 5, 10))
        keys = [f"{self._number}-{os.getpid()}-{next(self._keys)}" for _ in range(count)]
        try:
            with connection.transaction():
                if kind == "steps":
                    self._enqueue_steps(connection, keys)
                elif kind == "unique":
                    # a call that finds a job makes none: no order either
                    keys = self._enqueue_unique(connection, keys)
                else:
                    self._enqueue(connection, kind, keys)
                connection.cursor().executemany(
                    "INSERT INTO chaos.orders (key, kind, producer) VALUES (%s, %s, %s)",
                    [(key, kind, self._number) for key in keys],
                )
                if self._random.random() < ROLLED_BACK:
                    raise Unwanted
        except Unwanted:
            return count
        self._acknowledged.writelines(f"{key}\n" for key in keys)
        self._acknowledged.flush()
        return count

    def _enqueue(self, connection: psycopg.Connection, kind: str, keys: list[str]) -> None:
        rows: list[dict[str, Any]] = [{"key": key} for key in keys]
        if kind == "flaky":
            rows = [{**row, "failures": self._random.randint(0, 2)} for row in rows]
        if kind == "limited":
            rows = [{**row, "tenant": self._random.randrange(TENANTS)} for row in rows]
        options: dict[str, Any] = {}
        if kind == "locked":
            options["lock"] = f"lock-{self._random.randrange(LOCKS)}"
        if self._random.random() < 0.1:
            options["delay"] = self._random.uniform(0.5, 5)
        if self._random.random() < 0.2:
            options["priority"] = self._random.choice((-3, 3))
        call = self._tasks[kind].options(**options)
        if len(rows) == 1:
            call.enqueue(connection, **rows[0])
        elif self._random.random() < 0.5:
            call.enqueue_many(connection, rows)
        else:
            call.enqueue_copy(connection, rows)

    def _enqueue_flow(self, connection: psycopg.Connection) -> int:
        kind = self._random.choices(list(FLOWS), list(FLOWS.values()))[0]
        size = self._random.randint(flows.LEAST, flows.MOST)
        with contextlib.suppress(Unwanted), connection.transaction():
            flows.enqueue(connection, kind, f"{kind} {self._number}-{os.getpid()}-{next(self._keys)}", size)
            if self._random.random() < ROLLED_BACK:
                raise Unwanted
        return size

    def _enqueue_steps(self, connection: psycopg.Connection, keys: list[str]) -> None:
        """Jobs that wait for a signal, and who sends it, sooner or later than they do."""
        for key in keys:
            job = self._tasks["steps"].enqueue(connection, key=key)
            delay = self._random.choice((0.0, self._random.uniform(0.5, 5)))
            chaos.send_signal.options(delay=delay).enqueue(connection, job_id=job.id, key=key)

    def _enqueue_unique(self, connection: psycopg.Connection, keys: list[str]) -> list[str]:
        rows = [{"key": key, "group": self._random.randrange(GROUPS)} for key in keys]
        jobs = self._tasks["unique"].enqueue_many(connection, rows)
        return [key for key, job in zip(keys, jobs, strict=True) if job.created]

    def _wait_for_workers(self) -> None:
        """What is enqueued has to be done before the end: no more than so much waits at a time."""
        query = "SELECT count(*) FROM (SELECT 1 FROM procrastinate_jobs WHERE status = 'todo' LIMIT %s) AS waiting"
        while not self._stopped:
            row = self._connect().execute(query, [BACKLOG_LIMIT]).fetchone()
            if row is None or row[0] < BACKLOG_LIMIT:
                return
            time.sleep(0.2)

    def _connect(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            # prepared statements do not last behind PgBouncer
            self._connection = psycopg.connect(
                URL, autocommit=True, connect_timeout=CONNECT_SECONDS, prepare_threshold=None
            )
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _say(self, text: str) -> None:
        sys.stderr.write(f"producer {self._number}: {text}\n")


def main(number: int, seed: int, rate: float, path: Path) -> None:
    """Produce until SIGTERM."""
    with path.open("a") as acknowledged:
        producer = Producer(number, seed, rate, acknowledged)
        signal.signal(signal.SIGTERM, producer.stop)
        producer.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
