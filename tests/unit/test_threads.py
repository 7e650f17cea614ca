"""Threads for sync tasks: what an interruption may hit, and when a slot is free."""

import asyncio
import contextlib
import contextvars
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from workrow.worker.running import threads as module
from workrow.worker.running.threads import Threads
from workrow.worker.running.time_limits import Interrupted

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


def spin(seconds: float = 10.0) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "spun"


def alive() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("workrow-task-")}


@pytest.fixture
def single() -> Iterator[Threads]:
    threads = Threads(1)
    yield threads
    threads.close()


async def test_results_errors_and_context(single: Threads) -> None:
    variable.set("seen")
    assert await single.run(1, lambda: variable.get()) == "seen"
    with pytest.raises(ZeroDivisionError) as caught:
        await single.run(1, lambda: 1 // 0)
    assert caught.traceback[-1].name == "<lambda>"
    with pytest.raises(RuntimeError, match="StopIteration"):
        await single.run(1, lambda: next(iter(())))
    assert single.running == []


async def test_the_names_of_what_runs() -> None:
    threads = Threads(2)
    inside, go = threading.Barrier(3), threading.Event()
    both = asyncio.gather(*(threads.run(n, lambda: (inside.wait(5), go.wait(5))) for n in (7, 8)))
    await asyncio.to_thread(inside.wait, 5)
    assert sorted(threads.running) == [7, 8]
    go.set()
    await both
    assert threads.running == []
    threads.close()


async def test_threads_are_daemons_started_when_needed_reused_and_no_more_than_asked_for() -> None:
    before = alive()
    threads = Threads(3)
    assert alive() <= before
    used: set[threading.Thread] = set()
    barrier = threading.Barrier(3, timeout=5)

    def note() -> None:
        assert threading.current_thread().daemon
        used.add(threading.current_thread())

    for _ in range(5):
        await threads.run(1, note)
    assert len(used) == 1
    await asyncio.gather(*(threads.run(n, lambda: (note(), barrier.wait())) for n in range(3)))
    await asyncio.gather(*(threads.run(n, note) for n in range(50)))
    assert used == alive() - before
    assert len(used) == 3
    threads.close()


async def test_close_ends_idle_threads_now_and_busy_ones_after_their_call() -> None:
    before = alive()
    threads = Threads(2)
    inside, go = threading.Barrier(3), threading.Event()
    both = [asyncio.create_task(threads.run(n, lambda: inside.wait(5))) for n in range(2)]
    await asyncio.to_thread(inside.wait, 5)
    await asyncio.gather(*both)
    busy = asyncio.create_task(threads.run(1, lambda: go.wait(5) and "to its end"))
    while not threads.running:
        await asyncio.sleep(0)
    mine = alive() - before
    threads.close()
    while len(alive() & mine) > 1:
        await asyncio.sleep(0.001)
    go.set()
    assert await busy == "to its end"
    for thread in mine:
        await asyncio.to_thread(thread.join, 5)
    assert not alive() & mine
    with pytest.raises(RuntimeError, match="closed"):
        await threads.run(1, spin)


def test_the_interpreter_exits_though_a_task_goes_on() -> None:
    program = """if True:
        import asyncio, time
        from workrow.worker.running.threads import Threads
        async def main():
            threads = Threads(1)
            global running
            running = asyncio.ensure_future(threads.run(1, lambda: time.sleep(60)))
            while not threads.running:
                await asyncio.sleep(0.001)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20, capture_output=True)


def test_a_pool_belongs_to_its_loop() -> None:
    threads = Threads(1)
    assert asyncio.run(threads.run(1, lambda: "first")) == "first"
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(threads.run(1, lambda: "second"))
    threads.close()


async def test_an_interruption_hits_its_own_job_only(single: Threads) -> None:
    assert not single.interrupt(1, Interrupted)
    started = threading.Event()
    first = asyncio.create_task(single.run(1, lambda: (started.set(), spin())))
    await asyncio.to_thread(started.wait)
    assert not single.interrupt(2, Interrupted)
    assert single.interrupt(1, Interrupted)
    with pytest.raises(Interrupted):
        await first
    assert not single.interrupt(1, Interrupted)


async def test_an_interruption_of_a_call_in_c_arrives_when_it_returns(single: Threads) -> None:
    held = threading.Lock()
    held.acquire()
    running = asyncio.create_task(single.run(1, held.acquire))
    while not single.running:
        await asyncio.sleep(0)
    assert single.interrupt(1, LookupError)
    held.release()
    with pytest.raises(LookupError):
        await running
    assert await single.run(2, lambda: "well") == "well"


class ShotAt:
    """The pool's lock; a thread which takes it after a call is shot at just before it has it.

    That is the last moment at which an exception can arrive: who sends one holds the lock.
    """

    def __init__(self, threads: Threads, shots: int) -> None:
        self._threads = threads
        self._lock = threads._lock
        self.shots = shots

    def __enter__(self) -> None:
        if self.shots and threading.current_thread().name.startswith("workrow-task-"):
            self.shots -= 1
            (work,) = self._threads._running.values()
            work.interrupted = True
            assert module._raise_in(work.ident, LookupError)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("shots", [1, 2])
async def test_an_interruption_after_the_call_hits_nobody(
    single: Threads, shots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await single.run(0, threading.current_thread)
    gate = ShotAt(single, shots)
    monkeypatch.setattr(single, "_lock", gate)
    assert await single.run(1, lambda: "ended") == "ended"
    assert gate.shots == 0
    assert single.running == []
    assert await single.run(2, lambda: "well") == "well"
    assert await single.run(0, threading.current_thread) is thread


async def test_a_hail_of_interruptions_kills_neither_the_thread_nor_the_next_call(single: Threads) -> None:
    kinds = (Interrupted, SoftTimeLimitExceeded, LookupError)
    key = 0
    over = False

    def bombard() -> None:
        while not over:
            for kind in kinds:
                single.interrupt(key, kind)

    thread = await single.run(0, threading.current_thread)
    gunner = threading.Thread(target=bombard)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    gunner.start()
    try:
        for key in range(1, 50):
            (end,) = await asyncio.gather(single.run(key, lambda: spin(0.0003)), return_exceptions=True)
            assert end == "spun" or isinstance(end, kinds)
            assert await single.run(-key, lambda: "well") == "well"
    finally:
        over = True
        sys.setswitchinterval(interval)
        gunner.join()
    assert await single.run(0, threading.current_thread) is thread


async def test_two_of_one_key_do_not_get_mixed_up() -> None:
    """An attempt that goes on after its lease, and the next one in the same worker."""
    threads = Threads(2)
    go = threading.Event()
    stale = asyncio.create_task(threads.run(1, lambda: go.wait(5), time_limit=60))
    while not threads.running:
        await asyncio.sleep(0)
    fresh = asyncio.create_task(threads.run(1, spin))
    await asyncio.sleep(0.02)
    go.set()
    assert await stale
    assert threads.running == [1]
    assert threads.interrupt(1, Interrupted)
    with pytest.raises(Interrupted):
        await fresh
    threads.close()


async def test_cancelling_waits_for_the_thread(single: Threads) -> None:
    go, ended = threading.Event(), threading.Event()

    def fail() -> None:
        try:
            go.wait(5)
        finally:
            ended.set()
        raise LookupError("heard by nobody")

    running = asyncio.create_task(single.run(1, fail, time_limit=0.02))
    for _ in range(3):
        await asyncio.sleep(0.02)
        running.cancel()
    waiting = asyncio.create_task(single.run(2, ended.is_set))
    await asyncio.sleep(0.02)
    assert not running.done()
    assert not waiting.done()  # the slot is not free yet
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await waiting


async def test_the_soft_limit_is_raised_inside_once(single: Threads) -> None:
    with pytest.raises(SoftTimeLimitExceeded, match=r"soft_time_limit of 0\.05 s"):
        await single.run(1, spin, soft_limit=0.05)

    def careful() -> str:
        try:
            return spin()
        except SoftTimeLimitExceeded:
            return spin(0.15)

    assert await single.run(1, careful, soft_limit=0.05) == "spun"


async def test_the_limits_count_from_the_start_of_the_call(single: Threads) -> None:
    first = asyncio.create_task(single.run(1, lambda: time.sleep(0.1)))
    assert await single.run(2, lambda: spin(0.01), soft_limit=0.08, time_limit=0.08) == "spun"
    await first


async def test_the_time_limit_passes_a_tasks_own_except_exception(single: Threads) -> None:
    def broad() -> Any:
        try:
            spin()
        except Exception:
            return "swallowed"

    with pytest.raises(TimeLimitExceeded, match=r"time_limit of 0\.05 s") as caught:
        await single.run(1, broad, time_limit=0.05)
    assert isinstance(caught.value.__cause__, Interrupted)
    assert caught.value.__cause__.__traceback__ is not None

    def both() -> None:
        try:
            spin()
        except SoftTimeLimitExceeded:
            spin()

    with pytest.raises(TimeLimitExceeded):
        await single.run(1, both, soft_limit=0.05, time_limit=0.1)
    assert await single.run(1, lambda: "in time", soft_limit=5, time_limit=6) == "in time"


async def test_whoever_does_not_end_is_reported_and_over_its_limit(
    single: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workrow.worker.running.time_limits.STUCK_SECONDS", 0.05)
    stuck: list[int] = []

    def swallows() -> str:
        try:
            return spin()
        except Interrupted:
            return "late"

    with pytest.raises(TimeLimitExceeded):
        await single.run(1, swallows, time_limit=0.05, on_stuck=lambda: stuck.append(1))
    await asyncio.sleep(0.1)
    assert stuck == []  # it ended in time for that
    with pytest.raises(TimeLimitExceeded):
        await single.run(1, lambda: time.sleep(0.25), time_limit=0.05, on_stuck=lambda: stuck.append(1))
    assert stuck == [1]


async def test_a_busy_loop_does_not_turn_an_end_in_time_into_a_late_one(single: Threads) -> None:
    ended = threading.Event()
    running = asyncio.create_task(single.run(1, lambda: (time.sleep(0.02), ended.set()), time_limit=0.1))
    while not single.running:
        await asyncio.sleep(0)
    await asyncio.sleep(0.005)  # the timer is set
    assert ended.wait(5)
    time.sleep(0.15)  # noqa: ASYNC251 - the loop is busy while both the end and the limit come
    assert (await running)[1] is None


async def test_a_failed_call_is_freed_without_the_garbage_collector(single: Threads) -> None:
    class Large:
        pass

    kept: list[weakref.ref[Large]] = []

    def fail() -> None:
        large = Large()
        kept.append(weakref.ref(large))
        raise LookupError

    gc.disable()
    try:
        for _ in range(2):
            with contextlib.suppress(LookupError):
                await single.run(1, fail)
        await single.run(1, lambda: None)
        assert [ref() for ref in kept] == [None, None]
    finally:
        gc.enable()
