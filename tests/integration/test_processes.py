"""run_in="process": what a child may do to itself, and what is done to it."""

import asyncio
import contextlib
import functools
import inspect
import multiprocessing.spawn
import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import procrastinate
import psutil
import pytest
from procrastinate.jobs import Job

import workrow
from tests.integration import process_tasks
from tests.integration.test_heart import Running, until
from tests.integration.test_trust import status
from tests.integration.test_worker import row, run
from workrow.errors import MemoryLimitExceeded, ProcessCrashed, TimeLimitExceeded
from workrow.worker.job_logs import message_of
from workrow.worker.running.children import spawned
from workrow.worker.running.children.pool import Processes, check_importable

blueprint = workrow.Blueprint("processes")


class Pool:
    """Runs functions of process_tasks in children."""

    def __init__(self, size: int = 2, **options: Any) -> None:
        self.processes = Processes(size, **options)
        self.count = 0

    async def __call__(self, function: Any, limits: dict[str, Any] | None = None, **arguments: Any) -> Any:
        self.count += 1
        name = f"t{self.count}"
        wants_context = "context" in inspect.signature(function).parameters
        task: Any = procrastinate.tasks.Task(
            function, blueprint=blueprint, name=name, queue="q", pass_context=wants_context
        )
        job = Job(id=self.count, lock=None, queueing_lock=None, task_name=name, queue="q")
        return (await self.processes.run(self.count, task, job, arguments, **(limits or {}))).value


def descriptors() -> int:
    return psutil.Process().num_fds()


def lives(noted: Path) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(int(noted.read_text())).status() != psutil.STATUS_ZOMBIE
    return False


def lasts(thread: threading.Thread) -> bool:
    thread.join(5)
    return thread.is_alive()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    await pool.processes.close()
    await pool.processes.close()


async def test_results_and_errors_come_back(pool: Pool) -> None:
    assert await pool(process_tasks.double, n=21) == 42
    assert await pool(process_tasks.double_async, n=21) == 42
    with pytest.raises(LookupError, match="^no") as raised:
        await pool(process_tasks.fail, message="no")
    assert "In the child process" in raised.value.__notes__[0]
    assert "process_tasks.py" in raised.value.__notes__[0]
    with pytest.raises(process_tasks.Unpicklable, match="^1 and 2"):
        await pool(process_tasks.fail_unpicklably)
    assert await pool(process_tasks.return_a_function) is None
    with pytest.raises(TypeError, match="missing 1 required"):
        await pool(process_tasks.double)
    assert await pool(process_tasks.pid) == await pool(process_tasks.pid) != os.getpid()


async def test_the_soft_limit_is_raised_inside(pool: Pool) -> None:
    for function in (process_tasks.sleep_softly, process_tasks.sleep_softly_async):
        assert await pool(function, {"soft_time_limit": 0.1}, seconds=30) == "cleaned up"
    with pytest.raises(workrow.SoftTimeLimitExceeded, match=r"soft_time_limit of 0\.1 s"):
        await pool(process_tasks.sleep, {"soft_time_limit": 0.1}, seconds=30)


async def test_the_time_limit_kills(pool: Pool) -> None:
    first = await pool(process_tasks.pid)
    began = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match=r"time_limit of 0\.2 s"):
        await pool(process_tasks.sleep, {"time_limit": 0.2}, seconds=30)
    assert time.monotonic() - began < 1
    assert await pool(process_tasks.pid) != first


async def test_who_takes_too_much_memory_dies_alone(pool: Pool) -> None:
    neighbour = asyncio.create_task(pool(process_tasks.sleep, seconds=1.5))
    with pytest.raises(MemoryLimitExceeded, match=r"its max_memory is 256"):
        await pool(process_tasks.allocate, {"max_memory": 256}, megabytes=1024)
    assert await neighbour == "slept"


@pytest.mark.parametrize(
    ("function", "arguments", "cause"),
    [
        (process_tasks.segfault, {}, "killed by SIGSEGV"),
        (process_tasks.leave, {"code": 3}, "exit code 3"),
        (process_tasks.leave, {"code": 0}, "exit code 0"),
        pytest.param(
            process_tasks.die_of_a_real_time_signal,
            {},
            f"killed by signal {signal.SIGRTMIN + 3 if sys.platform == 'linux' else 0}",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux's signals"),
        ),
    ],
)
async def test_a_child_that_dies_tells_how_and_the_next_one_works(
    pool: Pool, function: Any, arguments: Any, cause: str
) -> None:
    with pytest.raises(ProcessCrashed) as raised:
        await pool(function, **arguments)
    assert raised.value.cause == cause
    assert await pool(process_tasks.double, n=1) == 2


