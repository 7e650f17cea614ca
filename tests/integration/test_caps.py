"""A full queue refuses more, and leaves the producer's transaction usable."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_enqueue import ASYNC, SYNC, async_transaction, sync_transaction
from tests.integration.test_pauses import drained
from workrow.declare.unique import Throttle, Unique


@pytest.fixture
def mail(app: workrow.App, conn: Any) -> Any:
    @app.task(name="mail", queue="mails")
    async def mail(n: int = 0) -> None: ...

    conn.execute("SELECT workrow.set_queue_v1('mails', 3, 'ada', 'smtp is slow')")
    return mail


def count(conn: Any) -> int:
    row = conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    return int(row[0])


FULL = r"mail: the queue 'mails' has no room for 1 more: 3 jobs wait, at most 3 may; nothing was enqueued"


@pytest.mark.parametrize("kind", SYNC)
def test_a_full_queue_refuses_in_the_callers_transaction(kind: str, mail: Any, database_url: str, conn: Any) -> None:
    with sync_transaction(kind, database_url) as on:
        mail.enqueue_many(on, [{"n": n} for n in range(3)])
        with pytest.raises(workrow.QueueFull, match=FULL):
            mail.enqueue(on, n=4)
        with pytest.raises(workrow.QueueFull, match="no room for 2 more"):
            mail.enqueue_many(on, [{"n": 4}, {"n": 5}])
        mail.options(queue="other").enqueue(on, n=6)
        on.commit()
    assert count(conn) == 4


@pytest.mark.parametrize("kind", ASYNC)
async def test_the_same_with_async_drivers(kind: str, mail: Any, database_url: str, conn: Any) -> None:
    async with async_transaction(kind, database_url) as on:
        await mail.enqueue_many(on, [{"n": n} for n in range(3)])
        with pytest.raises(workrow.QueueFull, match=FULL):
            await mail.enqueue(on, n=4)
        await on.commit()
    assert count(conn) == 3


async def test_every_way_to_enqueue_heeds_the_cap(mail: Any, app: workrow.App, conn: Any) -> None:
    async with app.open_async():
        await mail.enqueue_many(None, [{}, {}, {}])
        unique = mail.options(unique=Unique(by=("n",)))
        for call in (mail, unique, mail.options(throttle=Throttle(5, per=60)), mail.options(expires=60)):
            with pytest.raises(workrow.QueueFull, match="mails"):
                await call.enqueue(None, n=9)
            with pytest.raises(workrow.QueueFull, match="mails"):
                call.delay(n=9)
        with pytest.raises(workrow.QueueFull, match="the queue 'mails' is full: 3 jobs wait, at most 3 may"):
            mail.enqueue_copy(conn, [{"n": 1}])
        # what is there already needs no room
        conn.execute("SELECT workrow.set_queue_v1('mails', 4)")
        first = await unique.enqueue(None, n=7)
        assert (await unique.enqueue(None, n=7)).id == first.id
    assert count(conn) == 4


def test_what_is_for_later_does_not_count(mail: Any, conn: Any) -> None:
    mail.options(delay=3600).enqueue_many(conn, [{} for _ in range(10)])
    mail.options(lock="a").enqueue_many(conn, [{}, {}])
    mail.options(delay=3600, lock="a").enqueue(conn)
    mail.enqueue(conn)
    with pytest.raises(workrow.QueueFull):
        mail.enqueue(conn)
    with pytest.raises(workrow.QueueFull):
        mail.options(lock="b").enqueue(conn)
    mail.options(delay=3600).enqueue(conn)
    claimed = "UPDATE procrastinate_jobs SET status = 'doing' WHERE scheduled_at IS NULL AND lock IS NULL"
    conn.execute(claimed)
    mail.enqueue(conn)  # one that runs does not wait


def test_a_queueing_lock_is_told_from_a_full_queue(mail: Any, conn: Any) -> None:
    locked = mail.options(queueing_lock="k")
    locked.enqueue(conn)
    with pytest.raises(workrow.AlreadyEnqueued):
        locked.enqueue(conn)
    with pytest.raises(workrow.AlreadyEnqueued):
        locked.options(expires=60).enqueue(conn)
    mail.enqueue_many(conn, [{}, {}])
    with pytest.raises(workrow.QueueFull):
        mail.options(queueing_lock="other").enqueue(conn)


async def test_the_code_declares_and_run_time_wins(app: workrow.App, conn: Any) -> None:
    @app.task(name="mail", queue="mails")
    async def mail() -> None: ...

    app.queue("mails", max_depth=2)
    mail.enqueue_many(conn, [{}, {}, {}])  # not noted before the first worker
    async with app.open_async():
        await drained(app)
        with pytest.raises(workrow.QueueFull):
            await mail.enqueue_many(None, [{}, {}, {}])
        conn.execute("SELECT workrow.set_queue_v1('mails', 3, 'ada', 'more')")
        await drained(app)
        await mail.enqueue_many(None, [{}, {}, {}])
        row = conn.execute("SELECT queue, max_depth, declared_depth, depth, actor, reason FROM workrow.caps").fetchall()
        assert row == [("mails", 3, 2, 3, "ada", "more")]
        app.queue("mails", max_depth=None)
        conn.execute("SELECT workrow.set_queue_v1('mails', NULL)")
        await drained(app)
    assert conn.execute("SELECT count(*) FROM workrow.caps").fetchone() == (0,)


@pytest.mark.parametrize("depth", [0, -1, True, 1.5, "9"])
def test_a_cap_that_cannot_be_is_refused(depth: Any, app: workrow.App, conn: Any) -> None:
    with pytest.raises(workrow.OptionError, match=r"queue 'mails': max_depth="):
        app.queue("mails", max_depth=depth)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="to stop a queue, pause it"):
        conn.execute("SELECT workrow.set_queue_v1('mails', 0)")


@pytest.mark.parametrize("depth", [2**31 - 2, 2**31 - 1])
def test_the_largest_caps_are_caps(depth: int, mail: Any, database_url: str, conn: Any) -> None:
    conn.execute("SELECT workrow.set_queue_v1('mails', %s, 'ada', 'none in practice')", [depth])
    with psycopg.connect(database_url) as on:
        mail.enqueue_many(on, [{}, {}])
    assert conn.execute("SELECT max_depth, depth FROM workrow.caps").fetchall() == [(depth, 2)]


def test_producers_that_commit_see_one_another(mail: Any, database_url: str, conn: Any) -> None:
    conn.execute("SELECT workrow.set_queue_v1('mails', 50)")

    def produce() -> int:
        done = 0
        with psycopg.connect(database_url, autocommit=True) as connection:
            for _ in range(30):
                try:
                    mail.enqueue(connection)
                except workrow.QueueFull:
                    continue
                done += 1
        return done

    with ThreadPoolExecutor(4) as pool:
        done = sum(each.result(60) for each in [pool.submit(produce) for _ in range(4)])
    # each of four producers may miss what three others have not committed yet
    assert 50 <= done <= 53
    assert count(conn) == done


def test_the_count_is_not_about_other_queues(conn: Any) -> None:
    put = """INSERT INTO procrastinate_jobs (queue_name, task_name, lock)
             SELECT %s, 't', CASE WHEN n %% 2 = 0 THEN 'l' || n END FROM generate_series(1, %s) AS n"""
    conn.execute(put, ["big", 100_000])
    conn.execute(put, ["capped", 100])
    conn.execute("ANALYZE procrastinate_jobs")
    with conn.transaction():
        for _ in range(12):  # prepared by then, with a plan for any queue, which expects an average one
            asked = conn.execute("SELECT workrow.ready_depth_v1('capped', 10001)", prepare=True)
            assert asked.fetchone() == (100,)
        scans = "SELECT seq_scan, seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'procrastinate_jobs'"
        assert conn.execute(scans).fetchone() == (0, 0)
