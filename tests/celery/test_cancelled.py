"""A call whose job is cancelled by workrow's own words is revoked for Celery."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from workrow.celery import Celery, chord, current
from workrow.celery.exceptions import TaskRevokedError


@pytest.fixture
def app(database_url: str) -> Iterator[Any]:
    app: Any = Celery("cancelled", broker=database_url)

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

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
