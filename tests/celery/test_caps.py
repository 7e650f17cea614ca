"""A queue with a cap refuses the door's calls as it refuses any other, and nothing is half sent."""

import contextvars
import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.celery import unique_app
from tests.celery.on_database import on
from workrow import QueueFull
from workrow.celery import Celery, chain, chord, group, using
from workrow.celery.beat import Beat
from workrow.celery.worker import calls
from workrow.celery.worker.engine import bury

sync: Any = unique_app.sync
plain: Any = unique_app.plain
WAITING = "SELECT count(*) FROM procrastinate_jobs"


@pytest.fixture
def app(database_url: str, conn: psycopg.Connection[Any]) -> Iterator[Celery]:
    conn.execute("SELECT workrow.set_queue_v1('celery', 2)")
    with on(unique_app.app, database_url) as app:
        yield app


@pytest.mark.parametrize(
    ("call", "more"),
    [
        (lambda: plain.delay(1), 1),
        (lambda: sync.delay(9), 1),
        (lambda: unique_app.app.send_task("limited", (1,)), 1),
        (lambda: unique_app.app.send_task("nobody", (1,)), 1),
        (lambda: chain(plain.s(1), plain.s()).apply_async(), 1),
        (lambda: group(plain.s(1), plain.s(2).set(countdown=9), plain.s(3).set(queue="other")).apply_async(), 2),
        (lambda: chord([plain.s(1), plain.s(2)], plain.s()).apply_async(), 2),
    ],
)
def test_calls_too_many(app: Celery, conn: psycopg.Connection[Any], call: Callable[[], Any], more: int) -> None:
    plain.delay(1)
    plain.apply_async((1,), countdown=60)
    plain.apply_async((1,), queue="other")
    sync.delay(2)
    words = rf"the queue 'celery' has no room for {more} more: 2 jobs wait, at most 2 may; nothing was enqueued"
    with pytest.raises(QueueFull, match=words):
        call()
    assert conn.execute(WAITING).fetchone() == (4,)
    assert conn.execute("SELECT count(*) FROM workrow.celery_chords").fetchone() == (0,)
    assert sync.delay(2).existing, "what is there needs no room"
    conn.execute("SELECT workrow.set_queue_v1('celery', 9)")
    call()


def test_the_transaction_stays_usable(app: Celery, database_url: str, conn: psycopg.Connection[Any]) -> None:
    with psycopg.connect(database_url) as own, using(own):
        chord([plain.s(1), plain.s(2)], plain.s()).apply_async()
        for call in (lambda: plain.delay(1), lambda: sync.delay(1), lambda: group([plain.s(1)] * 2).apply_async()):
            with pytest.raises(QueueFull):
                call()
        plain.apply_async((1,), countdown=60)
    assert conn.execute(WAITING).fetchone() == (3,)


def test_what_follows_from_an_end_is_not_refused(app: Celery, conn: psycopg.Connection[Any]) -> None:
    plain.delay(1)
    plain.delay(2)
    told = {"id": "lost", "args": [1], "kwargs": {}, "root_id": "lost", "errbacks": [dict(plain.si(3))]}
    failure = {"task": "plain", "args": json.loads(json.dumps(told)), "queue": "celery"}
    context = contextvars.copy_context()
    context.run(calls._served_here.set, app)
    context.run(bury, {**failure, "error_type": "workrow.Crashed", "error_message": "three times"})
    assert conn.execute(WAITING).fetchone() == (3,)
    assert app.AsyncResult("lost").state == "FAILURE"


def test_beat_waits_for_room(app: Celery, conn: psycopg.Connection[Any]) -> None:
    app.conf.beat_schedule = {"each": {"task": "sync", "schedule": 0.01, "args": (1,), "options": {"unique": None}}}
    beat = Beat(app)
    look: Callable[[], object] = beat.run_once
    try:
        while conn.execute(WAITING).fetchone() != (2,):
            look()
        for _ in range(20):
            look()
        runs = "SELECT total_run_count, last_error FROM workrow.celery_beat WHERE name = 'each'"
        assert (conn.execute(WAITING).fetchone(), conn.execute(runs).fetchone()) == ((2,), (2, None))
        conn.execute("DELETE FROM procrastinate_jobs")
        while conn.execute(WAITING).fetchone() != (1,):
            look()
    finally:
        app.conf.beat_schedule = {}


def test_beat_sends_unique_calls(app: Celery, conn: psycopg.Connection[Any]) -> None:
    app.conf.beat_schedule = {"each": {"task": "sync", "schedule": 0.01, "args": (1,)}}
    beat = Beat(app)
    try:
        while (conn.execute("SELECT max(total_run_count) FROM workrow.celery_beat").fetchone() or (0,))[0] != 3:
            beat.run_once()
    finally:
        app.conf.beat_schedule = {}
    assert conn.execute(WAITING).fetchone() == (1,)
