"""Unique, debounce, throttle: in the caller's transaction, whatever others do at the same time."""

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import AlreadyEnqueued

import workrow
from tests.conftest import COMMITTED
from tests.integration.test_enqueue import ASYNC, SYNC, async_transaction, sync_transaction
from workrow.declare.unique import Debounce, Rule, Throttle, Unique

connect = partial(psycopg.Connection[Any].connect, options=COMMITTED)
"""A producer that meets others."""


@pytest.fixture
def mail(app: workrow.App) -> workrow.Task[[int, str], None]:
    @app.task(name="mail", queue="mail", unique=("user_id",))
    async def mail(user_id: int, letter: str = "welcome") -> None: ...

    return mail


def jobs(conn: psycopg.Connection[Any], columns: str = "id") -> list[tuple[Any, ...]]:
    return conn.execute(f"SELECT {columns} FROM procrastinate_jobs ORDER BY id").fetchall()  # type: ignore[arg-type]


def claim(conn: psycopg.Connection[Any], *ids: int) -> None:
    conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = ANY(%s)", [list(ids)])


def finish(conn: psycopg.Connection[Any], job_id: int, status: str = "succeeded") -> None:
    claim(conn, job_id)
    conn.execute("SELECT procrastinate_finish_job_v1(%s, %s, false)", [job_id, status])


@pytest.mark.parametrize("kind", SYNC)
def test_the_call_says_whether_it_enqueued_or_found(kind: str, mail: Any, database_url: str, conn: Any) -> None:
    with sync_transaction(kind, database_url) as on:
        first = mail.enqueue(on, user_id=1)
        second = mail.enqueue(on, user_id=1, letter="other")
        third = mail.enqueue(on, user_id=2)
        on.commit()
    assert (first.created, second.created, third.created) == (True, False, True)
    assert second.existing
    assert second.id == first.id
    assert [row[0] for row in jobs(conn)] == [first.id, third.id]


@pytest.mark.parametrize("kind", ASYNC)
async def test_the_same_with_async_drivers(kind: str, mail: Any, database_url: str, conn: Any) -> None:
    async with async_transaction(kind, database_url) as on:
        found = await mail.enqueue_many(on, [{"user_id": n, "letter": "ä\n\\"} for n in (3, 1, 3, 2)])
        await on.commit()
    assert [job.created for job in found] == [True, True, False, True]
    assert found[0].id == found[2].id
    # ids are in the order of the calls, whatever the order of the keys is
    assert found[0].id < found[1].id < found[3].id
    assert jobs(conn, "args ->> 'user_id', args ->> 'letter'") == [(n, "ä\n\\") for n in "312"]


async def test_a_transaction_of_its_own(mail: Any, open_app: workrow.App, conn: Any) -> None:
    first = await mail.enqueue(None, user_id=1)
    assert (await mail.enqueue(None, user_id=1)).id == first.id
    assert mail.delay(user_id=1).existing
    assert mail.apply_async(kwargs={"user_id": 1}, countdown=5).existing
    assert len(jobs(conn)) == 1


def test_a_key_is_free_when_its_job_has_ended(mail: Any, conn: Any) -> None:
    first = mail.enqueue(conn, user_id=1)
    claim(conn, first.id)
    assert mail.enqueue(conn, user_id=1).id == first.id
    finish(conn, first.id)
    assert mail.enqueue(conn, user_id=1).created


def test_states_todo_lets_one_wait_while_one_runs(mail: Any, conn: Any) -> None:
    call = mail.options(unique=Unique(by=("user_id",), states=("todo",)))
    first = call.enqueue(conn, user_id=1)
    assert call.enqueue(conn, user_id=1).id == first.id
    claim(conn, first.id)
    second = call.enqueue(conn, user_id=1)
    assert second.created
    # a retry of the first one ends in favour of the second
    conn.execute("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", [first.id])
    assert jobs(conn, "id, status") == [(second.id, "todo")]
    ended = conn.execute("SELECT status, error_type FROM workrow.jobs WHERE id = %s", [first.id]).fetchone()
    assert ended == ("cancelled", "workrow.Superseded")


