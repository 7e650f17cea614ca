"""Stock procrastinate and ours on the same tables at the same time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import procrastinate
import psycopg
import pytest

import workrow
from tests.integration.stock import connector
from tests.integration.test_heart import until
from workrow import sql

JOBS = 600


def declare(app: procrastinate.App, ran: list[tuple[str, int]], who: str) -> None:
    @app.task(name="plain", queue="mixed")
    async def plain(n: int) -> None:
        ran.append((who, n))
        await asyncio.sleep(0)

    @app.task(name="fails", queue="mixed")
    async def fails(n: int) -> None:
        ran.append((who, n))
        raise ValueError(n)

    @app.task(name="retries", queue="mixed", retry=procrastinate.RetryStrategy(max_attempts=1, wait=0))
    async def retries(n: int) -> None:
        ran.append((who, n))
        raise OSError(n)


@pytest.fixture
async def stock(database_url: str) -> AsyncIterator[procrastinate.App]:
    app = procrastinate.App(connector=connector(database_url))
    async with app.open_async():
        yield app


async def test_two_stock_and_two_of_ours_drain_one_queue_every_job_once(database_url: str, conn: Any) -> None:
    ran: list[tuple[str, int]] = []
    async with AsyncExitStack() as stack:
        apps: list[procrastinate.App] = []
        for number in range(4):
            app = procrastinate.App(connector=connector(database_url)) if number < 2 else workrow.App(database_url)
            declare(app, ran, f"{'stock' if number < 2 else 'ours'}-{number}")
            apps.append(await stack.enter_async_context(app.open_async()))
        client = apps[0]
        await client.tasks["plain"].batch_defer_async(*({"n": n} for n in range(JOBS)))
        await client.tasks["fails"].batch_defer_async(*({"n": n} for n in range(JOBS, JOBS + 20)))
        locked = apps[2].configure_task("plain", lock="one")
        await locked.batch_defer_async(*({"n": n} for n in range(JOBS + 20, JOBS + 60)))
        urgent = await apps[3].configure_task("plain", queue="mixed", priority=5).defer_async(n=-1)
        await asyncio.gather(
            *(
                app.run_worker_async(
                    wait=False, install_signal_handlers=False, concurrency=2, name=f"w{number}", queues=["mixed"]
                )
                for number, app in enumerate(apps)
            )
        )
        # who found nothing for a moment went home: what a lock held back then is left
        await apps[2].run_worker_async(wait=False, install_signal_handlers=False)

    times = Counter(n for _, n in ran)
    assert set(times) == set(range(-1, JOBS + 60))
    assert set(times.values()) == {1}
    assert {who.partition("-")[0] for who, _ in ran} == {"stock", "ours"}
    counted = dict(conn.execute("SELECT status, count(*) FROM workrow.jobs GROUP BY status").fetchall())
    assert counted == {"succeeded": JOBS + 41, "failed": 20}
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    assert conn.execute("SELECT status FROM workrow.jobs WHERE id = %s", [urgent]).fetchone() == ("succeeded",)
    in_order = [
        n
        for n, _ in conn.execute(
            "SELECT CAST(args->>'n' AS int), started_at FROM workrow.jobs WHERE lock = 'one' ORDER BY started_at"
        )
    ]
    assert in_order == sorted(in_order)


async def test_a_stock_worker_retries_aborts_and_respects_schedules(stock: procrastinate.App, conn: Any) -> None:
    ran: list[tuple[str, int]] = []
    declare(stock, ran, "stock")
    retried = await stock.tasks["retries"].defer_async(n=1)
    later = await stock.tasks["plain"].configure(schedule_in={"hours": 1}, lock="l").defer_async(n=2)
    behind = await stock.tasks["plain"].configure(lock="l").defer_async(n=3)
    due = await stock.tasks["plain"].configure(schedule_in={"seconds": -5}).defer_async(n=4)
    cancelled = await stock.tasks["plain"].defer_async(n=5)
    assert await stock.job_manager.cancel_job_by_id_async(cancelled)
    await stock.run_worker_async(wait=False, install_signal_handlers=False)
    statuses = dict(conn.execute("SELECT id, status FROM workrow.jobs").fetchall())
    assert statuses == {
        retried: "failed",
        later: "todo",
        behind: "succeeded",
        due: "succeeded",
        cancelled: "cancelled",
    }
    assert sorted(n for _, n in ran) == [1, 1, 3, 4]


async def test_ours_keeps_the_order_of_a_lock_and_one_at_a_time(open_app: workrow.App, conn: Any) -> None:
    holders: Counter[str] = Counter()
    order: dict[str, list[int]] = {"a": [], "b": [], "": []}

    @open_app.task(name="locked")
    async def locked(key: str, n: int) -> None:
        holders[key] += 1
        assert holders[key] == 1
        order[key].append(n)
        await asyncio.sleep(0.001)
        holders[key] -= 1

    for n in range(60):
        for key in ("a", "b"):
            await locked.options(lock=key).enqueue(None, key, n)
    # procrastinate takes an empty lock for a lock
    await open_app.configure_task("locked", lock="").defer_async(key="", n=0)
    await locked.options(lock="a", delay=3600).enqueue(None, "a", 99)
    await open_app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=20)
    assert order == {"a": list(range(60)), "b": list(range(60)), "": [0]}
    assert conn.execute("SELECT count(*) FROM workrow.jobs WHERE status = 'todo'").fetchone() == (1,)


class TestHistoryThroughProcrastinate:
    """procrastinate's job manager, on our app, for jobs that are in history."""

    @pytest.fixture
    async def ids(self, open_app: workrow.App) -> dict[str, int]:
        declare(open_app, [], "ours")
        ids = {
            "ok": await open_app.tasks["plain"].defer_async(n=1),
            "bad": await open_app.tasks["fails"].defer_async(n=2),
        }
        await open_app.run_worker_async(wait=False, install_signal_handlers=False)
        return ids

    async def test_status_and_lists(self, open_app: workrow.App, ids: dict[str, int]) -> None:
        manager = open_app.job_manager
        assert (await manager.get_job_status_async(ids["ok"])).value == "succeeded"
        assert manager.get_job_status(ids["bad"]).value == "failed"
        assert [job.id for job in await manager.list_jobs_async(queue="mixed")] == list(ids.values())
        assert [job.id for job in manager.list_jobs(status="failed")] == [ids["bad"]]
        (queue,) = await manager.list_queues_async()
        assert (queue["name"], queue["jobs_count"], queue["failed"]) == ("mixed", 2, 1)
        assert [task["name"] for task in manager.list_tasks()] == ["fails", "plain"]
        async with await psycopg.AsyncConnection.connect(open_app.database_url) as connection:
            status = await manager.get_job_status_async(ids["ok"], connection=connection)
        assert status.value == "succeeded"

    async def test_a_failed_job_is_retried_under_its_own_id(
        self, open_app: workrow.App, ids: dict[str, int], conn: Any
    ) -> None:
        (job,) = await open_app.job_manager.list_jobs_async(id=ids["bad"])
        await open_app.job_manager.retry_job(job)
        assert (await open_app.job_manager.get_job_status_async(ids["bad"])).value == "todo"
        await open_app.run_worker_async(wait=False, install_signal_handlers=False)
        row = conn.execute("SELECT status, jsonb_array_length(errors) FROM workrow.jobs WHERE id = %s", [ids["bad"]])
        assert row.fetchall() == [("failed", 2)]
        with pytest.raises(procrastinate.exceptions.ConnectorException):
            await open_app.job_manager.retry_job_by_id_async(ids["ok"], retry_at=procrastinate.utils.utcnow())

    async def test_old_jobs_are_deleted(self, open_app: workrow.App, ids: dict[str, int], conn: Any) -> None:
        await open_app.job_manager.delete_old_jobs(nb_hours=1)
        assert conn.execute("SELECT count(*) FROM workrow.jobs").fetchone() == (2,)
        conn.execute("UPDATE workrow.history SET finished_at = finished_at - interval '2 hours'")
        await open_app.job_manager.delete_old_jobs(nb_hours=1)
        assert conn.execute("SELECT id FROM workrow.jobs").fetchall() == [(ids["bad"],)]
        await open_app.job_manager.delete_old_jobs(nb_hours=1, include_failed=True)
        assert conn.execute("SELECT count(*) FROM workrow.jobs").fetchone() == (0,)


