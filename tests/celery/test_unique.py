"""``unique=`` on the door's tasks: one call for each key, and the handle of that one for whoever calls again."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tests.celery import unique_app
from tests.celery.on_database import on
from tests.celery.test_worker import SECONDS, worker
from workrow import AlreadyEnqueued, Unique
from workrow.celery import Celery, chain, chord, group, signals, using
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.errors import OptionError

sync: Any = unique_app.sync
latest: Any = unique_app.latest
plain: Any = unique_app.plain


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    with on(unique_app.app, database_url) as app:
        yield app


def jobs(conn: psycopg.Connection[Any]) -> list[Any]:
    return conn.execute("SELECT args ->> 'id', args -> 'args' FROM procrastinate_jobs ORDER BY id").fetchall()


def test_whoever_calls_again_gets_the_call_that_waits(app: Celery, conn: psycopg.Connection[Any]) -> None:
    first = sync.delay(7)
    again = [
        sync.delay(user_id=7, full=True),
        sync.apply_async((7,), task_id="mine", countdown=5),
        app.send_task("sync", (7,)),
        sync.s(7).apply_async(),
    ]
    other = sync.delay(8)
    assert {each.id for each in again} == {first.id}
    assert [each.existing for each in (first, *again, other)] == [False, True, True, True, True, False]
    assert [task_id for task_id, _ in jobs(conn)] == [first.id, other.id]


def test_values_count_as_the_same_by_their_defaults(app: Celery, conn: psycopg.Connection[Any]) -> None:
    every: Any = unique_app.every
    when = datetime(2026, 1, 2, tzinfo=UTC)
    first = every.delay(1, more=when)
    assert every.delay(x=1, y=2, more=when).id == first.id
    assert every.delay(1, more=when + timedelta(days=1)).id != first.id


def test_in_a_transaction(app: Celery, database_url: str, conn: psycopg.Connection[Any]) -> None:
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with sa.orm.Session(engine) as session:
        with using(session):
            first, again = sync.delay(1), sync.delay(1)
        assert first.id == again.id
        assert jobs(conn) == []
        session.rollback()
        with using(session):
            other = sync.delay(1)
        session.commit()
    engine.dispose()
    assert [task_id for task_id, _ in jobs(conn)] == [other.id]


def test_what_runs_counts_and_a_retry_keeps_its_key(app: Celery, database_url: str) -> None:
    with worker(database_url, "-P", "threads", module="tests.celery.unique_app"):
        first = unique_app.tries.delay(1)  # type: ignore[attr-defined]
        while first.state != "RETRY":
            pass
        again = unique_app.tries.delay(1)  # type: ignore[attr-defined]
        assert (again.id, again.existing) == (first.id, True)
        assert first.get(timeout=SECONDS) == 1
        assert unique_app.tries.delay(1).existing is False  # type: ignore[attr-defined]


def test_what_has_ended_within_the_time_counts(app: Celery, database_url: str) -> None:
    hourly: Any = unique_app.hourly
    with worker(database_url, "-P", "threads", module="tests.celery.unique_app"):
        first = hourly.delay("fine")
        assert first.get(timeout=SECONDS) == "fine"
        again = hourly.delay("fine")
        assert (again.id, again.get(timeout=SECONDS)) == (first.id, "fine")
        lost = hourly.delay("fails")
        with pytest.raises(ValueError, match="fails"):
            lost.get(timeout=SECONDS)
        assert hourly.delay("fails").existing is False, "its first run asked for a retry, and then it failed"


def test_the_newest_arguments_under_the_first_id(app: Celery, conn: psycopg.Connection[Any]) -> None:
    first, again = latest.delay(1, "old"), latest.apply_async((1, "new"), priority=3)
    assert again.id == first.id
    assert jobs(conn) == [(first.id, [1, "new"])]
    assert conn.execute("SELECT args ->> 'root_id' FROM procrastinate_jobs").fetchone() == (first.id,)


def test_a_call_that_will_not_run_keeps_nobody_away(app: Celery, conn: psycopg.Connection[Any]) -> None:
    late = sync.apply_async((1,), expires=-1)
    app.control.revoke("unwanted")
    unwanted = sync.apply_async((2,), task_id="unwanted")
    fresh = [sync.delay(1), sync.delay(2)]
    assert [each.existing for each in fresh] == [False, False]
    assert (late.state, unwanted.state) == ("REVOKED", "REVOKED")
    assert [task_id for task_id, _ in jobs(conn)] == [each.id for each in fresh]


def test_a_later_time_for_the_call_that_waits(app: Celery, conn: psycopg.Connection[Any]) -> None:
    limited: Any = unique_app.limited
    rule = Unique(by=("x",), on_conflict="reschedule")
    for task in (plain, limited):
        first = task.apply_async((1,), unique=rule)
        assert task.apply_async((1,), countdown=3600, unique=rule).id == first.id
    waits = "SELECT coalesce(due_at, scheduled_at) > now() + interval '59 minutes' FROM procrastinate_jobs"
    assert conn.execute(waits).fetchall() == [(True,), (True,)]


def test_a_conflict_that_raises(app: Celery, conn: psycopg.Connection[Any]) -> None:
    first = plain.apply_async((1,), unique=("x",))
    assert plain.apply_async((1,), unique=["x"]).id == first.id, "as it stands in JSON"
    with pytest.raises(AlreadyEnqueued, match=f"call {first.id} is there already; nothing was sent"):
        plain.apply_async((1,), unique=Unique(by=("x",), on_conflict="raise"))
    assert len(jobs(conn)) == 1
    assert plain.delay(1).existing is False, "this call said nothing of it"


def test_publishing_signals_tell_of_what_was_sent(app: Celery) -> None:
    told: list[str] = []

    @signals.after_task_publish.connect(weak=False)
    def note(headers: dict[str, Any], **_: Any) -> None:
        told.append(headers["id"])

    try:
        first, again = sync.delay(1), sync.delay(1)
    finally:
        signals.after_task_publish.disconnect(note)
    assert (told, again.id) == ([first.id], first.id)


@pytest.mark.parametrize(
    "call",
    [
        lambda: group(sync.s(1), plain.s(2)).apply_async(),
        lambda: chord([sync.s(1), plain.s(2)], plain.s()).apply_async(),
        lambda: chord([plain.s(1)], sync.si(1)).apply_async(),
        lambda: chord([], sync.si(1)).apply_async(),
        lambda: chain(sync.s(1), plain.s()).apply_async(),
        lambda: chain(plain.s(1), sync.si(1)).apply_async(),
        lambda: chain(plain.s(1), group(plain.si(1), sync.si(1))).apply_async(),
        lambda: chain(plain.s(1), chord([plain.si(1)], sync.si(1)), plain.s()).apply_async(),
        lambda: plain.apply_async((1,), link=plain.si(1).set(link=sync.si(1))),
        lambda: plain.apply_async((1,), link_error=sync.si(1)),
        lambda: sync.apply_async((1,), link=plain.si(1)),
        lambda: plain.apply_async((1,), link=plain.si(1).set(unique=("x",))),
    ],
)
def test_a_part_of_a_canvas_is_refused(app: Celery, conn: psycopg.Connection[Any], call: Callable[[], Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"is unique, .* call it by itself, .* give this call unique=None"):
        call()
    assert jobs(conn) == []


def test_a_part_that_says_it_is_not_unique(app: Celery, conn: psycopg.Connection[Any]) -> None:
    parts: Any = [sync.s(1).set(unique=None), sync.s(1).set(unique=None)]
    group(parts).apply_async()
    assert len(jobs(conn)) == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plain.apply_async((1,), unique="x"), "unique='x': must be a tuple"),
        (lambda: plain.apply_async((1,), unique=("z",)), "'z' is no argument"),
        (lambda: unique_app.app.task(name="wrong", unique=5)(lambda: None), "unique=5: must be a tuple"),
        (lambda: unique_app.app.send_task("nobody", (1,), unique=("x",)), "this app has no such task"),
    ],
)
def test_rules_that_cannot_work(
    app: Celery, conn: psycopg.Connection[Any], call: Callable[[], Any], words: str
) -> None:
    with pytest.raises((OptionError, ImproperlyConfigured), match=words):
        call()
    assert jobs(conn) == []


def test_two_at_once_are_one(app: Celery, database_url: str, conn: psycopg.Connection[Any]) -> None:
    import threading

    found: list[str] = []
    ready = threading.Barrier(8)

    def call() -> None:
        ready.wait()
        found.append(sync.delay(1).id)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(found)) == 1
    assert jobs(conn)[0][0] == found[0]
    assert len(jobs(conn)) == 1
