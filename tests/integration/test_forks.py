"""Processes that are forked after their parent has used the database: gunicorn --preload, multiprocessing, tasks."""

import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest

HEAD = """
import asyncio, multiprocessing, os, signal, sys
import workrow

signal.alarm(25)  # what hangs ends here
os.register_at_fork(after_in_child=lambda: signal.alarm(20))
app = workrow.App(sys.argv[1])

@app.task(name="note")
def note(who: int, n: int) -> int: ...

def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def run(tmp_path: Path, database_url: str, script: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "forks_app.py"
    path.write_text(HEAD + textwrap.dedent(script))
    return subprocess.run(
        [sys.executable, "-W", "error", path, database_url],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
        cwd=tmp_path,
    )


def check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_delay_after_a_fork_uses_a_pool_of_the_childs_own(
    tmp_path: Path, database_url: str, conn: psycopg.Connection
) -> None:
    script = """
        def use(who):
            told = {note.delay(who, n).id: n for n in range(20)}
            with __import__("psycopg").connect(sys.argv[1]) as conn:
                rows = conn.execute("SELECT id, args FROM procrastinate_jobs").fetchall()
            # no handle carries the id of another process's job
            assert {id_: args["n"] for id_, args in rows if args["who"] == who} == told

        note.delay(-1, 0)
        children = []
        for who in range(1, 4):
            if not (child := os.fork()):
                use(who)
                app.close()
                os._exit(0)
            children.append(child)
        use(0)
        assert [ended(child) for child in children] == [0, 0, 0]
        note.delay(-1, 1)  # no child has closed what it shares with its parent
        app.close()
    """
    check(run(tmp_path, database_url, script))
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (82,)


def test_an_open_app_opens_anew_in_a_child(tmp_path: Path, database_url: str, conn: psycopg.Connection) -> None:
    script = """
        async def enqueue(who):
            await asyncio.gather(*(note.enqueue(None, who=who, n=n) for n in range(20)))

        async def in_child():
            await enqueue(1)
            await app.close_async()
            async with app.open_async():
                await enqueue(1)

        def child():
            asyncio.run(in_child())

        async def main():
            async with app.open_async():
                await enqueue(0)
                process = multiprocessing.get_context("fork").Process(target=child)
                process.start()
                await enqueue(0)
                await asyncio.to_thread(process.join)
                assert process.exitcode == 0
                await enqueue(0)

        asyncio.run(main())
    """
    check(run(tmp_path, database_url, script))
    counts = "SELECT args ->> 'who', count(*) FROM procrastinate_jobs GROUP BY 1 ORDER BY 1"
    assert conn.execute(counts).fetchall() == [("0", 60), ("1", 40)]


def test_a_pool_of_the_callers_is_left_to_the_parent(tmp_path: Path, database_url: str) -> None:
    script = """
        import psycopg_pool

        async def main():
            async with psycopg_pool.AsyncConnectionPool(sys.argv[1], min_size=1, max_size=1, open=False) as pool:
                await app.open_async(pool)
                ask = app.connector.execute_query_one_async
                shared = (await ask("SELECT pg_backend_pid() AS pid"))["pid"]
                if not (child := os.fork()):
                    async def in_child():
                        assert (await ask("SELECT pg_backend_pid() AS pid"))["pid"] != shared
                        await app.close_async()
                    asyncio.run(in_child())
                    os._exit(42)
                assert await asyncio.to_thread(ended, child) == 42
                assert (await ask("SELECT pg_backend_pid() AS pid"))["pid"] == shared

        asyncio.run(main())
    """
    check(run(tmp_path, database_url, script))


def test_a_waiter_of_the_parent_holds_no_lock_of_a_child(tmp_path: Path, database_url: str) -> None:
    script = """
        job = note.delay(0, 0)
        try:
            job.result_sync(0.1)
        except workrow.ResultTimeout:
            pass
        with app.results._waiters._lock:  # as another thread may, in the moment of a fork
            if not (child := os.fork()):
                try:
                    job.result_sync(0.1)
                except workrow.ResultTimeout:
                    app.close()
                    os._exit(42)
        assert ended(child) == 42
        app.close()
    """
    check(run(tmp_path, database_url, script))


WORKER = """
@app.task(name="sync")
def in_thread(how: int) -> int:
    return fork(how)

@app.task(name="async")
async def on_loop(how: int) -> int:
    return fork(how)

@app.task(name="process", run_in="process")
def in_process(how: int) -> int:
    return fork(how)

def fork(how: int) -> int:
    if child := os.fork():
        return ended(child)
    if how == 1:
        sys.exit(7)
    if how == 2:
        raise ValueError("in the child")
    return 99

@app.task(name="close")
def close() -> int:
    if child := os.fork():
        return ended(child)
    note.delay(1, 1)
    app.close()
    asyncio.run(app.close_async())  # the worker is the parent's, and goes on
    os._exit(5)

async def main():
    async with app.open_async():
        jobs = [await globals()[name].enqueue(None, *given) for name, *given in CALLS]
        await app.run_worker_async(wait=False, concurrency=1, install_signal_handlers=False, queues=["default"])
        print([await job.result(5) for job in jobs])

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["in_thread", "on_loop", "in_process"])
def test_a_child_that_comes_back_from_its_task_writes_no_end(
    tmp_path: Path, database_url: str, conn: psycopg.Connection, kind: str
) -> None:
    done = run(tmp_path, database_url, f"CALLS = [({kind!r}, how) for how in range(3)]\n" + WORKER)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[0, 7, 1]\n"  # how each child ended, as its parent saw it
    assert done.stderr.count("a fork of the worker came back from its task") == 3
    assert "ValueError: in the child" in done.stderr
    assert conn.execute("SELECT max(attempts), sum(crashes), count(*) FROM workrow.jobs").fetchone() == (1, 0, 3)


def test_a_child_may_close_the_app_under_its_parents_worker(tmp_path: Path, database_url: str) -> None:
    done = run(tmp_path, database_url, "CALLS = [('close',), ('close',)]\n" + WORKER)
    assert (done.returncode, done.stdout) == (0, "[5, 5]\n"), done.stderr