async def test_killed_from_outside_busy_or_idle(pool: Pool) -> None:
    child = await pool(process_tasks.pid)
    os.kill(child, signal.SIGKILL)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(child).wait(5)  # collects it, as a library in the worker may do
    assert await pool(process_tasks.pid) != child
    sleeping = asyncio.create_task(pool(process_tasks.sleep, seconds=30))
    await until(lambda: len(psutil.Process().children(recursive=True)) > 0)
    await asyncio.sleep(0.2)
    for process in psutil.Process().children():
        if "spawn_main" in " ".join(process.cmdline()):
            process.kill()
    with pytest.raises(ProcessCrashed, match="killed by SIGKILL, perhaps out of memory"):
        await sleeping


async def test_signals_of_the_whole_group_are_the_parents_to_answer(pool: Pool) -> None:
    child = await pool(process_tasks.pid)
    os.kill(child, signal.SIGTERM)
    os.kill(child, signal.SIGINT)
    assert await pool(process_tasks.pid) == child


async def test_an_error_that_only_the_child_knows_is_told(pool: Pool) -> None:
    with pytest.raises(Exception, match="^boo") as raised:
        await pool(process_tasks.fail_with_a_class_of_the_child)
    assert type(raised.value).__name__ == "Strange"


async def test_what_a_task_starts_is_like_started_anywhere(pool: Pool) -> None:
    assert await pool(process_tasks.terminate_a_program) == -signal.SIGTERM
    if sys.platform == "linux":
        assert await pool(process_tasks.stdin) == os.devnull


async def test_no_job_dies_for_the_memory_that_another_one_kept() -> None:
    pool = Pool(1)
    fat = await pool(process_tasks.keep, megabytes=300)
    assert await pool(process_tasks.pid, {"max_memory": 256}) != fat
    await pool.processes.close()


async def test_errors_and_results_of_other_kinds(pool: Pool) -> None:
    assert await pool(process_tasks.return_an_awaitable, n=21) == 42
    with pytest.raises(process_tasks.Unprintable) as raised:
        await pool(process_tasks.fail_without_words)
    assert message_of(raised.value) == "(its message fails: ValueError)"


async def test_a_task_may_have_a_pool_of_forks(pool: Pool) -> None:
    assert await pool(process_tasks.double_in_a_pool, {"time_limit": 30}, n=3) == [0, 2, 4]


async def test_a_crash_is_heard_though_a_fork_lives_on_and_the_fork_dies(pool: Pool, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ProcessCrashed, match="exit code 3"):
        await pool(process_tasks.leave_a_fork_behind, path=str(tmp_path / "pid"))
    assert time.monotonic() - began < 30
    await until(lambda: not lives(tmp_path / "pid"))


async def test_the_time_limit_kills_what_the_task_has_started(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(TimeLimitExceeded):
        await pool(process_tasks.start_a_program_and_sleep, {"time_limit": 1}, path=str(tmp_path / "pid"))
    await until(lambda: not lives(tmp_path / "pid"))


async def test_abort_is_asked_for_also_while_the_child_starts(pool: Pool) -> None:
    for pause in (0, 0.3):  # the second one finds a child that has been started, and runs already
        waiting = asyncio.create_task(pool(process_tasks.wait_for_abort, seconds=20))
        await asyncio.sleep(pause)
        if not pause:
            await asyncio.sleep(0)
        pool.processes.interrupt(pool.count)
        assert await waiting == f"job {pool.count} of Blueprint was asked"
    with pytest.raises(asyncio.TimeoutError):  # nothing of it is left for the next job
        await asyncio.wait_for(pool(process_tasks.wait_for_abort, seconds=20), 0.5)


async def test_a_job_that_waits_for_a_child_can_be_killed_too() -> None:
    pool = Pool(1)
    first = asyncio.create_task(pool(process_tasks.sleep, seconds=60))
    second = asyncio.create_task(pool(process_tasks.double, n=1))
    await asyncio.sleep(0.1)
    pool.processes.kill(2)
    pool.processes.kill(1)
    for each in (first, second):
        with pytest.raises(procrastinate.exceptions.JobAborted):
            await each
    await pool.processes.close()


async def test_a_child_that_does_not_read_does_not_hold_the_loop(pool: Pool) -> None:
    assert await pool(process_tasks.length, text="x" * 10**6) == 10**6
    os.kill(await pool(process_tasks.pid), signal.SIGSTOP)
    with pytest.raises(TimeLimitExceeded):
        await pool(process_tasks.length, {"time_limit": 0.5}, text="x" * 10**7)


class TestStart:
    async def test_a_program_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pool = Pool()
        await pool(process_tasks.pid)
        await pool.processes.close()
        monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"/nowhere/python")
        before, pool = descriptors(), Pool()
        for _ in range(3):
            with pytest.raises((RuntimeError, ProcessCrashed), match="did not start"):
                await pool(process_tasks.double, n=1)
        await pool.processes.close()
        assert descriptors() <= before

    async def test_one_that_does_not_get_ready(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spawned, "START_SECONDS", 0.01)
        pool = Pool()
        with pytest.raises(RuntimeError, match=r"did not start: not ready after 0\.01 s; does the main module"):
            await pool(process_tasks.double, n=1)
        await pool.processes.close()

    async def test_ended_while_it_starts(self) -> None:
        pool = Pool()
        starting = asyncio.create_task(pool(process_tasks.double, n=1))
        await asyncio.sleep(0)
        await pool.processes.close()
        with pytest.raises(procrastinate.exceptions.JobAborted, match="closed"):
            await starting


