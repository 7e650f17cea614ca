"""No queue library: a table, psycopg, and two statements. ``prepare``, ``worker``, or its client."""

import os
import sys
import time

import psycopg

from benchmarks.programs import marks, protocol

BATCH = 500
FACTS = "id, queue, task, priority, lock, queueing_lock, args, scheduled_at, attempts"
# as many facts a job as we keep, and the indexes that a queue needs
SCHEMA = """
CREATE TYPE raw_status AS ENUM ('todo', 'doing', 'succeeded', 'failed');
CREATE TABLE raw_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    task text NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    lock text,
    queueing_lock text,
    args jsonb NOT NULL,
    status raw_status NOT NULL DEFAULT 'todo',
    scheduled_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    worker_id bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX raw_jobs_todo ON raw_jobs (queue, priority DESC, id) WHERE status = 'todo';
CREATE TABLE raw_history (LIKE raw_jobs, finished_at timestamptz NOT NULL);
CREATE INDEX raw_history_id ON raw_history (id);
"""
CLAIM = f"""
UPDATE raw_jobs SET status = 'doing', started_at = now(), worker_id = 1
WHERE id = ANY(ARRAY(
    SELECT id FROM raw_jobs WHERE status = 'todo' AND queue = 'bench'
    ORDER BY priority DESC, id LIMIT {BATCH} FOR UPDATE SKIP LOCKED
))
RETURNING {FACTS}
"""
FINISH = f"""
WITH ended AS (
    DELETE FROM raw_jobs WHERE id = ANY(%s) AND status = 'doing' AND worker_id = 1
    RETURNING {FACTS}, worker_id, created_at, started_at
)
INSERT INTO raw_history ({FACTS}, worker_id, created_at, started_at, status, finished_at)
SELECT {FACTS}, worker_id, created_at, started_at, 'succeeded', now() FROM ended
"""
INSERT = "INSERT INTO raw_jobs (queue, task, args) VALUES (%s, %s, %s) RETURNING id"
UNNEST = (
    "INSERT INTO raw_jobs (queue, task, args) SELECT 'bench', %s, a::jsonb FROM unnest(%s::text[]) AS a RETURNING id"
)
COPY = "COPY raw_jobs (queue, task, args) FROM STDIN"


def work() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=0) as connection:
        while True:
            jobs = connection.cursor(binary=True).execute(CLAIM).fetchall()
            if not jobs:
                time.sleep(0.01)
                continue
            marks.mark()
            connection.execute(FINISH, ([job[0] for job in jobs],))


class Client:
    async def open(self) -> None:
        self._connection = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True)

    async def close(self) -> None:
        await self._connection.close()

    async def warm_up(self) -> None:
        await self._connection.execute("SELECT 1")

    async def single(self, task: str) -> None:
        await self._connection.execute(INSERT, ("bench", task, "{}"))

    async def many(self, task: str, count: int) -> None:
        await self._connection.execute(UNNEST, (task, ["{}"] * count))

    async def bulk(self, task: str, count: int) -> None:
        async with self._connection.cursor() as cursor, cursor.copy(COPY) as copy:
            for _ in range(count):
                await copy.write_row(("bench", task, "{}"))

    async def ping(self) -> None:
        raise NotImplementedError("the raw loop has no wake-up")


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
            conn.execute(SCHEMA)
    elif sys.argv[1] == "worker":
        work()
    else:
        protocol.main(Client())