async def test_what_stock_code_finished_by_hand_is_swept(open_app: workrow.App, conn: Any) -> None:
    declare(open_app, [], "ours")
    await open_app.tasks["plain"].configure(schedule_in={"hours": 1}).defer_async(n=1)
    conn.execute("UPDATE procrastinate_jobs SET status = 'succeeded'")
    worker = asyncio.create_task(open_app.run_worker_async(install_signal_handlers=False))
    async with asyncio.timeout(10):
        while conn.execute("SELECT count(*) FROM workrow.history").fetchone() != (1,):
            await asyncio.sleep(0.01)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


class TestOneLockForBothKinds:
    """Our claim asks for no advisory lock: who comes second meets it in the unique index."""

    @pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
    async def test_a_stock_fetch_that_meets_our_claim_takes_the_next_job(
        self, database_url: str, conn: psycopg.Connection[Any], isolation: str
    ) -> None:
        def put(lock: str, priority: int) -> int:
            found = conn.execute(
                """INSERT INTO procrastinate_jobs (queue_name, task_name, lock, priority, args)
                   VALUES ('default', 'noop', %s, %s, '{}') RETURNING id""",
                [lock, priority],
            ).fetchone()
            assert found
            return int(found[0])

        with psycopg.connect(database_url) as ours, psycopg.connect(database_url) as stock:
            stock.execute(f"SET default_transaction_isolation = '{isolation}'")  # type: ignore[arg-type]
            stock.commit()
            first = put("L", 0)
            ours.execute(
                sql.load("claim_locked_jobs"),
                {"after": "", "keys": 9, "limit": 9, "queues": None, "paused": []}
                | {"worker_id": None, "tasks": ["noop"], "signatures": []},
            )
            put("L", 5)
            other = put("M", 0)
            fetch = asyncio.create_task(
                asyncio.to_thread(
                    lambda: stock.execute("SELECT id FROM procrastinate_fetch_job_v2(NULL, NULL)").fetchone()
                )
            )
            waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            await until(lambda: conn.execute(waits, [stock.info.backend_pid]).fetchone() is not None)
            ours.commit()
            # who sees no more than before finds nothing for now
            assert await fetch == ((other,) if isolation == "READ COMMITTED" else (None,))
            stock.commit()
            assert conn.execute(
                "SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND lock = 'L'"
            ).fetchall() == [(first,)]

    async def test_under_load_none_ends_and_none_overlaps(self, database_url: str, conn: Any) -> None:
        holders: Counter[str] = Counter()
        ran: list[int] = []

        def declared(app: procrastinate.App) -> procrastinate.App:
            @app.task(name="locked")
            async def locked(key: str, n: int) -> None:
                holders[key] += 1
                assert holders[key] == 1
                ran.append(n)
                await asyncio.sleep(0)
                holders[key] -= 1

            return app

        async with AsyncExitStack() as stack:
            apps = [
                declared(
                    workrow.App(database_url) if number % 2 else procrastinate.App(connector=connector(database_url))
                )
                for number in range(4)
            ]
            for app in apps:
                await stack.enter_async_context(app.open_async())
            workers = [
                asyncio.create_task(
                    app.run_worker_async(install_signal_handlers=False, concurrency=3, fetch_job_polling_interval=0.05)
                )
                for app in apps
            ]
            for n in range(300):
                deferrer = apps[n % 4].configure_task("locked", lock=f"lock {n % 3}", priority=n % 7)
                await deferrer.defer_async(key=str(n % 3), n=n)
            await until(lambda: len(ran) == 300 or any(worker.done() for worker in workers), 60)
            assert not any(worker.done() for worker in workers)
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        assert sorted(ran) == list(range(300))
        assert conn.execute("SELECT count(*) FROM workrow.jobs WHERE status = 'succeeded'").fetchone() == (300,)
