"""A chord whose body nobody could send has an end: the body has the error, and its errback is told."""

import contextvars
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from workrow.celery import Celery, codec, current
from workrow.celery.exceptions import ChordError
from workrow.celery.foreign_errors import TimeLimitExceeded
from workrow.celery.worker import calls
from workrow.celery.worker.calls import JOIN
from workrow.celery.worker.engine import ENDED, bury, engine_of
from workrow.worker.outcome import Claimed


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    app: Any = Celery("joins", broker=database_url)

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="told")
    def told(task_id: str) -> None: ...

    app.load()
    current.set_default(app)
    yield app
    app.close()


def join_of(app: Celery) -> tuple[dict[str, Any], Any]:
    """What the job carries that sends a body, and the body's result."""
    body = app.tasks["add"].si(1, 2).on_error(app.tasks["told"].si("x"))
    result = body.freeze()
    args = codec.pack(["header", dict(body), {"id": "last"}])
    return {"id": "join-header", "args": args, "kwargs": {}}, result


def test_it_was_quarantined(app: Celery, conn: psycopg.Connection[Any]) -> None:
    engine, _, _ = engine_of(app, "here", in_process=False)
    assert engine.tasks[JOIN].on_failure == ENDED  # type: ignore[attr-defined]
    carried, result = join_of(app)
    conn.execute("INSERT INTO workrow.celery_chords (group_id, size, ended, fired) VALUES ('header', 1, 1, true)")
    failure = {"task": JOIN, "args": carried, "queue": "celery"}
    told = {**failure, "error_type": "workrow.Crashed", "error_message": "three times"}
    context = contextvars.copy_context()
    context.run(calls._served_here.set, app)
    context.run(bury, told)
    with pytest.raises(ChordError, match="Join error: WorkerLostError.*workrow.Crashed: three times"):
        result.get(timeout=5)
    assert result.state == "FAILURE"
    assert conn.execute("SELECT task_name FROM procrastinate_jobs").fetchall() == [("told",)]
    assert conn.execute("SELECT count(*) FROM workrow.celery_chords").fetchone() == (0,)


def test_it_took_too_long(app: Celery, conn: psycopg.Connection[Any]) -> None:
    _, door, _ = engine_of(app, "here", in_process=False)
    carried, result = join_of(app)
    claimed = Claimed((1, "celery", JOIN, 0, None, None, carried, None, 0, 0, 0, None, None, None), owner=1)
    answer = door._bury(claimed, carried, TimeLimitExceeded(5), "FAILURE")
    conn.execute("SELECT workrow.celery_write_v1(ARRAY[CAST(%s AS jsonb)])", [answer.sequel])
    with pytest.raises(ChordError, match="Join error: TimeLimitExceeded"):
        result.get(timeout=5)
