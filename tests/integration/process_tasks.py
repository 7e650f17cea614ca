"""Functions for child processes."""

import asyncio
import ctypes
import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import workrow

kept: list[bytes] = []


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
