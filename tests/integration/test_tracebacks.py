"""Tracebacks of tasks, in rows and in the log, begin where the task does: of our own code they say nothing."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workrow
from tests.integration import process_tasks
from tests.integration.test_worker import row, run

HOUSE = str(Path(workrow.__file__).parent)


async def coroutine() -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


def function() -> None:
    raise ValueError("no")


CASES: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, Any], str]] = {
    "async": (coroutine, {}, {}, "ValueError: no"),
    "thread": (function, {}, {}, "ValueError: no"),
    "process": (process_tasks.fail, {"run_in": "process"}, {"message": "no"}, "LookupError: no"),
    "memory": (
        *(process_tasks.allocate, {"run_in": "process", "max_memory": 128}, {"megabytes": 512}),
        "max_memory is 128",
    ),
    "time limit": (process_tasks.sleep, {"run_in": "process", "time_limit": 0.5}, {"seconds": 60}, "limit of 0.5"),
}


@pytest.mark.parametrize("case", CASES)
async def test_they_are_without_our_own_frames(
    open_app: workrow.App, conn: Any, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    func, options, args, told = CASES[case]
    task = open_app.task(name="t", **options)(func)
    job = await task.enqueue(None, **args)
    await run(open_app)
    found = row(conn, job)
    assert found["status"] == "failed"
    for text in (found["traceback"], caplog.text):
        assert told in text
        frames = re.findall(r'File "([^"]+)", line', text)
        assert [frame for frame in frames if frame.startswith(HOUSE)] == []
