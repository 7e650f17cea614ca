"""The public views: what they say of jobs whose past is known to the second."""

from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

Row = dict[str, Any]
VIEWS = ("jobs", "queues", "tasks", "workers")


@pytest.fixture
def conn(conn: psycopg.Connection) -> psycopg.Connection[Row]:
    conn.row_factory = dict_row  # type: ignore[assignment]
    return conn  # type: ignore[return-value]


def insert(conn: psycopg.Connection[Row], **columns: Any) -> int:
    """A job as it is in the table; times are intervals from now, such as ``created_at="-10 s"``."""
    values = {"queue_name": "q", "task_name": "t", **columns}
    times = {"scheduled_at", "created_at", "started_at", "finished_at"}
    query = sql.SQL("INSERT INTO procrastinate_jobs ({}) VALUES ({}) RETURNING id").format(
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.SQL("now() + %s::interval" if name in times else "%s") for name in values),
    )
    row = conn.execute(query, list(values.values())).fetchone()
    assert row is not None
    return int(row["id"])


def insert_worker(conn: psycopg.Connection[Row], heartbeat: str = "0 s") -> int:
    row = conn.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + %s::interval) RETURNING id", [heartbeat]
    ).fetchone()
    assert row is not None
    return int(row["id"])


def describe(conn: psycopg.Connection[Row], worker_id: int, **values: Any) -> None:
    described = {"name": "w1", "host": "here", "pid": 7, "queues": None, "concurrency": 4, "version": "1"}
    columns = {"worker_id": worker_id, **described, **values}
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    places = sql.SQL(", ").join(map(sql.Placeholder, columns))
    conn.execute(sql.SQL("INSERT INTO workrow.worker_details ({}) VALUES ({})").format(names, places), columns)


def read(conn: psycopg.Connection[Row], view: str, **where: Any) -> list[Row]:
    conditions = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in where]
    query = sql.SQL("SELECT * FROM {} WHERE {}").format(
        sql.Identifier("workrow", view), sql.SQL(" AND ").join([sql.SQL("true"), *conditions])
    )
    return conn.execute(query, where).fetchall()


def test_jobs_tells_the_row(conn: psycopg.Connection[Row]) -> None:
    first = {"attempt": 1, "type": "OSError", "message": "one", "traceback": "tb 1", "discarded": False}
    last = {"attempt": 2, "type": "ValueError", "message": "two", "traceback": "tb 2", "discarded": True}
    id = insert(
        conn,
        args=Jsonb({"a": 1}),
        priority=3,
        lock="l",
        queueing_lock="ql",
        status="failed",
        attempts=2,
        worker="w0",
        errors=Jsonb([first, last]),
        result=Jsonb({"r": 1}),
    )
    [job] = read(conn, "jobs", id=id)
    assert job["created_at"] is not None
    del job["created_at"]
    assert job == {
        "id": id,
        "task": "t",
        "queue": "q",
        "status": "failed",
        "priority": 3,
        "lock": "l",
        "queueing_lock": "ql",
        "args": {"a": 1},
        "scheduled_at": None,
        "started_at": None,
        "finished_at": None,
        "attempts": 2,
        "worker": "w0",
        "worker_id": None,
        "result": {"r": 1},
        "error": "two",
        "error_type": "ValueError",
        "traceback": "tb 2",
        "errors": [first, last],
        "discarded": True,
        "claims": 0,
        "crashes": 0,
        "quarantine": None,
        "version": 1,
        "unique_key": None,
        "expires_at": None,
        "progress": None,
        "line": None,
    }


def test_jobs_is_discarded_only_while_failed(conn: psycopg.Connection[Row]) -> None:
    errors = Jsonb([{"message": "no", "discarded": True}])
    for status, discarded in (("failed", True), ("todo", False)):
        id = insert(conn, status=status, errors=errors)
        assert read(conn, "jobs", id=id)[0]["discarded"] is discarded
    assert read(conn, "jobs", id=insert(conn, status="failed"))[0]["discarded"] is False


