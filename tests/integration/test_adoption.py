"""A database that already has procrastinate: adopted with its jobs, stock workers go on, a downgrade gives it back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import procrastinate
import psycopg
import pytest
import sqlalchemy as sa
from procrastinate.schema import SchemaManager
from psycopg.rows import namedtuple_row
from sqlalchemy.ext.asyncio import create_async_engine

import workrow
from tests.catalog import objects
from tests.conftest import READABLE
from tests.integration.stock import connector
from workrow import schema
from workrow.errors import UpstreamMismatch

TABLES = ("procrastinate_jobs", "procrastinate_events", "procrastinate_workers", "procrastinate_periodic_defers")


@pytest.fixture
async def stock(empty_database_url: str, all_of_unicode: None) -> AsyncIterator[procrastinate.App]:
    """A stock procrastinate app on a stock schema."""
    app = procrastinate.App(connector=connector(empty_database_url))

    @app.task(name="add")
    async def add(a: int, b: int) -> int:
        return a + b

    @app.task(name="fail")
    async def fail() -> None:
        raise RuntimeError("as asked")

    @app.task(name="retry_once", retry=procrastinate.RetryStrategy(max_attempts=1))
    async def retry_once() -> None:
        raise RuntimeError("again")

    @app.task(name="block")
    async def block() -> None:
        await asyncio.Event().wait()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        yield app


async def defer(app: procrastinate.App, task: str, **args: object) -> int:
    return await app.configure_task(task).defer_async(**args)  # type: ignore[arg-type]


async def work(app: procrastinate.App) -> None:
    """Run what is ready, then stop."""
    await app.run_worker_async(wait=False, install_signal_handlers=False)


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(url, options=READABLE) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # type: ignore[arg-type]
            for table in TABLES
        }


def job(url: str, id: int):  # type: ignore[no-untyped-def]
    with psycopg.connect(url, options=READABLE, row_factory=namedtuple_row) as connection:
        return connection.execute("SELECT * FROM workrow.jobs WHERE id = %s", [id]).fetchone()


async def a_lived_in_database(app: procrastinate.App) -> dict[str, int]:
    """Jobs in every state, by what happened to them."""
    ids = {"succeeded": await defer(app, "add", a=1, b=2), "failed": await defer(app, "fail")}
    await work(app)
    ids["cancelled"] = await defer(app, "add", a=0, b=0)
    await app.job_manager.cancel_job_by_id_async(ids["cancelled"])
    ids["doing"] = await defer(app, "block")
    worker = await app.connector.execute_query_one_async("SELECT worker_id FROM procrastinate_register_worker_v1()")
    await app.connector.execute_query_one_async(
        "SELECT id FROM procrastinate_fetch_job_v2(NULL, %(worker)s)", worker=worker["worker_id"]
    )
    ids["todo"] = await defer(app, "add", a=3, b=4)
    ids["scheduled"] = await app.configure_task("add", schedule_in={"hours": 1}).defer_async(a=5, b=6)
    return ids


async def test_downgrade_gives_an_adopted_database_back_as_it_was(
    stock: procrastinate.App, empty_database_url: str
) -> None:
    await a_lived_in_database(stock)
    before, jobs = objects(empty_database_url), rows(empty_database_url)
    schema.upgrade(empty_database_url)
    assert schema.status(empty_database_url).adopted
    schema.downgrade(empty_database_url)
    assert objects(empty_database_url) == before
    assert rows(empty_database_url) == jobs
    schema.upgrade(empty_database_url)
    assert schema.check(empty_database_url).adopted


async def test_an_adopted_database_ends_with_the_same_schema_as_a_new_one(
    stock: procrastinate.App, empty_database_url: str
) -> None:
    schema.upgrade(empty_database_url)
    adopted = objects(empty_database_url)
    schema.downgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    schema.upgrade(empty_database_url)
    assert objects(empty_database_url) == adopted


async def test_adopted_jobs_get_their_times_from_the_events(stock: procrastinate.App, empty_database_url: str) -> None:
    ids = await a_lived_in_database(stock)
    before = rows(empty_database_url)
    migrated_at = datetime.now(UTC)
    schema.upgrade(empty_database_url)

    found = {state: job(empty_database_url, id) for state, id in ids.items()}
    assert {state: each.status for state, each in found.items()} == {
        state: "todo" if state == "scheduled" else state for state in ids
    }
    assert all(migrated_at - timedelta(minutes=2) < each.created_at < migrated_at for each in found.values())
    for state in ("succeeded", "failed"):
        assert found[state].created_at <= found[state].started_at <= found[state].finished_at < migrated_at
    assert found["cancelled"].started_at is None
    assert found["cancelled"].finished_at < migrated_at
    assert found["doing"].started_at < migrated_at
    assert found["doing"].finished_at is found["todo"].started_at is found["scheduled"].started_at is None
    assert rows(empty_database_url)["procrastinate_events"] == before["procrastinate_events"]


async def test_a_job_whose_events_are_gone_keeps_unknown_times(
    stock: procrastinate.App, empty_database_url: str
) -> None:
    id = await defer(stock, "add", a=1, b=2)
    await stock.connector.execute_query_async("DELETE FROM procrastinate_events")
    schema.upgrade(empty_database_url)
    assert job(empty_database_url, id).created_at is None


async def test_a_stock_app_goes_on_working(stock: procrastinate.App, empty_database_url: str) -> None:
    waiting = await defer(stock, "add", a=3, b=4)
    schema.upgrade(empty_database_url)
    ids = {
        "add": waiting,
        "fail": await defer(stock, "fail"),
        "retry_once": await defer(stock, "retry_once"),
        "cancelled": await stock.configure_task("add", schedule_in={"hours": 1}).defer_async(a=0, b=0),
    }
    await stock.job_manager.cancel_job_by_id_async(ids["cancelled"])
    await work(stock)

    found = {name: job(empty_database_url, id) for name, id in ids.items()}
    assert {name: each.status for name, each in found.items()} == {
        "add": "succeeded",
        "fail": "failed",
        "retry_once": "failed",
        "cancelled": "cancelled",
    }
    assert found["retry_once"].attempts == 2
    for name in ("add", "fail", "retry_once"):
        assert found[name].created_at <= found[name].started_at <= found[name].finished_at
        assert (found[name].result, found[name].error, found[name].worker) == (None, None, None)
    assert found["cancelled"].finished_at is not None
    async with workrow.App(empty_database_url).open_async() as ours:
        assert [each.id for each in await ours.job_manager.list_jobs_async(status="succeeded")] == [ids["add"]]

    await stock.job_manager.retry_job_by_id_async(ids["fail"], retry_at=datetime.now(UTC))
    assert (job(empty_database_url, ids["fail"]).status, job(empty_database_url, ids["fail"]).finished_at) == (
        "todo",
        None,
    )


async def test_a_running_stock_worker_survives_upgrade_and_downgrade(
    stock: procrastinate.App, empty_database_url: str
) -> None:
    worker = asyncio.create_task(stock.run_worker_async(install_signal_handlers=False))

    async def runs() -> None:
        id = await defer(stock, "add", a=1, b=2)
        async with asyncio.timeout(20):
            while True:
                with psycopg.connect(empty_database_url) as connection:
                    has_history = connection.execute("SELECT to_regclass('workrow.jobs') IS NOT NULL").fetchone()
                    table = "workrow.jobs" if has_history == (True,) else "procrastinate_jobs"
                    status = connection.execute(f"SELECT status FROM {table} WHERE id = {id}").fetchone()
                if status == ("succeeded",):
                    return
                await asyncio.sleep(0)

    try:
        await runs()
        await asyncio.to_thread(schema.upgrade, empty_database_url)
        await runs()
        await asyncio.to_thread(schema.downgrade, empty_database_url)
        await runs()
    finally:
        worker.cancel()
        await asyncio.wait([worker])


async def test_a_database_grown_by_procrastinates_migrations_is_adopted(empty_database_url: str) -> None:
    apply_migrations(empty_database_url, until="99")
    before = objects(empty_database_url)
    schema.upgrade(empty_database_url)
    app = procrastinate.App(connector=connector(empty_database_url))
    async with app.open_async():
        id = await app.configure_task("unknown").defer_async()
        await work(app)
    assert job(empty_database_url, id).status == "failed"
    schema.downgrade(empty_database_url)
    assert objects(empty_database_url) == before


def test_an_older_procrastinate_is_refused_with_the_fix(empty_database_url: str) -> None:
    apply_migrations(empty_database_url, until="03.03")
    before = objects(empty_database_url)
    engine = sa.create_engine(empty_database_url.replace("://", "+psycopg2://", 1), poolclass=sa.NullPool)
    message = r"^this database has an older procrastinate schema, without procrastinate_retry_job_v2: .* up to 3\.10\.0"
    with pytest.raises(UpstreamMismatch, match=message):
        schema.upgrade(empty_database_url)
    with engine.connect() as connection, pytest.raises(UpstreamMismatch, match=message):
        schema.upgrade(connection)
    assert objects(empty_database_url) == before


async def test_an_older_procrastinate_is_refused_by_asyncpg_too(empty_database_url: str) -> None:
    apply_migrations(empty_database_url, until="03.03")
    engine = create_async_engine(empty_database_url.replace("://", "+asyncpg://", 1), poolclass=sa.NullPool)
    async with engine.connect() as connection:
        with pytest.raises(UpstreamMismatch, match="^this database has an older procrastinate schema, without"):
            await connection.run_sync(schema.upgrade)


def apply_migrations(url: str, until: str) -> None:
    """procrastinate's own migrations, from its first to the last one below ``until``."""
    with psycopg.connect(url, autocommit=True) as connection:
        for file in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
            if file.name < until:
                connection.execute(file.read_bytes())
