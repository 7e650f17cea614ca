"""A database as procrastinate's users have it, and what version 1 of this package said to it."""

import procrastinate
import psycopg
from procrastinate.schema import SchemaManager

from tests.conftest import COMMITTED

TABLES = ("procrastinate_jobs", "procrastinate_events", "procrastinate_workers", "procrastinate_periodic_defers")

# version 1's finish_job.sql and retry_job.sql, as they were released: an old worker says them while a deploy rolls
V1_FINISH = """
UPDATE procrastinate_jobs
SET
    status = CAST(%(status)s AS procrastinate_job_status), attempts = attempts + 1, abort_requested = false,
    worker = CAST(%(worker)s AS text), result = CAST(%(result)s AS jsonb),
    errors = CASE
        WHEN CAST(%(error)s AS jsonb) IS NULL THEN errors
        ELSE coalesce(errors, '[]') || CAST(%(error)s AS jsonb)
    END
WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s
RETURNING id
"""
V1_RETRY = """
UPDATE procrastinate_jobs
SET
    status = CAST(CASE WHEN abort_requested THEN 'failed' ELSE 'todo' END AS procrastinate_job_status),
    attempts = attempts + 1, abort_requested = false,
    scheduled_at = CASE WHEN abort_requested THEN scheduled_at ELSE CAST(%(retry_at)s AS timestamptz) END,
    worker = CAST(%(worker)s AS text), errors = coalesce(errors, '[]') || CAST(%(error)s AS jsonb)
WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker_id)s
RETURNING id
"""


def connector(url: str) -> procrastinate.PsycopgConnector:
    """Of procrastinate's own apps, which read times in no other DateStyle than ISO, and fail beside one another if
    their transactions are not READ COMMITTED."""
    return procrastinate.PsycopgConnector(conninfo=url, kwargs={"options": COMMITTED})


def fill(connection: psycopg.Connection, live: int, finished: int) -> None:
    """procrastinate's own schema, with jobs that its triggers saw begin and end."""
    connection.execute(SchemaManager.get_schema().encode())
    connection.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
           SELECT 'q' || n %% 5, 't' || n %% 7, n %% 3, CASE WHEN n %% 10 = 0 THEN 'l' || n END,
                  CASE WHEN n %% 11 = 0 THEN 'ql' || n END, jsonb_build_object('n', n),
                  CASE WHEN n %% 4 = 0 THEN now() + interval '1 day' END
           FROM generate_series(1, %s) AS n""",
        [live + finished],
    )
    connection.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id <= %s", [finished])
    connection.execute(
        """UPDATE procrastinate_jobs
           SET attempts = 1, status = CAST(
               CASE id %% 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'aborted' ELSE 'succeeded' END AS procrastinate_job_status
           )
           WHERE id <= %s""",
        [finished],
    )


def rows(connection: psycopg.Connection) -> dict[str, list[tuple[object, ...]]]:
    """All rows of procrastinate's tables."""
    return {
        table: connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # type: ignore[arg-type]
        for table in TABLES
    }
