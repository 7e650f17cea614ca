"""Version 2 of the schema: every row is taken along, and a downgrade brings every row back."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from procrastinate.sql import queries

from tests.catalog import objects
from tests.conftest import READABLE
from tests.integration.stock import V1_FINISH, V1_RETRY, fill, rows
from workrow import schema

LIVE = FINISHED = 5_000


@pytest.fixture
def conn(empty_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A database of stock procrastinate's, adopted by version 1."""
    with psycopg.connect(empty_database_url, autocommit=True, options=READABLE) as connection:
        fill(connection, LIVE, FINISHED)
        schema.upgrade(empty_database_url, to=1)
        yield connection


def one(conn: psycopg.Connection[Any], query: str, *values: Any) -> Any:
    row = conn.execute(query, values).fetchone()  # type: ignore[arg-type]
    return row[0] if row and len(row) == 1 else row


def claim(conn: psycopg.Connection[Any], worker: int) -> int:
    return int(one(conn, "SELECT id FROM procrastinate_fetch_job_v2(NULL, %s)", worker))


def delete_old(conn: psycopg.Connection[Any], hours: int) -> None:
    """procrastinate's own statement, failed jobs included."""
    conn.execute(queries["delete_old_jobs"], {"statuses": ["succeeded", "failed"], "queue": None, "nb_hours": hours})


def test_up_takes_every_row_along(conn: psycopg.Connection[Any], empty_database_url: str) -> None:
    columns = """id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts,
                 created_at, started_at, finished_at, result, errors, worker, worker_id"""
    before = conn.execute(f"SELECT {columns} FROM procrastinate_jobs ORDER BY id").fetchall()
    schema.upgrade(empty_database_url, to=2)
    after = conn.execute(
        f"SELECT {columns} FROM procrastinate_jobs UNION ALL SELECT {columns} FROM workrow.history ORDER BY id"
    ).fetchall()
    assert after == before
    assert one(conn, "SELECT count(*) FROM procrastinate_jobs") == LIVE
    assert one(conn, "SELECT count(*) FROM workrow.history") == FINISHED
    assert one(conn, "SELECT count(*) FROM workrow.jobs") == LIVE + FINISHED
    times = "created_at IS NULL OR started_at IS NULL OR NOT created_at <= started_at OR NOT started_at <= finished_at"
    assert one(conn, f"SELECT count(*) FROM workrow.history WHERE {times}") == 0


def test_down_gives_schema_and_rows_back(conn: psycopg.Connection[Any], empty_database_url: str) -> None:
    before, kept = objects(empty_database_url), rows(conn)
    schema.upgrade(empty_database_url, to=2)
    schema.downgrade(empty_database_url, to=1)
    assert objects(empty_database_url) == before
    assert [row[:12] for row in rows(conn)["procrastinate_jobs"]] == [row[:12] for row in kept["procrastinate_jobs"]]
    assert rows(conn) == kept


def test_down_gives_a_database_of_our_own_back(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url, to=1)
    before = objects(empty_database_url)
    schema.upgrade(empty_database_url, to=2)
    schema.downgrade(empty_database_url, to=1)
    assert objects(empty_database_url) == before


def test_down_writes_the_events_that_version_2_did_not(conn: psycopg.Connection[Any], empty_database_url: str) -> None:
    schema.upgrade(empty_database_url, to=2)
    worker = one(conn, "SELECT worker_id FROM procrastinate_register_worker_v1()")
    job = one(
        conn, "INSERT INTO procrastinate_jobs (queue_name, task_name, priority) VALUES ('q', 't', 99) RETURNING id"
    )
    assert claim(conn, worker) == job
    conn.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", [job])
    assert one(conn, "SELECT count(*) FROM procrastinate_events WHERE job_id = %s", job) == 0
    history = one(
        conn, "SELECT created_at, started_at, finished_at, result, errors FROM workrow.history WHERE id = %s", job
    )
    schema.downgrade(empty_database_url, to=1)
    query = "SELECT type, at FROM procrastinate_events WHERE job_id = %s ORDER BY at"
    assert conn.execute(query, [job]).fetchall() == list(
        zip(("deferred", "started", "succeeded"), history[:3], strict=True)
    )
    found = one(
        conn, "SELECT created_at, started_at, finished_at, result, errors FROM procrastinate_jobs WHERE id = %s", job
    )
    assert found == history
    status = "SELECT status, attempts FROM procrastinate_jobs WHERE id = %s"
    assert one(conn, status, job) == ("succeeded", 1)
    delete_old(conn, hours=1)
    assert one(conn, status, job) == ("succeeded", 1)
    conn.execute("UPDATE procrastinate_events SET at = at - interval '2 hours' WHERE job_id = %s", [job])
    delete_old(conn, hours=1)
    assert one(conn, status, job) is None


