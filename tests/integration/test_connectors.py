"""Whatever connector of procrastinate's an app was given: its reads see history, its worker is ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import procrastinate
import psycopg
import psycopg_pool
import pytest
from procrastinate.connector import BaseAsyncConnector, BaseConnector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.shell import ProcrastinateShell
from procrastinate.testing import InMemoryConnector
from procrastinate.utils import sync_to_async
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row, tuple_row

import workrow
from workrow.worker import Worker

AWKWARD: dict[str, Any] = {"row_factory": dict_row, "cursor_factory": psycopg.AsyncClientCursor}
"""What the pool of somebody who also uses it otherwise may have."""


class Subclass(procrastinate.PsycopgConnector):
    """One with something of its own."""


class OtherDriver(BaseAsyncConnector):
    """An async connector of another driver than psycopg 3, made as aiopg's is."""

    def __init__(self, **pool_args: Any) -> None:
        self._pool_args = {"maxsize": 5, **pool_args}
        self._sync = SQLAlchemyPsycopg2Connector(dsn="postgresql+psycopg2://", connect_args=pool_args)

    def get_sync_connector(self) -> BaseConnector:
        return self._sync

    async def open_async(self, pool: Any = None) -> None:
        self._sync.open()

    async def close_async(self) -> None:
        self._sync.close()

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        await asyncio.to_thread(self._sync.execute_query, query, **arguments)

    async def execute_query_one_async(self, query: Any, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._sync.execute_query_one, query, **arguments)

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._sync.execute_query_all, query, **arguments)


ASYNC: dict[str, Callable[[str], BaseConnector]] = {
    "psycopg": lambda url: procrastinate.PsycopgConnector(conninfo=url),
    "parameters": lambda url: Subclass(kwargs={**conninfo_to_dict(url), **AWKWARD}),
    "pool": lambda _: procrastinate.PsycopgConnector(),
    "other driver": lambda url: OtherDriver(**conninfo_to_dict(url)),
}
SYNC: dict[str, Callable[[str], BaseConnector]] = {
    "psycopg": lambda url: procrastinate.SyncPsycopgConnector(conninfo=url),
    "sqlalchemy": lambda url: SQLAlchemyPsycopg2Connector(dsn=url.replace("postgresql:", "postgresql+psycopg2:")),
}


