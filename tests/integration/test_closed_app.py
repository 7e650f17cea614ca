"""An app that is closed under its running workers."""

import asyncio
import subprocess
import sys
import textwrap

import psycopg

import workrow

PROGRAM = textwrap.dedent("""
    import asyncio, logging, sys
    import workrow

    logging.basicConfig(level=logging.INFO)
    app = workrow.App(sys.argv[1])

    @app.task(name="slow")
    async def slow() -> None:
        started.set()
        await asyncio.sleep(0.5)

    started = asyncio.Event()

    async def main() -> None:
        async with app.open_async():
            worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
            await slow.enqueue(None)
            await started.wait()
            raise RuntimeError("no luck")

    asyncio.run(main())
""")


def test_a_process_whose_app_is_closed_under_a_worker_ends(database_url: str, conn: psycopg.Connection) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, database_url], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "RuntimeError: no luck" in ended.stderr
    assert "AppNotOpen" not in ended.stderr
    assert "stops at once: the app was closed" in ended.stderr
    assert conn.execute("SELECT status::text, attempts FROM procrastinate_jobs").fetchall() == [("todo", 0)]
    assert conn.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


async def test_closing_ends_all_its_workers(app: workrow.App, conn: psycopg.Connection) -> None:
    started = asyncio.Event()

    @app.task(name="closing")
    async def closing() -> None:
        started.set()
        await asyncio.sleep(60)

    async with app.open_async():
        workers = [
            asyncio.create_task(app.run_worker_async(install_signal_handlers=False, queues=[queue]))
            for queue in ("default", "other")
        ]
        await closing.enqueue(None)
        await started.wait()
    done, _ = await asyncio.wait(workers, timeout=1)
    assert done == set(workers)
    assert [worker.exception() for worker in workers] == [None, None]
    assert conn.execute("SELECT status::text, attempts FROM procrastinate_jobs").fetchall() == [("todo", 0)]


async def test_a_task_may_close_the_app_that_it_runs_on(app: workrow.App) -> None:
    @app.task(name="closer")
    async def closer() -> None:
        await app.close_async()

    await app.open_async()
    try:
        await closer.enqueue(None)
        async with asyncio.timeout(20):
            await app.run_worker_async(install_signal_handlers=False)
    finally:
        await app.close_async()


def test_a_process_that_closes_nothing_ends_too(database_url: str) -> None:
    program = PROGRAM.replace("async with app.open_async():", "if await app.open_async():")
    ended = subprocess.run(
        [sys.executable, "-c", program, database_url], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "RuntimeError: no luck" in ended.stderr
