"""What a worker promises: its lease, its fence, the rescue of what it leaves behind, an orderly stop."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from procrastinate.retry import RetryStrategy

import workrow
from tests.integration.test_heart import Running, until
from tests.integration.test_rescue import register
from tests.integration.test_worker import row, run

LEASE = 2.0


@pytest.fixture
async def open_app(database_url: str) -> AsyncIterator[workrow.App]:
    """An app whose workers have a short lease."""
    app = workrow.App(database_url, lease=LEASE)
    async with app.open_async():
        yield app


def count(conn: Any, query: str, *values: Any) -> int:
    return int(conn.execute(query, values).fetchone()[0])


def bury(conn: Any) -> None:
    """Every worker has been silent for longer than its lease."""
    conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")


def rescue(conn: Any, max_crashes: int = 3) -> list[tuple[Any, ...]]:
    query = "SELECT job_id, verdict FROM workrow.rescue_jobs_v1(%s)"
    return list(conn.execute(query, [max_crashes]).fetchall())


def status(conn: Any, job: workrow.Job[Any]) -> str:
    return str(row(conn, job)["status"])


class TestFence:
    async def test_a_stale_workers_finish_changes_nothing(self, open_app: workrow.App, conn: Any) -> None:
        go = asyncio.Event()

        @open_app.task(name="slow")
        async def slow() -> str:
            await go.wait()
            return "mine"

        job = await slow.enqueue(None)
        async with Running(open_app, update_heartbeat_interval=3600) as worker:
            await until(lambda: status(conn, job) == "doing")
            bury(conn)
            assert rescue(conn) == [(job.id, "queued")]
            # another worker has it now
            conn.execute("UPDATE procrastinate_jobs SET priority = 7, scheduled_at = now() + interval '1 hour'")
            go.set()
            await until(lambda: conn.execute("SELECT 1 FROM procrastinate_workers").fetchone(), 5)
            await asyncio.sleep(0.2)
            assert not worker.task.done()
        assert (status(conn, job), row(conn, job)["result"], row(conn, job)["priority"]) == ("todo", None, 7)

    async def test_the_token_fences_a_second_claim_by_the_same_worker(self, open_app: workrow.App, conn: Any) -> None:
        runs: list[int] = []
        first, second = asyncio.Event(), asyncio.Event()

        @open_app.task(name="twice")
        async def twice() -> int:
            runs.append(len(runs))
            mine = runs[-1]
            try:
                await (first, second)[mine].wait()
            except asyncio.CancelledError:
                await first.wait()  # refuses at first
                raise
            return mine

        job = await twice.enqueue(None)
        async with Running(open_app, concurrency=2):
            await until(lambda: len(runs) == 1)
            conn.execute("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", [job.id])
            await asyncio.sleep(0.3)
            first.set()
            await until(lambda: len(runs) == 2)
            second.set()
            await until(lambda: status(conn, job) == "succeeded")
        assert row(conn, job)["result"] == 1

    async def test_a_worker_taken_for_dead_drops_its_jobs_and_registers_anew(
        self, open_app: workrow.App, conn: Any
    ) -> None:
        starts: list[int] = []
        cancelled: list[int] = []

        @open_app.task(name="hang")
        async def hang() -> None:
            starts.append(len(starts))
            if len(starts) > 1:
                return
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        job = await hang.enqueue(None)
        async with Running(open_app):
            await until(lambda: len(starts) == 1)
            before = count(conn, "SELECT id FROM procrastinate_workers")
            bury(conn)
            assert rescue(conn) == [(job.id, "queued")]
            await until(lambda: status(conn, job) == "succeeded")
            assert count(conn, "SELECT id FROM procrastinate_workers") > before
            assert count(conn, "SELECT count(*) FROM procrastinate_workers") == 1
            await until(lambda: count(conn, "SELECT refused FROM workrow.workers") == 1)
        assert (len(starts), cancelled) == (2, [1])
        assert (row(conn, job)["attempts"], row(conn, job)["crashes"], row(conn, job)["claims"]) == (1, 1, 2)


class TestHeartbeat:
    async def test_it_goes_on_during_drain(self, open_app: workrow.App, conn: Any) -> None:
        go = asyncio.Event()

        @open_app.task(name="long")
        async def long() -> None:
            await go.wait()

        job = await long.enqueue(None)
        async with Running(open_app) as worker:
            await until(lambda: status(conn, job) == "doing")
            worker.task.cancel()
            await asyncio.sleep(LEASE * 1.3)
            assert rescue(conn) == []
            go.set()
            await until(lambda: status(conn, job) == "succeeded")

    async def test_it_comes_back_after_a_lost_connection(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="noop")
        async def noop() -> None: ...

        async with Running(open_app):
            await until(lambda: count(conn, "SELECT count(*) FROM workrow.workers") == 1)
            for _ in range(3):
                conn.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()
                       AND backend_type = 'client backend'"""
                )
                await asyncio.sleep(LEASE / 2)
            assert rescue(conn) == []
            assert conn.execute("SELECT alive FROM workrow.workers").fetchall() == [(True,)]
            job = await noop.enqueue(None)
            await until(lambda: status(conn, job) == "succeeded")

    async def test_a_blocking_async_task_does_not_orphan_its_neighbours(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="block")
        async def block() -> None:
            time.sleep(LEASE * 1.5)  # noqa: ASYNC251 - the bug that this is about

        go = asyncio.Event()

        @open_app.task(name="neighbour")
        async def neighbour() -> None:
            await go.wait()

        beside = await neighbour.enqueue(None)
        found: list[Any] = []

        def look() -> None:
            time.sleep(LEASE * 1.3)
            with psycopg.connect(open_app.database_url, autocommit=True) as other:
                found.extend(rescue(other))

        async with Running(open_app, concurrency=2):
            await until(lambda: status(conn, beside) == "doing")
            watcher = threading.Thread(target=look)
            watcher.start()
            blocking = await block.enqueue(None)
            await until(lambda: not watcher.is_alive())
            go.set()
            await until(lambda: {status(conn, beside), status(conn, blocking)} == {"succeeded"})
        assert found == []
        assert row(conn, beside)["claims"] == 1