async def test_a_closed_pool_starts_nothing() -> None:
    pool = Pool(1)
    await pool.processes.close()
    with pytest.raises(RuntimeError, match="closed"):
        await pool(process_tasks.pid)


async def test_recycling() -> None:
    pool = Pool(1, max_jobs=2)
    pids = [await pool(process_tasks.pid) for _ in range(3)]
    assert pids[0] == pids[1] != pids[2]
    await pool.processes.close()


async def test_cancel_and_kill(pool: Pool) -> None:
    cancelled = asyncio.create_task(pool(process_tasks.sleep, seconds=30))
    killed = asyncio.create_task(pool(process_tasks.sleep, seconds=30))
    await asyncio.sleep(1)
    cancelled.cancel()
    pool.processes.kill(2)
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with pytest.raises(procrastinate.exceptions.JobAborted):
        await killed
    assert await pool(process_tasks.double, n=1) == 2


async def test_nothing_is_left_behind() -> None:
    async def some(pool: Pool, jobs: int) -> None:
        for number in range(jobs):
            if number % 5:
                await pool(process_tasks.double, n=1)
            elif number % 2:
                with pytest.raises(TimeLimitExceeded):
                    await pool(process_tasks.sleep, {"time_limit": 0.05}, seconds=60)
            else:
                with pytest.raises(ProcessCrashed):
                    await pool(process_tasks.leave, code=1)
        await pool.processes.close()

    await some(Pool(), 3)
    before = descriptors()
    await some(Pool(), 30)
    assert descriptors() <= before
    assert not [thread for thread in threading.enumerate() if "workrow-child" in thread.name and lasts(thread)]
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    script = f"""
import asyncio
from tests.integration.test_processes import Pool
from tests.integration import process_tasks
if __name__ == "__main__":
    asyncio.run(Pool()(process_tasks.note_pid_and_sleep, path={str(noted)!r}))
"""
    (tmp_path / "parent.py").write_text(script)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"], env={**os.environ, "PYTHONPATH": os.getcwd()}
    ) as parent:
        deadline = time.monotonic() + 20
        while not noted.exists() or not noted.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.kill()
    child = int(noted.read_text())
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_no_child_can_find_says_so() -> None:
    def inner() -> None: ...

    task: Any = procrastinate.tasks.Task(inner, blueprint=blueprint, name="inner", queue="q")
    with pytest.raises(workrow.OptionError, match=r"task inner: .* is inside another function"):
        check_importable(task)
    hidden: Any = types.FunctionType(process_tasks.double.__code__, {}, "double")
    hidden.__module__, hidden.__qualname__ = process_tasks.__name__, "double"
    for function, told in (
        (hidden, "process_tasks.double is something else"),
        (functools.partial(process_tasks.double, 1), "has none"),
    ):
        task = procrastinate.tasks.Task(function, blueprint=blueprint, name="h", queue="q")
        with pytest.raises(workrow.OptionError, match=told):
            check_importable(task)
    hidden.__qualname__ = "triple"
    task = procrastinate.tasks.Task(hidden, blueprint=blueprint, name="h", queue="q")
    with pytest.raises(workrow.OptionError, match=r"process_tasks.triple is not there"):
        check_importable(task)
    task = procrastinate.tasks.Task(process_tasks.double, blueprint=blueprint, name="d", queue="q", pass_context=True)
    task.blueprint = object()
    with pytest.raises(workrow.OptionError, match=r"task d: .* its context needs the app"):
        check_importable(task)


