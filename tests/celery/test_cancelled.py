"""A call whose job is cancelled by workrow's own words is revoked for Celery."""

import contextvars
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from workrow import sql
from workrow.celery import Celery, chord, current
from workrow.celery.exceptions import ChordError, TaskRevokedError
from workrow.celery.worker import calls
from workrow.celery.worker.engine import bury


@pytest.fixture
def app(database_url: str) -> Iterator[Any]:
    app: Any = Celery("cancelled", broker=database_url)

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="told")
    def told(task_id: str) -> None: ...

    app.load()
    current.set_default(app)
    yield app
    app.close()


def cancel(conn: psycopg.Connection[Any]) -> None:
    conn.execute("SELECT workrow.cancel_job_v1(id) FROM procrastinate_jobs WHERE task_name = 'add' ORDER BY id")


def test_its_result_says_so(app: Any, conn: psycopg.Connection[Any]) -> None:
    result, other = app.tasks["add"].delay(1, 2), app.tasks["add"].apply_async((1, 2), ignore_result=True)
    cancel(conn)
    with pytest.raises(TaskRevokedError, match="cancelled"):
        result.get(timeout=5)
    assert (result.state, other.state) == ("REVOKED", "PENDING")


def test_its_chord_comes_to_its_end(app: Any, conn: psycopg.Connection[Any]) -> None:
    add = app.tasks["add"]
    chord([add.s(1, 2), add.s(3, 4)])(add.si(0, 0))
    cancel(conn)
    (args,) = conn.execute("SELECT args FROM procrastinate_jobs WHERE task_name = 'workrow.celery.join'").fetchone()  # type: ignore[misc]
    parts = conn.execute("SELECT state FROM workrow.celery_parts WHERE group_id = %s", [args["args"][0]]).fetchall()
    assert parts == [("REVOKED",)] * 2


def test_a_revoke_counts_once(app: Any, conn: psycopg.Connection[Any]) -> None:
    add = app.tasks["add"]
    flow = chord([add.s(1, 2), add.s(3, 4), add.s(5, 6)])(add.si(0, 0))
    flow.parent.revoke()
    states = "SELECT ended, size, (SELECT count(*) FROM workrow.celery_parts) FROM workrow.celery_chords"
    assert conn.execute(states).fetchall() == [(3, 3, 3)]


def test_a_job_of_another_kind_is_left_alone(app: Any, conn: psycopg.Connection[Any]) -> None:
    conn.execute("""INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('q', 'add', '{"id": 1}')""")
    cancel(conn)
    assert conn.execute("SELECT count(*) FROM workrow.celery_results").fetchone() == (0,)


@pytest.fixture
def joins(app: Any, conn: psycopg.Connection[Any]) -> Any:
    """A chord whose header has ended: what sends its body waits, and the body has an errback."""
    add: Any = app.tasks["add"]
    chord([add.s(1, 2)])(add.si(0, 0).set(task_id="body").on_error(app.tasks["told"].si("x")))
    cancel(conn)
    assert tasks(conn) == ["workrow.celery.join"]
    return app


def tasks(conn: psycopg.Connection[Any]) -> list[str]:
    return [name for (name,) in conn.execute("SELECT task_name FROM procrastinate_jobs ORDER BY id")]


def end(conn: psycopg.Connection[Any], call: str) -> None:
    conn.execute(f"SELECT workrow.{call} FROM procrastinate_jobs")


def test_who_cancels_what_sends_a_body_ends_the_body(joins: Any, conn: psycopg.Connection[Any]) -> None:
    end(conn, "cancel_job_v1(id)")
    assert tasks(conn) == ["workrow.celery.ended"]
    end(conn, "cancel_job_v1(id)")
    assert tasks(conn) == ["workrow.celery.ended"], "who cancels that has it told all the same"
    tell(joins, conn)
    with pytest.raises(ChordError, match=r"Join error: TaskRevokedError\('cancelled'\)"):
        joins.AsyncResult("body").get(timeout=5)
    assert tasks(conn) == ["told"]
    assert conn.execute("SELECT count(*) FROM workrow.celery_chords").fetchone() == (0,)


def test_the_same_where_the_worker_that_was_to_end_it_has_died(joins: Any, conn: psycopg.Connection[Any]) -> None:
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing', abort_requested = true")
    end(conn, "crash_job_v1(id, true, 1, 'it died')")
    assert tasks(conn) == ["workrow.celery.ended"]
    tell(joins, conn)
    with pytest.raises(ChordError, match="terminated"):
        joins.AsyncResult("body").get(timeout=5)


def tell(app: Any, conn: psycopg.Connection[Any]) -> None:
    """As a worker would."""
    ((args,),) = conn.execute("DELETE FROM procrastinate_jobs WHERE status = 'todo' RETURNING args").fetchall()
    context = contextvars.copy_context()
    context.run(calls._served_here.set, app)
    context.run(bury, **args)


def test_a_call_whose_worker_dies_before_it_has_terminated_it(app: Any, conn: psycopg.Connection[Any]) -> None:
    add = app.tasks["add"]
    flow = chord([add.s(1, 2), add.s(3, 4)])(add.si(0, 0))
    (first, second) = flow.parent.results
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    app.control.revoke([first.id], terminate=True)
    end(conn, "crash_job_v1(id, true, 9, 'it died')")
    with pytest.raises(TaskRevokedError, match="terminated"):
        first.get(timeout=5)
    assert second.state == "PENDING", "which runs again"
    assert conn.execute("SELECT ended, size FROM workrow.celery_chords").fetchall() == [(1, 2)]


def test_a_call_that_its_worker_has_terminated_counts_once(app: Any, conn: psycopg.Connection[Any]) -> None:
    """Though it has crashed before."""
    add = app.tasks["add"]
    chord([add.s(1, 2), add.s(3, 4)])(add.si(0, 0))
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    end(conn, "crash_job_v1(id, true, 9, 'it died')")
    conn.execute(
        "SELECT workrow.end_job_v1(id, ARRAY['todo']::procrastinate_job_status[], 'aborted') FROM procrastinate_jobs"
    )
    assert conn.execute("SELECT ended FROM workrow.celery_chords").fetchall() == [(0,)]


def test_a_revoke_does_not_look_through_all_that_waits(app: Any, conn: psycopg.Connection[Any]) -> None:
    conn.execute("""
        INSERT INTO procrastinate_jobs (queue_name, task_name, args)
        SELECT 'celery', 'add', jsonb_build_object('id', 'c' || n, 'root_id', n, 'args', '[]', 'kwargs', '{}')
        FROM generate_series(1, 20000) AS n
    """)
    conn.execute("ANALYZE procrastinate_jobs")
    read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'procrastinate_jobs'"
    revoke = "SELECT workrow.celery_revoke_v1(ARRAY['c7', 'c8'], NULL, NULL, false, '{}', 60)"
    with conn.transaction():
        assert conn.execute(revoke).fetchone() == (2,)
        assert conn.execute(sql.load("celery_queried"), {"ids": ["c9"], "tasks": ["add"]}).rowcount == 1
        assert conn.execute(read).fetchone() == (0,)
    assert [app.AsyncResult(each).state for each in ("c7", "c8", "c9")] == ["REVOKED", "REVOKED", "PENDING"]