@pytest.fixture(params=list(ASYNC))
async def given(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[workrow.App]:
    """An app with such a connector, opened."""
    app = workrow.App(connector=ASYNC[request.param](database_url))
    if request.param != "pool":
        async with app.open_async():
            yield app
        return
    async with (
        psycopg_pool.AsyncConnectionPool(database_url, kwargs=AWKWARD, min_size=1, open=False) as pool,
        app.open_async(pool),
    ):
        yield app


async def drain(app: workrow.App) -> None:
    await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


async def test_reads_see_what_has_ended(given: workrow.App) -> None:
    @given.task(name="work")
    async def work(n: int) -> int:
        if n == 2:
            raise ValueError(n)
        return n

    done = await work.enqueue(None, 1)
    failed = await work.options(unique=("n",)).enqueue(None, 2)
    stock = await work.defer_async(n=3)
    cancelled = await work.enqueue(None, 4)
    assert await given.job_manager.cancel_job_by_id_async(cancelled.id)
    assert isinstance(given._worker(), Worker)
    await drain(given)

    manager = given.job_manager
    ends = {done.id: "succeeded", failed.id: "failed", stock: "succeeded", cancelled.id: "cancelled"}
    for job_id, end in ends.items():
        assert await manager.get_job_status_async(job_id) == Status(end)
    assert {job.id: job.status for job in await manager.list_jobs_async()} == ends
    for listed in (manager.list_queues_async(), manager.list_tasks_async()):
        (row,) = await listed
        assert (row["succeeded"], row["failed"], row["cancelled"]) == (2, 1, 1)
    assert await done.result(timeout=10) == 1
    assert await failed.status() == "failed"

    await manager.delete_old_jobs(nb_hours=-1, include_failed=True, include_cancelled=True)
    assert list(await manager.list_jobs_async()) == []


@pytest.mark.parametrize("listens", [True, False])
async def test_abort_reaches_the_worker(given: workrow.App, listens: bool) -> None:
    began = asyncio.Event()

    @given.task(name="long")
    async def long() -> None:
        began.set()
        await asyncio.Event().wait()

    job = await long.enqueue(None)
    options: Any = {"install_signal_handlers": False, "listen_notify": listens, "abort_job_polling_interval": 0.05}
    worker = asyncio.create_task(given.run_worker_async(wait=False, **options))
    await began.wait()
    assert await given.job_manager.cancel_job_by_id_async(job.id, abort=True)
    await asyncio.wait_for(worker, 30)
    assert await given.job_manager.get_job_status_async(job.id) == Status.ABORTED


async def test_what_needs_connections_of_psycopg(given: workrow.App) -> None:
    @given.task(name="write", transactional=True)
    async def write(connection: psycopg.AsyncConnection[Any]) -> str:
        cursor = psycopg.AsyncCursor(connection, row_factory=tuple_row)
        await cursor.execute("SELECT 'here'")
        return str((await cursor.fetchall())[0][0])

    given.queue("narrow", max_depth=5)
    await given.schedules.create_async("hourly", write, every=timedelta(hours=1))
    assert [each.name for each in await given.schedules.list_async()] == ["hourly"]
    job = await write.enqueue(None)
    await drain(given)
    assert await job.result(timeout=10) == "here"
    assert await given.check_connection_async()


@pytest.mark.parametrize("kind", list(SYNC))
def test_a_sync_connector(kind: str, database_url: str) -> None:
    app = workrow.App(connector=SYNC[kind](database_url))

    @app.task(name="work")
    def work(n: int) -> int:
        return n

    app.open()
    try:
        jobs = [work.delay(1), work.options(unique=("n",)).delay(2)]
        assert not app.schedules.list()
        # procrastinate's way from a sync app to the one of the worker
        worker_app = app.with_connector(procrastinate.PsycopgConnector(conninfo=database_url))
        worker_app.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)
        assert [app.job_manager.get_job_status(job.id) for job in jobs] == [Status.SUCCEEDED] * 2
        assert [job.status for job in app.job_manager.list_jobs()] == ["succeeded"] * 2
        assert [job.result_sync(timeout=10) for job in jobs] == [1, 2]
    finally:
        app.close()


async def test_another_connector_keeps_the_app_and_its_options(database_url: str) -> None:
    class Own(workrow.App):
        pass

    app = Own(connector=InMemoryConnector(), max_crashes=5, lease=7)
    app.task(name="work")(lambda: None)
    connector = procrastinate.PsycopgConnector(conninfo=database_url)
    other = app.with_connector(connector)
    assert type(other) is Own
    assert (other.connector, other.max_crashes, other.tasks) == (connector, 5, app.tasks)
    assert isinstance(app.connector, InMemoryConnector)
    assert other.results is not app.results
    async with other.open_async():
        worker = other._worker()
        assert isinstance(worker, Worker)
        assert worker.stalled_worker_timeout == 7
    with app.replace_connector(procrastinate.PsycopgConnector(conninfo=database_url)) as same:
        assert same is app
        async with app.open_async():
            assert isinstance(app._worker(), Worker)
            job_id = await app.configure_task("work").defer_async()
            await drain(app)
            assert await app.job_manager.get_job_status_async(job_id) == Status.SUCCEEDED
    assert type(app.job_manager.connector) is InMemoryConnector


def test_builtin_tasks_have_one_name_however_many_apps_there_are() -> None:
    def names(app: procrastinate.App) -> list[str]:
        return [name for name in app.tasks if "remove_old_jobs" in name]

    path = "procrastinate.builtin_tasks.remove_old_jobs"
    apps = [workrow.App("postgresql:///none") for _ in range(3)]
    procrastinate.App(connector=InMemoryConnector())  # renames procrastinate's own
    apps.append(workrow.App("postgresql:///none"))
    for app in apps:
        assert names(app) == [f"builtin:{path}", path]
        assert app.tasks[path] is app.tasks[f"builtin:{path}"]
        assert app.tasks[path].name == f"builtin:{path}"
        assert app.tasks[path].blueprint is app


