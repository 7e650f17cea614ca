"""``async def`` tasks through workers, eagerly, and beside a loop that runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.celery import async_app
from tests.celery.on_database import on
from workrow.celery import Celery, chain
from workrow.celery.foreign_errors import SoftTimeLimitExceeded

REPOSITORY = Path(__file__).parents[2]
SECONDS = 90
tasks: Any = async_app


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    with on(async_app.app, database_url) as app:
        yield app


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_async_tasks_are_tasks(app: Celery, database_url: str, pool: str) -> None:
    command = [sys.executable, "-m", "workrow.celery", "-A", "tests.celery.async_app", "worker", "-c", "2", "-P", pool]
    sent = [
        chain(tasks.add.s(1, 2), tasks.add.s(3)).delay(), tasks.again.delay(2), tasks.auto.delay(),
        tasks.move.delay({"x": 1}), tasks.catches.delay(), tasks.leaves_a_task.delay(),
    ]  # fmt: skip
    who, fail, too_long = tasks.who.delay(), tasks.fail.delay(), tasks.too_long.delay()
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "DATABASE_URL": database_url})
    try:
        values = [each.get(timeout=SECONDS) for each in sent]
        assert values == [6, 2, 2, {"x": 2}, "caught SoftTimeLimitExceeded()", 1]
        assert who.get(timeout=SECONDS) == [who.id, who.id]
        with pytest.raises(ValueError, match="boom"):
            fail.get(timeout=SECONDS)
        with pytest.raises(SoftTimeLimitExceeded):
            too_long.get(timeout=SECONDS)
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def test_eagerly(app: Celery) -> None:
    assert tasks.add.apply((1, 2)).get() == 3
    assert tasks.auto.apply().get() == 2
    assert tasks.fail.apply().state == "FAILURE"
    with pytest.raises(ValueError, match="boom"):
        tasks.fail.apply(throw=True)


async def test_eagerly_where_a_loop_runs(app: Celery) -> None:
    assert tasks.add.apply((1, 2)).get() == 3
    result = tasks.who.apply()
    assert result.get() == [result.id, result.id]
    assert isinstance(tasks.fail.apply().result, ValueError)


async def test_a_call_of_the_task_itself_is_a_coroutine(app: Celery) -> None:
    assert await tasks.add(1, 2) == 3
