"""procrastinate's shell on an app of ours: what docs/drop-in.md says of it."""

import asyncio
from typing import Any

import procrastinate
import pytest
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.shell import ProcrastinateShell

import workrow
from tests.integration.stock import connector


async def test_procrastinates_shell_sees_history_and_brings_a_failed_job_back(
    open_app: workrow.App, conn: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    @open_app.task(name="works")
    async def works() -> None: ...

    @open_app.task(name="fails")
    async def fails() -> None:
        raise ValueError

    await works.enqueue(None)
    failed = await fails.enqueue(None)
    await open_app.run_worker_async(wait=False, install_signal_handlers=False)
    waits = await works.options(delay=3600).enqueue(None)
    loop = asyncio.get_running_loop()

    class Shell(ProcrastinateShell):
        def async_to_sync(self, coro: Any, **kwargs: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coro(**kwargs), loop).result()

    async def told(line: str) -> str:
        capsys.readouterr()
        await asyncio.to_thread(Shell(open_app.job_manager).onecmd, line)
        return capsys.readouterr().out

    listed = await told("list_jobs details")
    assert "works on default - [succeeded]" in listed
    assert f"#{failed.id} fails on default - [failed]" in listed
    assert "works on default - [todo]" in listed
    assert "failed: 1" in await told("list_tasks task=fails")
    await told(f"cancel {waits.id}")
    assert await waits.status() == "cancelled"
    await told(f"retry {failed.id}")
    assert await failed.status() == "todo"


@pytest.mark.parametrize("stock", [False, True])
async def test_jobs_that_run_for_long_are_found_by_their_start(
    stock: bool, open_app: workrow.App, database_url: str, conn: Any
) -> None:
    given = connector(database_url)
    app = workrow.App(connector=given) if stock else open_app
    work = app.task(name="work", queue="busy")(lambda: None)

    async def stalled(manager: JobManager, **filters: Any) -> list[Job]:
        with pytest.warns(DeprecationWarning, match="nb_seconds"):
            return list(await manager.get_stalled_jobs(**filters))

    async with app.open_async():
        await work.defer_async()
        await work.defer_async()
        manager = app.job_manager
        job = await manager.fetch_job(queues=None, worker_id=await manager.register_worker())
        assert job
        conn.execute("UPDATE procrastinate_jobs SET started_at = now() - interval '1 hour' WHERE id = %s", (job.id,))

        assert await stalled(manager, nb_seconds=1800) == [job]
        assert await stalled(manager, nb_seconds=1800, queue="busy", task_name="work") == [job]
        assert await stalled(manager, nb_seconds=1800, queue="other") == []
        assert await stalled(manager, nb_seconds=1800, task_name="other") == []
        assert await stalled(manager, nb_seconds=7200) == []
        if stock:
            assert await stalled(JobManager(given), nb_seconds=1800) == []  # it looks for events


async def test_what_a_plain_manager_ends_is_in_history_at_once(database_url: str, conn: Any) -> None:
    given = connector(database_url)
    app = workrow.App(connector=given)
    work = app.task(name="work")(lambda: None)
    plain = JobManager(given)

    async with app.open_async():
        finished, cancelled = await work.defer_async(), await work.defer_async()
        job = await plain.fetch_job(queues=None, worker_id=await plain.register_worker())
        assert job
        await plain.finish_job(job, procrastinate.jobs.Status.SUCCEEDED, delete_job=False)
        assert await plain.cancel_job_by_id_async(cancelled)

    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    rows = conn.execute("SELECT id, status FROM workrow.history ORDER BY id").fetchall()
    assert rows == [(finished, "succeeded"), (cancelled, "cancelled")]