def test_jobs_names_the_worker_while_it_runs(conn: psycopg.Connection[Row]) -> None:
    worker = insert_worker(conn)
    describe(conn, worker, name="w1")
    [job] = read(conn, "jobs", id=insert(conn, status="doing", worker_id=worker))
    assert (job["worker"], job["worker_id"]) == ("w1", worker)


def test_queues_counts_what_waits_and_runs(conn: psycopg.Connection[Row]) -> None:
    insert(conn, created_at="-30 s")
    insert(conn, created_at="-2 h", scheduled_at="-90 s")
    insert(conn, created_at="-2 h", scheduled_at="1 h")
    insert(conn, status="doing", created_at="-3 h")
    insert(conn, status="succeeded", created_at="-4 h")
    [queue] = read(conn, "queues")
    assert queue["oldest_ready_at"] is not None
    assert 90 <= queue["oldest_ready_seconds"] < 120
    counts = ("queue", "depth", "ready", "scheduled", "running")
    assert [queue[name] for name in counts] == ["q", 3, 2, 1, 1]


def test_queues_lists_a_drained_queue_with_zeros(conn: psycopg.Connection[Row]) -> None:
    for queue in ("b", "a", "c", "a"):
        insert(conn, queue_name=queue, status="succeeded")
    insert(conn, queue_name="b")
    found = {row["queue"]: (row["depth"], row["running"], row["oldest_ready_seconds"]) for row in read(conn, "queues")}
    assert found.keys() == {"a", "b", "c"}
    assert found["a"] == found["c"] == (0, 0, None)
    assert found["b"][0] == 1


def test_queues_does_not_read_what_is_finished(conn: psycopg.Connection[Row]) -> None:
    plan = [str(row) for row in conn.execute("EXPLAIN SELECT * FROM workrow.queues")]
    assert not [line for line in plan if "history" in line], "\n".join(plan)


def test_tasks_counts_by_window(conn: psycopg.Connection[Row]) -> None:
    for ago, status in (("-1 min", "succeeded"), ("-30 min", "failed"), ("-5 h", "succeeded"), ("-2 d", "succeeded")):
        insert(conn, status=status, finished_at=ago)
    found = {row["window"]: (row["finished"], row["success_rate"]) for row in read(conn, "tasks", task="t")}
    assert found == {"5 minutes": (1, 1.0), "1 hour": (2, 0.5), "24 hours": (3, pytest.approx(2 / 3))}


def test_tasks_counts_by_end(conn: psycopg.Connection[Row]) -> None:
    discarded = Jsonb([{"discarded": True}])
    insert(conn, status="succeeded", finished_at="0 s", attempts=3)
    insert(conn, status="failed", finished_at="0 s", attempts=1, errors=discarded)
    insert(conn, status="failed", finished_at="0 s", attempts=2)
    insert(conn, status="cancelled", finished_at="0 s")
    insert(conn, status="aborted", finished_at="0 s", attempts=1)
    insert(conn, status="todo")
    [row] = read(conn, "tasks", window="1 hour")
    names = ("finished", "succeeded", "failed", "discarded", "cancelled", "retried")
    assert [row[name] for name in names] == [5, 1, 2, 1, 2, 2]
    assert row["success_rate"] == pytest.approx(1 / 3)


def test_tasks_measures_waiting_and_processing(conn: psycopg.Connection[Row]) -> None:
    for seconds in range(1, 22):  # waits 1 to 21 s, runs 101 to 121 s
        times = {"started_at": "-200 s", "finished_at": f"{seconds - 100} s"}
        insert(conn, status="succeeded", created_at=f"-{200 + seconds} s", **times)
    insert(conn, status="cancelled", created_at="-1 h", started_at="-1 h", finished_at="0 s")  # a retry was called off
    [row] = read(conn, "tasks", window="1 hour")
    names = ("waiting_p50_seconds", "waiting_p95_seconds", "processing_p50_seconds", "processing_p95_seconds")
    assert [row[name] for name in names] == pytest.approx([11, 20, 111, 120])