def test_within_counts_what_has_ended(mail: Any, conn: Any) -> None:
    call = mail.options(unique=Unique(by=("user_id",), within=timedelta(hours=1)))
    first = call.enqueue(conn, user_id=1)
    finish(conn, first.id)
    assert call.enqueue(conn, user_id=1).id == first.id
    assert call.enqueue_many(conn, [{"user_id": 2}, {"user_id": 1}])[1].existing
    conn.execute("UPDATE workrow.history SET created_at = now() - INTERVAL '61 minutes'")
    second = call.enqueue(conn, user_id=1)
    assert second.created
    finish(conn, second.id, "failed")
    assert call.enqueue(conn, user_id=1).created  # one that failed does not count unless it is asked for


def test_replace_gives_the_waiting_job_the_new_arguments(mail: Any, conn: Any) -> None:
    call = mail.options(unique=Unique(by=("user_id",), on_conflict="replace"), priority=1)
    at = datetime.now(UTC) + timedelta(hours=1)
    first = mail.options(at=at).enqueue(conn, user_id=1, letter="old")
    found = call.enqueue_many(conn, [{"user_id": 1, "letter": letter} for letter in ("new", "newest")])
    assert {job.id for job in found} == {first.id}
    assert jobs(conn, "args ->> 'letter', priority, scheduled_at") == [("newest", 1, at)]
    claim(conn, first.id)
    assert call.enqueue(conn, user_id=1, letter="late").existing
    assert jobs(conn, "args ->> 'letter'") == [("newest",)]


def test_reschedule_gives_the_waiting_job_the_new_time(mail: Any, conn: Any) -> None:
    call = mail.options(unique=Unique(by=("user_id",), on_conflict="reschedule"))
    at = datetime.now(UTC) + timedelta(hours=1)
    call.enqueue(conn, user_id=1, letter="old")
    assert call.options(at=at).enqueue(conn, user_id=1, letter="new").existing
    assert jobs(conn, "args ->> 'letter', scheduled_at, staged_at") == [("old", at, None)]
    call.options(delay=None).enqueue(conn, user_id=1)
    assert jobs(conn, "scheduled_at") == [(None,)]


@pytest.mark.parametrize("many", [False, True])
def test_raise_leaves_the_transaction_usable_and_nothing_behind(many: bool, mail: Any, database_url: str) -> None:
    call = mail.options(unique=Unique(by=("user_id",), on_conflict="raise"))
    with psycopg.connect(database_url) as on:
        first = call.enqueue(on, user_id=1)
        with pytest.raises(AlreadyEnqueued, match=f"mail: job {first.id} is there already"):
            call.enqueue_many(on, [{"user_id": 2}, {"user_id": 1}] if many else [{"user_id": 1}])
        assert [row[0] for row in jobs(on)] == [first.id]


def test_two_producers_at_once_make_one_job(mail: Any, database_url: str, conn: Any) -> None:
    with connect(database_url) as one, connect(database_url) as two, ThreadPoolExecutor() as pool:
        first = mail.enqueue(one, user_id=1)
        second = pool.submit(mail.enqueue, two, user_id=1)
        wait_until_blocked(conn, two)
        one.commit()
        assert second.result(5).id == first.id
        assert second.result(5).existing


def test_the_second_inserts_where_the_first_rolls_back(mail: Any, database_url: str, conn: Any) -> None:
    with connect(database_url) as one, connect(database_url) as two, ThreadPoolExecutor() as pool:
        mail.enqueue(one, user_id=1)
        second = pool.submit(mail.enqueue, two, user_id=1)
        wait_until_blocked(conn, two)
        one.rollback()
        assert second.result(5).created


def test_within_is_exact_where_the_first_ends_meanwhile(mail: Any, database_url: str, conn: Any) -> None:
    """The second producer waits for a finish in progress: its own look into the history was before that."""
    call = mail.options(unique=Unique(by=("user_id",), within=3600))
    first = call.enqueue(conn, user_id=1)
    claim(conn, first.id)
    with connect(database_url) as one, connect(database_url) as two, ThreadPoolExecutor() as pool:
        one.execute("SELECT procrastinate_finish_job_v1(%s, 'succeeded', false)", [first.id])
        second = pool.submit(call.enqueue, two, user_id=1)
        wait_until_blocked(conn, two)
        one.commit()
        assert second.result(5).id == first.id
        two.commit()
    assert jobs(conn) == []


