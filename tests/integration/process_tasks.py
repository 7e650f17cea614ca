"""Functions for child processes."""

import asyncio
import ctypes
import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import types
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydantic

import workrow

kept: list[bytes] = []


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Unpicklable(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def double(n: int) -> int:
    return 2 * n


async def double_async(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


def pid() -> int:
    return os.getpid()


def fail(message: str) -> None:
    raise LookupError(message)


def fail_unpicklably() -> None:
    raise Unpicklable(1, 2)


def return_a_function() -> Any:
    return lambda: None


@dataclasses.dataclass
class Plain:
    n: int


class Exits(pydantic.BaseModel):
    a: int

    @pydantic.field_serializer("a")
    def _serialize(self, value: int) -> int:
        raise SystemExit(4)

    def __reduce__(self) -> Any:
        raise SystemExit(5)


def return_something_odd(kind: str) -> Any:
    @dataclasses.dataclass
    class Local:
        n: int

    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    return {
        "generator": (n for n in range(3)),
        "deep": deep,
        "exits": Exits(a=1),
        "local": Local(5),
        "plain": Plain(7),
    }[kind]


def return_an_object() -> Any:
    return object()


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def sleep_softly(seconds: float) -> str:
    try:
        time.sleep(seconds)
    except workrow.SoftTimeLimitExceeded:
        return "cleaned up"
    return "slept"


async def sleep_softly_async(seconds: float) -> str:
    try:
        await asyncio.sleep(seconds)
    except workrow.SoftTimeLimitExceeded:
        return "cleaned up"
    return "slept"


def allocate(megabytes: int) -> int:
    held = []
    for _ in range(megabytes // 16):
        held.append(bytearray(os.urandom(1) * 16 * 2**20))
        time.sleep(0.01)
    return len(held)


def segfault() -> None:
    ctypes.string_at(0)


def leave(code: int) -> None:
    os._exit(code)


def fail_without_words() -> None:
    raise Unprintable


def return_an_awaitable(n: int) -> Any:
    return double_async(n)


def die_of_a_real_time_signal() -> None:
    os.kill(os.getpid(), signal.SIGRTMIN + 3)


def leave_a_fork_behind(path: str) -> None:
    fork = os.fork()
    if fork == 0:
        time.sleep(60)
        os._exit(0)
    Path(path).write_text(str(fork))
    os._exit(3)


def start_a_program_and_sleep(path: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as program:
        Path(path).write_text(str(program.pid))
        program.wait()


def double_in_a_pool(n: int) -> list[int]:
    with multiprocessing.get_context("fork").Pool(2) as pool:  # ends its workers by SIGTERM
        return pool.map(double, range(n))


def length(text: str) -> int:
    return len(text)


def wait_for_abort(context: workrow.JobContext, seconds: float) -> str:
    until = time.monotonic() + seconds
    while not context.should_abort():
        if time.monotonic() > until:
            return "never asked"
        time.sleep(0.02)
    return f"job {context.job.id} of {type(context.app).__name__} was asked"


def note_pid_and_sleep(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def fail_with_a_class_of_the_child() -> None:
    module = sys.modules["only_in_the_child"] = types.ModuleType("only_in_the_child")
    error = type("Strange", (Exception,), {"__module__": module.__name__})
    module.Strange = error  # type: ignore[attr-defined]
    raise error("boo")


def terminate_a_program() -> int:
    with subprocess.Popen(["sleep", "60"]) as program:
        program.terminate()
        return program.wait(10)


def stdin() -> str:
    return os.readlink("/proc/self/fd/0")


def keep(megabytes: int) -> int:
    kept.append(b"x" * (megabytes * 2**20))
    return os.getpid()


def snooze() -> None:
    raise workrow.Snooze("in a child", in_=60)


def later() -> None:
    raise workrow.RetryLater("in a child", in_=timedelta(minutes=1))


async def discard() -> None:
    raise workrow.Discard("in a child")


def tell_often(ctx: workrow.JobContext, n: int) -> int:
    """Says how far it is, n times and as fast as it can."""
    for done in range(n + 1):
        ctx.progress(done, n, f"item {done}")
    return n


def tell_and_wait(ctx: workrow.JobContext, path: str) -> None:
    """Says two things in a row, and waits until the file is there."""
    ctx.progress(1, 3)
    ctx.progress(2, 3, "two")
    while not Path(path).exists():
        time.sleep(0.01)
    ctx.progress(3, 3)


def wants_a_client(client: object = workrow.inject()) -> None: ...


def repeat(text: str, times: int) -> str:
    return text * times


def rate_limited(n: int) -> None:
    raise workrow.RateLimited("429", retry_after=600)


def wait_for(url: str, job_id: int, within_task: bool) -> Any:
    app = workrow.App(url)
    try:
        return app.job(job_id).result_sync(within_task=within_task)
    finally:
        app.close()


def spill(token: str, way: str) -> None:
    if way == "exit":
        os._exit(3)
    if way == "group":
        raise ExceptionGroup("many", [ValueError(f"refused: {token}"), KeyError(f"cannot parse {token!r}")])
    raise ValueError(f"refused: {token}")


def ask_for_a_step(ctx: workrow.SyncJobContext) -> int:
    return ctx.step("a", len, [])