def test_tasks_waiting_begins_when_the_job_is_due(conn: psycopg.Connection[Row]) -> None:
    times = {"created_at": "-2 h", "scheduled_at": "-70 s", "started_at": "-60 s", "finished_at": "0 s"}
    insert(conn, status="succeeded", **times)
    assert read(conn, "tasks", window="1 hour")[0]["waiting_p50_seconds"] == pytest.approx(10)


def test_tasks_knows_no_rate_and_no_times_where_there_are_none(conn: psycopg.Connection[Row]) -> None:
    insert(conn, status="cancelled", finished_at="0 s")
    [row] = read(conn, "tasks", window="1 hour")
    assert {name for name, value in row.items() if value is None} == {
        "success_rate",
        "processing_p50_seconds",
        "processing_p95_seconds",
        "waiting_p50_seconds",
        "waiting_p95_seconds",
    }


def test_task_stats_takes_any_period(conn: psycopg.Connection[Row]) -> None:
    insert(conn, status="succeeded", finished_at="-3 d")
    query = "SELECT task, finished FROM workrow.task_stats_v1(%s)"
    assert conn.execute(query, ["7 days"]).fetchall() == [{"task": "t", "finished": 1}]
    assert conn.execute(query, ["2 days"]).fetchall() == []


def test_workers_tells_ours_and_stock_ones(conn: psycopg.Connection[Row]) -> None:
    ours, stock = insert_worker(conn), insert_worker(conn, heartbeat="-31 s")
    describe(conn, ours, queues=["a", "b"])
    for worker, status in ((ours, "doing"), (ours, "doing"), (ours, "succeeded"), (stock, "doing")):
        insert(conn, worker_id=worker, status=status)
    [first, second] = conn.execute("SELECT * FROM workrow.workers ORDER BY id").fetchall()
    told = {"name": "w1", "host": "here", "pid": 7, "queues": ["a", "b"], "concurrency": 4, "version": "1"}
    assert {**told, "id": ours, "alive": True, "running": 2}.items() <= first.items()
    assert first["started_at"] is not None
    assert {**dict.fromkeys(told), "id": stock, "alive": False, "running": 1}.items() <= second.items()
    assert 31 <= second["heartbeat_age_seconds"] < 60


def test_a_workers_details_go_with_it(conn: psycopg.Connection[Row]) -> None:
    worker = insert_worker(conn)
    describe(conn, worker)
    conn.execute("SELECT procrastinate_unregister_worker_v1(%s)", [worker])
    assert conn.execute("SELECT * FROM workrow.worker_details").fetchall() == []


def test_a_role_that_may_only_read_the_views_can(conn: psycopg.Connection[Row], new_role: str) -> None:
    insert(conn, status="succeeded", finished_at="0 s")
    with conn.transaction(force_rollback=True):
        conn.execute(f"GRANT USAGE ON SCHEMA workrow TO {new_role}")  # type: ignore[arg-type]
        for view in VIEWS:
            conn.execute(f"GRANT SELECT ON workrow.{view} TO {new_role}")  # type: ignore[arg-type]
        conn.execute(f"SET LOCAL ROLE {new_role}")  # type: ignore[arg-type]
        assert [len(read(conn, view)) for view in VIEWS] == [1, 1, 3, 0]


def test_every_view_and_column_is_described(conn: psycopg.Connection[Row]) -> None:
    undescribed = conn.execute(
        """SELECT relname, attname FROM pg_class
           JOIN pg_attribute ON attrelid = pg_class.oid
           WHERE relnamespace = CAST('workrow' AS regnamespace) AND relkind = 'v'
             AND (col_description(pg_class.oid, attnum) IS NULL OR obj_description(pg_class.oid) IS NULL)"""
    ).fetchall()
    assert undescribed == []