def test_a_job_that_failed_once_more_is_as_old_as_its_last_end(
    conn: psycopg.Connection[Any], empty_database_url: str
) -> None:
    failed = one(conn, "SELECT min(id) FROM procrastinate_jobs WHERE status = 'failed'")
    schema.upgrade(empty_database_url, to=2)
    conn.execute("UPDATE procrastinate_events SET at = at - interval '10 days'")
    conn.execute("SELECT procrastinate_retry_job_v2(%s, now(), 99, NULL, NULL)", [failed])
    assert claim(conn, one(conn, "SELECT worker_id FROM procrastinate_register_worker_v1()")) == failed
    conn.execute("SELECT procrastinate_finish_job_v1(%s, 'failed', false)", [failed])
    schema.downgrade(empty_database_url, to=1)
    delete_old(conn, hours=24)
    assert one(conn, "SELECT status FROM procrastinate_jobs WHERE id = %s", failed) == "failed"


def test_down_keeps_no_key_without_its_row(conn: psycopg.Connection[Any], empty_database_url: str) -> None:
    schema.upgrade(empty_database_url, to=2)
    worker = one(conn, "SELECT worker_id FROM procrastinate_register_worker_v1()")
    deleted, kept = claim(conn, worker), claim(conn, worker)
    conn.execute(
        "INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, job_id) VALUES ('t', 1, %s)", [deleted]
    )
    conn.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', true)", [deleted])
    conn.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", [kept])
    conn.execute("SELECT procrastinate_unregister_worker_v1(%s)", [worker])
    schema.downgrade(empty_database_url, to=1)
    assert one(conn, "SELECT worker_id FROM procrastinate_jobs WHERE id = %s", kept) is None
    assert one(conn, "SELECT job_id FROM procrastinate_periodic_defers") is None
    assert one(conn, "SELECT count(*) FROM procrastinate_events WHERE job_id = %s", deleted) == 0


class TestWhileADeployRolls:
    """Version 1's statements on version 2's tables."""

    @pytest.fixture
    def worker(self, conn: psycopg.Connection[Any], empty_database_url: str) -> int:
        schema.upgrade(empty_database_url, to=2)
        return int(one(conn, "SELECT worker_id FROM procrastinate_register_worker_v1()"))

    def finish(self, conn: psycopg.Connection[Any], worker: int, status: str) -> int:
        job = claim(conn, worker)
        values = {"id": job, "worker_id": worker, "worker": "old", "status": status, "result": "7", "error": None}
        assert conn.execute(V1_FINISH, values).fetchall() == [(job,)]
        return job

    def test_a_finish_is_swept(self, conn: psycopg.Connection[Any], worker: int) -> None:
        job = self.finish(conn, worker, "succeeded")
        view = "SELECT status, attempts, result, worker FROM workrow.jobs WHERE id = %s"
        assert conn.execute(view, [job]).fetchall() == [("succeeded", 1, 7, "old")]
        assert one(conn, "SELECT workrow.sweep_finished_v1()") == 1
        assert one(conn, "SELECT workrow.sweep_finished_v1()") == 0
        assert conn.execute(view, [job]).fetchall() == [("succeeded", 1, 7, "old")]
        assert one(conn, "SELECT started_at <= finished_at FROM workrow.history WHERE id = %s", job) is True
        assert one(conn, "SELECT count(*) FROM procrastinate_jobs WHERE id = %s", job) == 0

    def test_a_retry_waits_for_its_time(self, conn: psycopg.Connection[Any], worker: int) -> None:
        conn.execute("UPDATE procrastinate_jobs SET priority = 99, scheduled_at = now() WHERE id = %s", [FINISHED + 1])
        job = claim(conn, worker)
        assert job == FINISHED + 1
        values = {"id": job, "worker_id": worker, "worker": "old", "error": '{"type": "OSError"}'}
        for delay in ("1 hour", "-1 second"):
            retry_at = one(conn, "SELECT now() + CAST(%s AS interval)", delay)
            assert conn.execute(V1_RETRY, {**values, "retry_at": retry_at}).fetchall() == [(job,)]
            next_one = claim(conn, worker)
            assert (next_one == job) is (delay == "-1 second")
            conn.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", [worker, job])

    def test_what_failed_is_retried_before_the_sweep_too(self, conn: psycopg.Connection[Any], worker: int) -> None:
        job = self.finish(conn, worker, "failed")
        conn.execute("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", [job])
        assert one(conn, "SELECT status, attempts FROM procrastinate_jobs WHERE id = %s", job) == ("todo", 2)
        assert one(conn, "SELECT count(*) FROM workrow.jobs WHERE id = %s", job) == 1
        done = self.finish(conn, worker, "succeeded")
        with pytest.raises(psycopg.errors.RaiseException, match="invalid status to retry"):
            conn.execute("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", [done])

    def test_a_downgrade_before_the_sweep_knows_its_end(
        self, conn: psycopg.Connection[Any], worker: int, empty_database_url: str
    ) -> None:
        job = self.finish(conn, worker, "succeeded")
        schema.downgrade(empty_database_url, to=1)
        assert one(conn, "SELECT finished_at IS NOT NULL FROM procrastinate_jobs WHERE id = %s", job) is True
        types = [
            type_
            for (type_,) in conn.execute("SELECT type FROM procrastinate_events WHERE job_id = %s ORDER BY at", [job])
        ]
        assert types == ["deferred", "started", "succeeded"]