def wait_until_blocked(conn: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> None:
    pid = other.info.backend_pid
    for _ in range(10_000):
        if conn.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone() == (True,):
            return
    raise AssertionError("it does not wait")


RULES: list[Rule] = [
    Unique(by=("user_id",)),
    Unique(by=("user_id",), states=("todo",)),
    Unique(by=("user_id",), within=3600),
    Unique(by=("user_id",), on_conflict="replace"),
    Debounce(60, by=("user_id",)),
    Throttle(1, per=3600, by=("user_id",)),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_many_at_once_in_different_orders_neither_deadlock_nor_double(rule: Rule, app: Any, database_url: str) -> None:
    @app.task(name="crowd")
    async def crowd(user_id: int, n: int) -> None: ...

    name = {Debounce: "debounce", Throttle: "throttle"}.get(type(rule), "unique")
    call = crowd.options(**{name: rule})
    start = threading.Barrier(8)
    created: list[int] = []

    def produce(number: int) -> None:
        users = list(range(40)) if number % 2 else list(range(39, -1, -1))
        with connect(database_url) as connection:
            start.wait(20)
            for turn in range(5):
                found = call.enqueue_many(connection, [{"user_id": user, "n": turn} for user in users])
                assert len(found) == 40
                created.extend(job.id for job in found if job.created)
                if turn == 0 and number == 1:
                    connection.rollback()
                connection.commit()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(produce, number) for number in range(8)]:
            done.result(60)
    with psycopg.connect(database_url) as connection:
        counts = connection.execute(
            "SELECT count(*), count(DISTINCT args ->> 'user_id') FROM procrastinate_jobs"
        ).fetchone()
    assert counts == (40, 40)


def test_a_key_that_comes_and_goes_under_load_never_doubles(mail: Any, database_url: str, conn: Any) -> None:
    """Producers and finishes race for one key: no error reaches a producer, and never do two jobs live."""
    stop = threading.Event()

    def produce() -> int:
        with connect(database_url, autocommit=True) as connection:
            return sum(mail.enqueue(connection, user_id=1).created for _ in range(300))

    def consume() -> int:
        ended = 0
        with connect(database_url, autocommit=True) as connection:
            while not stop.is_set():
                rows = connection.execute("SELECT id FROM procrastinate_jobs").fetchall()
                assert len(rows) <= 1
                for row in rows:
                    finish(connection, row[0])
                    ended += 1
        return ended

    with ThreadPoolExecutor(5) as pool:
        consumer = pool.submit(consume)
        producers = [pool.submit(produce) for _ in range(4)]
        try:
            created = sum(producer.result(60) for producer in producers)
        finally:
            stop.set()
        ended = consumer.result(10)
    assert created == ended + len(jobs(conn))


def test_debounce_runs_the_last_call_of_a_burst(app: Any, conn: Any) -> None:
    @app.task(name="index", debounce=Debounce(10, by=("page",), max_wait=15))
    async def index(page: int, revision: int) -> None: ...

    first = index.enqueue(conn, page=1, revision=1)
    conn.execute("UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - INTERVAL '4 s'")
    assert index.enqueue(conn, page=1, revision=2).id == first.id
    wait = "extract(EPOCH FROM scheduled_at - clock_timestamp())"
    ((revision, seconds),) = jobs(conn, f"args ->> 'revision', {wait}")
    assert revision == "2"
    assert 9 < seconds <= 10
    conn.execute("UPDATE procrastinate_jobs SET created_at = created_at - INTERVAL '12 s'")
    index.enqueue(conn, page=1, revision=3)
    ((seconds,),) = jobs(conn, wait)
    assert 2 < seconds <= 3  # the longest wait
    claim(conn, first.id)
    assert index.enqueue(conn, page=1, revision=4).created  # what runs has the old arguments


def test_throttle_lets_so_many_through_in_any_window(app: Any, conn: Any) -> None:
    @app.task(name="sync", throttle=Throttle(2, per=60, by=("shop",)))
    async def sync(shop: int) -> None: ...

    found = sync.enqueue_many(conn, [{"shop": shop} for shop in (1, 2, 1, 1, 2)])
    assert [job.created for job in found] == [True, True, True, False, True]
    assert found[3].id == found[2].id
    finish(conn, found[0].id)
    assert sync.enqueue(conn, shop=1).existing  # ended or not
    conn.execute("UPDATE workrow.throttles SET taken[1] = taken[1] - INTERVAL '61 s' WHERE key LIKE %s", ['%"shop":1}'])
    assert sync.enqueue(conn, shop=1).created
    assert sync.enqueue(conn, shop=1).existing


def test_a_throttle_that_raises_takes_nothing_from_its_window(app: Any, conn: Any) -> None:
    @app.task(name="sync", throttle=Throttle(2, per=60, on_conflict="raise"))
    async def sync() -> None: ...

    with pytest.raises(AlreadyEnqueued):
        sync.enqueue_many(conn, [{}, {}, {}])
    assert jobs(conn) == []
    assert len(sync.enqueue_many(conn, [{}, {}])) == 2


def test_a_stale_job_does_not_hold_its_key(mail: Any, conn: Any) -> None:
    for call in (mail, mail.options(unique=Unique(by=("user_id",), states=("todo",)))):
        stale = call.options(expires=60).enqueue(conn, user_id=1)
        conn.execute("UPDATE procrastinate_jobs SET expires_at = now() - INTERVAL '1 s'")
        fresh = call.enqueue(conn, user_id=1)
        assert fresh.created
        ended = conn.execute("SELECT status, error_type FROM workrow.jobs WHERE id = %s", [stale.id]).fetchone()
        assert ended == ("cancelled", "workrow.Expired")
        finish(conn, fresh.id)


def test_a_failed_job_does_not_run_again_beside_a_newer_one(mail: Any, conn: Any) -> None:
    first = mail.enqueue(conn, user_id=1)
    finish(conn, first.id, "failed")
    second = mail.enqueue(conn, user_id=1)
    retry = "SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)"
    with pytest.raises(psycopg.errors.UniqueViolation, match=f"job {first.id} does not run again: a newer job has"):
        conn.execute(retry, [first.id])
    finish(conn, second.id)
    conn.execute(retry, [first.id])
    assert jobs(conn, "id, unique_key") == [(first.id, 'mail:{"user_id":1}')]


def test_a_retry_keeps_the_key(mail: Any, conn: Any) -> None:
    first = mail.enqueue(conn, user_id=1)
    claim(conn, first.id)
    conn.execute("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", [first.id])
    assert jobs(conn, "id, status, unique_key") == [(first.id, "todo", 'mail:{"user_id":1}')]
    assert mail.enqueue(conn, user_id=1).existing


async def test_what_cannot_honour_a_rule_says_so(mail: Any, open_app: workrow.App, conn: Any) -> None:
    with pytest.raises(workrow.OptionError, match="mail: unique, debounce, throttle and expires do not go together"):
        mail.enqueue_copy(conn, [{"user_id": 1}])
    with pytest.raises(workrow.OptionError, match="task mail: procrastinate's defer"):
        await mail.defer_async(user_id=1)
    assert jobs(conn) == []


async def test_one_job_for_calls_that_meet_in_one_loop(mail: Any, open_app: workrow.App, conn: Any) -> None:
    found = await asyncio.gather(*(mail.enqueue(None, user_id=1) for _ in range(20)))
    assert sum(job.created for job in found) == 1
    assert len({job.id for job in found}) == 1
    assert len(jobs(conn)) == 1


@pytest.mark.parametrize(
    ("rule", "delete", "refused"),
    [
        (Unique(within=60), "successful", True),
        (Unique(within=timedelta(hours=1)), "always", True),
        (Unique(within=60, states=("todo", "doing", "failed")), "successful", False),
        (Unique(within=60, states=("todo", "doing", "failed")), "always", True),
        (Unique(within=60), "never", False),
        (Unique(), "always", False),
    ],
)
async def test_a_worker_that_deletes_what_a_rule_counts_does_not_start(
    open_app: workrow.App, rule: Unique, delete: str, refused: bool
) -> None:
    @open_app.task(name="sync", unique=rule)
    async def sync() -> None: ...

    async def run() -> None:
        await open_app.run_worker_async(
            wait=False,
            install_signal_handlers=False,
            delete_jobs=delete,
        )

    told = rf"^task sync: Unique\(within=.*delete_jobs='{delete}' deletes"
    with pytest.raises(workrow.ConfigurationError, match=told) if refused else contextlib.nullcontext():
        await run()


async def test_nor_does_one_whose_history_is_shorter(database_url: str) -> None:
    app = workrow.App(database_url, keep_history=timedelta(days=1))

    @app.task(name="sync", unique=Unique(within=timedelta(days=2)))
    async def sync() -> None: ...

    async with app.open_async():
        with pytest.raises(
            workrow.ConfigurationError, match=r"task sync: .* keep_history=datetime.timedelta\(days=1\)"
        ):
            await app.run_worker_async(wait=False, install_signal_handlers=False)