class TestInAWorker:
    async def test_a_job_runs_and_its_result_is_kept(self, open_app: workrow.App, conn: Any) -> None:
        double = open_app.task(name="double", run_in="process")(process_tasks.double)
        jobs = await double.enqueue_many(None, [{"n": n} for n in range(6)])
        sql = """INSERT INTO procrastinate_jobs (queue_name, task_name, args)
                 VALUES ('default', 'double', '{"m": 1}'), ('default', 'double', '{"n": "1"}') RETURNING id"""
        wrong = [id_ for (id_,) in conn.execute(sql).fetchall()]
        await run(open_app, concurrency=2)
        assert [row(conn, job)["result"] for job in jobs] == [0, 2, 4, 6, 8, 10]
        causes = [row(conn, workrow.Job(id_, "", ""))["quarantine"] for id_ in wrong]
        assert "do not fit double(n: int) -> int: missing a required argument: 'n'" in causes[0]
        assert "do not fit double(n: int) -> int: n='1' does not fit int: Input should be a valid integer" in causes[1]

    @pytest.mark.parametrize("hooked", [False, True])
    async def test_a_result_that_cannot_be_kept_is_left_out_and_the_work_is_done(
        self, open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture, hooked: bool
    ) -> None:
        seen: list[Any] = []

        async def look(process: Any, context: Any, worker: Any) -> Any:
            seen.append(await process())
            return seen[-1]

        kinds = ["generator", "deep", "exits", "local", "plain"]
        odd = open_app.task(name="odd", run_in="process", retry=3)(process_tasks.return_something_odd)
        quiet = open_app.task(name="quiet", run_in="process", results=False)(process_tasks.return_an_object)
        jobs = await odd.enqueue_many(None, [{"kind": kind} for kind in kinds])
        unkept = await quiet.enqueue(None)
        await run(open_app, **({"worker_middleware": [look]} if hooked else {}))
        found = [row(conn, job) for job in jobs]
        assert [(each["status"], each["attempts"]) for each in found] == [("succeeded", 1)] * len(jobs)
        assert [each["result"] for each in found] == [[0, 1, 2], None, None, {"n": 5}, {"n": 7}]
        assert caplog.text.count("its result is not kept: ") == 2
        assert (status(conn, unkept), row(conn, unkept)["result"]) == ("succeeded", None)
        assert row(conn, unkept)["errors"] is None
        if not hooked:
            assert [each["error_type"] for each in found] == [None, *["workrow.ResultNotKept"] * 2, None, None]
        if hooked:
            assert [seen[0], seen[3], seen[4]] == [[0, 1, 2], {"n": 5}, process_tasks.Plain(7)]

    async def test_a_job_that_kills_its_process_is_quarantined(self, open_app: workrow.App, conn: Any) -> None:
        leave = open_app.task(name="leave", run_in="process")(process_tasks.leave)
        double = open_app.task(name="double", run_in="process")(process_tasks.double)
        job, other = await leave.enqueue(None, code=3), await double.enqueue(None, n=1)
        await run(open_app, concurrency=2)
        found = row(conn, job)
        assert (found["status"], found["crashes"], status(conn, other)) == ("failed", 3, "succeeded")
        assert found["quarantine"] == "crashed 3 times, the last time: exit code 3"

    async def test_a_sync_task_can_be_stopped(self, open_app: workrow.App, conn: Any) -> None:
        sleep = open_app.task(name="sleep", run_in="process")(process_tasks.sleep)
        job = await sleep.enqueue(None, seconds=60)
        async with Running(open_app):
            await until(lambda: status(conn, job) == "doing")
            await asyncio.sleep(0.5)
            await open_app.cancel_async(job.id, terminate=True)
            await until(lambda: status(conn, job) == "aborted")

    async def test_a_stop_kills_it_and_gives_it_back(self, open_app: workrow.App, conn: Any) -> None:
        sleep = open_app.task(name="sleep", run_in="process")(process_tasks.sleep)
        job = await sleep.enqueue(None, seconds=60)
        async with Running(open_app, shutdown_graceful_timeout=0):
            await until(lambda: status(conn, job) == "doing")
        assert (status(conn, job), row(conn, job)["attempts"], row(conn, job)["crashes"]) == ("todo", 0, 0)

    async def test_too_much_memory_is_a_failed_attempt(self, open_app: workrow.App, conn: Any) -> None:
        allocate = open_app.task(name="allocate", run_in="process", max_memory=256)(process_tasks.allocate)
        job = await allocate.enqueue(None, megabytes=1024)
        await run(open_app)
        assert (status(conn, job), row(conn, job)["error_type"]) == ("failed", "workrow.errors.MemoryLimitExceeded")