class TestRescue:
    async def test_orphans_are_back_and_a_crash_is_no_attempt(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="orphan")
        async def orphan() -> str:
            return "done"

        job = await orphan.enqueue(None)
        dead = register(conn, "worker", LEASE)
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, claims = 1", [dead])
        async with Running(open_app):
            await until(lambda: status(conn, job) == "succeeded", 15)
        found = row(conn, job)
        assert (found["attempts"], found["crashes"], found["result"]) == (1, 1, "done")
        assert found["errors"][0]["message"] == f"lost heartbeat of worker {dead}"
        assert count(conn, "SELECT count(*) FROM procrastinate_workers WHERE id = %s", dead) == 0

    def test_a_live_worker_and_a_stock_one_keep_theirs(self, conn: Any) -> None:
        conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '20 s')")
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')")
        conn.execute("SELECT procrastinate_fetch_job_v2(NULL, (SELECT max(id) FROM procrastinate_workers))")
        assert rescue(conn) == []
        conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 s'")
        assert [verdict for _, verdict in rescue(conn)] == ["queued"]

    def test_what_nobody_holds_is_rescued_in_time(self, conn: Any) -> None:
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')")
        conn.execute("SELECT procrastinate_fetch_job_v2(NULL, NULL)")
        assert rescue(conn) == []
        conn.execute("UPDATE procrastinate_jobs SET started_at = now() - interval '31 s'")
        assert [verdict for _, verdict in rescue(conn)] == ["queued"]
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = 424242")
        assert [verdict for _, verdict in rescue(conn)] == ["queued"]

    async def test_a_job_that_kills_its_workers_is_quarantined_and_released(
        self, open_app: workrow.App, conn: Any
    ) -> None:
        @open_app.task(name="killer")
        async def killer() -> str:
            return "tamed"

        job = await killer.enqueue(None)
        for crash in range(3):
            claim_by_a_dead_worker(conn, mark=True)
            assert rescue(conn) == [(job.id, "quarantined" if crash == 2 else "queued")]
        found = conn.execute("SELECT id, crashes, cause FROM workrow.quarantine").fetchone()
        assert found[:2] == (job.id, 3)
        assert found[2].startswith("crashed 3 times, the last time: lost heartbeat of worker")
        assert (status(conn, job), len(row(conn, job)["errors"])) == ("failed", 3)
        assert conn.execute("SELECT workrow.release_job_v1(%s)", [job.id]).fetchone() == (job.id,)
        await run(open_app)
        assert (row(conn, job)["result"], row(conn, job)["crashes"]) == ("tamed", 0)
        assert conn.execute("SELECT workrow.release_job_v1(%s)", [job.id]).fetchone() == (None,)

    def test_who_only_waited_beside_the_culprit_is_not_quarantined(self, conn: Any) -> None:
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')")
        for _ in range(5):
            claim_by_a_dead_worker(conn, mark=False)
            assert [verdict for _, verdict in rescue(conn)] == ["queued"]
        assert count(conn, "SELECT crashes FROM procrastinate_jobs") == 1

    async def test_a_suspects_start_is_written_down_and_the_last_chance_is_taken_alone(
        self, open_app: workrow.App, conn: Any
    ) -> None:
        together: list[int] = []
        running: set[int] = set()

        @open_app.task(name="suspect")
        async def suspect(ctx: workrow.JobContext) -> None:
            query = "SELECT count(*) FROM procrastinate_jobs WHERE id = %s AND marked = claims"
            assert count(conn, query, ctx.job.id) == 1
            running.add(ctx.job.id or 0)
            together.append(len(running))
            await asyncio.sleep(0.05)
            running.remove(ctx.job.id or 0)

        await suspect.enqueue_many(None, [{}, {}, {}])
        conn.execute("UPDATE procrastinate_jobs SET crashes = 2")
        await run(open_app, concurrency=3)
        assert together == [1, 1, 1]
        await suspect.enqueue_many(None, [{}, {}, {}])
        conn.execute("UPDATE procrastinate_jobs SET crashes = 1")
        await run(open_app, concurrency=3)
        assert max(together) > 1

    def test_a_row_that_refuses_does_not_keep_the_others(self, conn: Any) -> None:
        conn.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 'good'), ('q', 'bad'), ('q', 'good')"
        )
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = 424242")
        conn.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF OLD.task_name = 'bad' THEN RAISE 'never'; END IF; RETURN NEW; END $$"""
        )
        conn.execute("CREATE TRIGGER refuse BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse()")
        try:
            assert sorted(verdict for _, verdict in rescue(conn)) == ["queued", "queued", "refused: never"]
        finally:
            conn.execute("DROP FUNCTION refuse CASCADE")

    async def test_nobody_is_taken_for_dead_by_who_has_just_come_back(self, open_app: workrow.App, conn: Any) -> None:
        register(conn, "dead", LEASE)
        async with Running(open_app):
            await until(lambda: count(conn, "SELECT count(*) FROM workrow.workers") == 2)
            await asyncio.sleep(LEASE * 0.6)
            assert count(conn, "SELECT count(*) FROM workrow.workers") == 2
            await until(lambda: count(conn, "SELECT count(*) FROM workrow.workers") == 1)


def claim_by_a_dead_worker(conn: Any, *, mark: bool) -> None:
    conn.execute(
        """WITH dead AS (
               INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id
           )
           UPDATE procrastinate_jobs
           SET status = 'doing', worker_id = dead.id, claims = claims + 1, marked = CASE WHEN %s THEN claims + 1 END
           FROM dead""",
        [mark],
    )


class TestStop:
    async def test_unfinished_jobs_are_handed_back_at_once(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="endless")
        async def endless() -> None:
            await asyncio.sleep(3600)

        await endless.enqueue_many(None, [{} for _ in range(20)])
        async with Running(open_app, concurrency=5, shutdown_graceful_timeout=0) as worker:
            await until(lambda: count(conn, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") >= 5)
            began = time.monotonic()
            worker.task.cancel()
            await asyncio.wait([worker.task])
            assert time.monotonic() - began < 1
        left = conn.execute("SELECT status, attempts, crashes, worker_id FROM procrastinate_jobs").fetchall()
        assert left == [("todo", 0, 0, None)] * 20
        assert count(conn, "SELECT count(*) FROM procrastinate_workers") == 0

    async def test_a_thread_that_goes_on_is_handed_back_as_well(self, open_app: workrow.App, conn: Any) -> None:
        go = threading.Event()

        @open_app.task(name="stubborn")
        def stubborn() -> None:
            while not go.wait(0.01):
                pass

        job = await stubborn.enqueue(None)
        async with Running(open_app, shutdown_graceful_timeout=0) as worker:
            await until(lambda: status(conn, job) == "doing")
            worker.task.cancel()
            await asyncio.wait([worker.task])
        go.set()
        assert (status(conn, job), row(conn, job)["attempts"]) == ("todo", 0)


class TestNothingRefusedByAccident:
    async def test_a_task_that_is_not_known_here_is_left_alone(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="known")
        async def known() -> None: ...

        ids = [await open_app.configure_task("elsewhere", lock=lock).defer_async() for lock in (None, "a")]
        job = await known.options(lock="a").enqueue(None)  # behind the unknown one of the same lock: in order
        other = await known.enqueue(None)
        await run(open_app)
        assert [status(conn, each) for each in (job, other)] == ["todo", "succeeded"]
        assert conn.execute(
            "SELECT id, attempts, claims FROM procrastinate_jobs WHERE id < %s", [job.id]
        ).fetchall() == [(id_, 0, 0) for id_ in ids]
        shown = "SELECT task, queue, jobs FROM workrow.unroutable ORDER BY task"
        assert conn.execute(shown).fetchall() == [("elsewhere", "default", 2), ("known", "default", 1)]
        async with Running(open_app):
            await until(lambda: count(conn, "SELECT count(*) FROM workrow.workers") == 1)
            assert conn.execute(shown).fetchall() == [("elsewhere", "default", 2)]

    async def test_unknown_tasks_at_the_head_hold_nobody(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="known")
        async def known() -> None: ...

        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, priority)
               SELECT 'default', 'elsewhere', 5 FROM generate_series(1, 5000)"""
        )
        await known.enqueue_many(None, [{} for _ in range(100)])
        await run(open_app, concurrency=10)
        assert count(conn, "SELECT count(*) FROM workrow.history WHERE status = 'succeeded'") == 100
        assert count(conn, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'") == 5000

    async def test_a_future_job_does_not_hold_its_lock(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="locked")
        async def locked() -> None: ...

        later = await locked.options(lock="l", at=datetime.now(UTC) + timedelta(hours=1)).enqueue(None)
        now = await locked.options(lock="l").enqueue(None)
        await run(open_app)
        assert [status(conn, each) for each in (later, now)] == ["todo", "succeeded"]

    async def test_a_retry_meets_a_newer_job_with_its_queueing_lock(self, open_app: workrow.App, conn: Any) -> None:
        newer: list[Any] = []

        @open_app.task(name="sync", queueing_lock="one", retry=workrow.Retry(max_attempts=3, wait=0))
        async def sync() -> None:
            if not newer:
                newer.append(await sync.options(delay=3600).enqueue(None))
                raise RuntimeError("the first attempt fails")

        older = await sync.enqueue(None)
        await run(open_app)
        assert [status(conn, each) for each in (older, newer[0])] == ["cancelled", "todo"]
        kept = row(conn, older)["errors"][-1]
        assert kept["type"] == "workrow.Superseded"
        assert (row(conn, older)["attempts"], row(conn, older)["errors"][0]["type"]) == (1, "RuntimeError")
        assert f"job {newer[0].id} waits under the same queueing lock one" == kept["message"]

    async def test_given_back_or_rescued_it_meets_a_newer_one_too(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="sync", queueing_lock="one")
        async def sync() -> None:
            await asyncio.sleep(3600)

        older = await sync.enqueue(None)
        async with Running(open_app, shutdown_graceful_timeout=0):
            await until(lambda: status(conn, older) == "doing")
            newer = await sync.enqueue(None)
        assert [status(conn, each) for each in (older, newer)] == ["cancelled", "todo"]
        claim_by_a_dead_worker(conn, mark=False)
        newest = await sync.enqueue(None)
        assert rescue(conn) == [(newer.id, "superseded")]
        assert [status(conn, each) for each in (newer, newest)] == ["cancelled", "todo"]

    async def test_stock_codes_retry_meets_a_newer_one(self, open_app: workrow.App, conn: Any) -> None:
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) VALUES ('q', 't', 'one')")
        older = conn.execute("SELECT id FROM procrastinate_fetch_job_v2(NULL, NULL)").fetchone()[0]
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock) VALUES ('q', 't', 'one')")
        conn.execute("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", [older])
        assert conn.execute("SELECT status FROM workrow.jobs WHERE id = %s", [older]).fetchone() == ("cancelled",)

    async def test_a_payload_that_does_not_fit_any_more_is_quarantined(self, open_app: workrow.App, conn: Any) -> None:
        @open_app.task(name="strict", retry=workrow.Retry(max_attempts=5, wait=0))
        async def strict(user_id: int) -> None: ...

        @open_app.task(name="blames_itself", retry=RetryStrategy(max_attempts=1))
        async def blames_itself() -> None:
            raise TypeError("a bug of its own")

        own = await blames_itself.enqueue(None)
        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, args)
               VALUES ('default', 'strict', '{"usr": 1}'), ('default', 'strict', '[1]')"""
        )
        await run(open_app)
        causes = [cause for (cause,) in conn.execute("SELECT cause FROM workrow.quarantine ORDER BY id").fetchall()]
        assert causes == [
            "its arguments do not fit strict(user_id: int) -> None: missing a required argument: 'user_id'",
            "its arguments cannot be read: they are a JSON list, not an object",
        ]
        assert (status(conn, own), row(conn, own)["attempts"], row(conn, own)["quarantine"]) == ("failed", 2, None)

    async def test_a_row_that_cannot_be_claimed_holds_nobody(
        self, open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        @open_app.task(name="fine")
        async def fine(n: int) -> None: ...

        jobs = await fine.enqueue_many(None, [{"n": n} for n in range(50)])
        conn.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF OLD.args = '{"n": 7}' THEN RAISE 'damaged'; END IF; RETURN NEW; END $$"""
        )
        conn.execute("CREATE TRIGGER refuse BEFORE UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION refuse()")
        try:
            async with Running(open_app, concurrency=10):
                await until(lambda: count(conn, "SELECT count(*) FROM workrow.history") == 49)
        finally:
            conn.execute("DROP FUNCTION refuse CASCADE")
        assert status(conn, jobs[7]) == "todo"
        assert f"job {jobs[7].id} cannot be claimed and is left in the queue: damaged" in caplog.text

    async def test_a_row_that_somebody_holds_does_not_keep_the_other_finishes(
        self, open_app: workrow.App, conn: Any, aconn: Any
    ) -> None:
        held = asyncio.Event()

        @open_app.task(name="fine")
        async def fine(n: int) -> None:
            await held.wait()

        jobs = await fine.enqueue_many(None, [{"n": n} for n in range(4)])
        async with Running(open_app, concurrency=4):
            await until(lambda: all(status(conn, job) == "doing" for job in jobs))
            await aconn.execute("SELECT 1 FROM procrastinate_jobs WHERE id = %s FOR UPDATE", [jobs[1].id])
            held.set()
            await until(lambda: count(conn, "SELECT count(*) FROM workrow.history") == 3, 15)
            assert status(conn, jobs[1]) == "doing"
            await aconn.rollback()
            await until(lambda: status(conn, jobs[1]) == "succeeded", 15)


async def test_sync_concurrency_is_real(open_app: workrow.App) -> None:
    together = threading.Barrier(10, timeout=10)

    @open_app.task(name="sync")
    def sync() -> None:
        together.wait()

    jobs = await sync.enqueue_many(None, [{} for _ in range(10)])
    await run(open_app, concurrency=10)
    assert len(jobs) == 10
    assert not together.broken