async def test_the_builtin_task_clears_the_history(open_app: workrow.App, conn: psycopg.Connection) -> None:
    gone = await open_app.task(name="work")(lambda: None).enqueue(None)
    await drain(open_app)
    conn.execute("UPDATE workrow.history SET finished_at = finished_at - interval '2 hours'")
    clear = open_app.tasks["procrastinate.builtin_tasks.remove_old_jobs"]
    await clear.defer_async(max_hours=1)
    await drain(open_app)
    rows = conn.execute("SELECT id, task_name, status FROM workrow.all_jobs").fetchall()
    assert [(name, status) for _, name, status in rows] == [(clear.name, "succeeded")]
    assert gone.id not in [row[0] for row in rows]


@pytest.mark.parametrize("listens", [True, False])
async def test_abort_in_memory(listens: bool) -> None:
    app = workrow.App(connector=InMemoryConnector())
    began = asyncio.Event()

    @app.task(name="long")
    async def long() -> None:
        began.set()
        await asyncio.Event().wait()

    async with app.open_async():
        job = await long.enqueue(None)
        options: Any = {"install_signal_handlers": False, "listen_notify": listens, "abort_job_polling_interval": 0.05}
        worker = asyncio.create_task(app.run_worker_async(wait=False, **options))
        await began.wait()
        for asked in (job.cancel, job.status, lambda: app.cancel_async(job.id)):
            with pytest.raises(workrow.ConfigurationError, match="in memory .*ask app.job_manager"):
                await asked()
        assert await app.job_manager.cancel_job_by_id_async(job.id, abort=True)
        await asyncio.wait_for(worker, 30)
        assert await app.job_manager.get_job_status_async(job.id) == Status.ABORTED


async def test_a_plain_job_manager_and_the_way_out(database_url: str, open_app: workrow.App) -> None:
    job = await open_app.task(name="work")(lambda: None).enqueue(None)
    waiting = await open_app.task(name="later")(lambda: None).options(queue="other").enqueue(None)
    await open_app.run_worker_async(queues=["default"], wait=False, install_signal_handlers=False)
    connector = procrastinate.PsycopgConnector(conninfo=database_url)

    async def seen(manager: JobManager) -> set[int | None]:
        return {each.id for each in await manager.list_jobs_async()}

    async with workrow.App(connector=connector).open_async():
        assert await seen(JobManager(connector)) == {waiting.id}
        assert await seen(workrow.App(connector=connector).job_manager) == {job.id, waiting.id}
    assert await seen(JobManager(open_app.connector)) == {job.id, waiting.id}


async def test_the_shell_of_procrastinate(open_app: workrow.App, capsys: pytest.CaptureFixture[str]) -> None:
    @open_app.task(name="work")
    async def work(n: int) -> None:
        if n == 1:
            raise ValueError(n)

    jobs = [await work.enqueue(None, n) for n in range(2)]
    await drain(open_app)
    jobs.append(await work.enqueue(None, 2))
    shell = ProcrastinateShell(open_app.job_manager)
    capsys.readouterr()
    counts = ("todo: 1", "succeeded: 1", "failed: 1")
    for line, words in {
        "list_jobs": ("[succeeded]", "[failed]", "[todo]"),
        "list_jobs status=failed details": ("[failed] (attempts=1,",),
        "list_queues": counts,
        "list_tasks": counts,
        "list_locks": (),
        f"cancel {jobs[2].id}": ("[cancelled]",),
        f"retry {jobs[1].id}": ("[todo]",),
    }.items():
        await sync_to_async(shell.onecmd, line)
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert not [word for word in words if word not in told.out]
    assert [await job.status() for job in jobs] == ["succeeded", "todo", "cancelled"]
