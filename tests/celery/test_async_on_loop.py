"""``async def`` tasks on the event loop of a worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.celery import loop_app
from tests.celery.on_database import on
from tests.celery.test_worker import REPOSITORY, SECONDS, until
from workrow.celery import Celery, chord, group
from workrow.celery.exceptions import TaskRevokedError
from workrow.celery.foreign_errors import SoftTimeLimitExceeded, TimeLimitExceeded

tasks: Any = loop_app
SLOTS = 20


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    with on(loop_app.app, database_url) as app:
        yield app


@contextmanager
def worker(log: Path) -> Iterator[None]:
    """One of so many slots; it ends in order."""
    words = ["-A", "tests.celery.loop_app", "worker", "-P", "threads", "-c", str(SLOTS), "-l", "info"]
    with log.open("w") as file:
        command = [sys.executable, "-m", "workrow.celery", *words]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ, stderr=file)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0


def value(result: Any) -> Any:
    return result.get(timeout=SECONDS)


def test_many_run_at_the_same_time_in_one_thread_and_each_knows_its_own_call(app: Celery, tmp_path: Path) -> None:
    sent = [tasks.meet.delay(number, SLOTS) for number in range(SLOTS)]
    with worker(tmp_path / "log"):
        said = [value(each) for each in sent]
    for number, (each, (before, in_a_thread, _)) in enumerate(zip(sent, said, strict=True)):
        assert before == [each.id, each.id, number]
        assert in_a_thread == each.id
    assert len({thread for _, _, thread in said}) == 1


def test_hooks_and_signals_are_called_on_the_loop_in_celerys_order(app: Celery, tmp_path: Path) -> None:
    works, breaks, ignored = tasks.works.delay(1), tasks.breaks.delay(), tasks.ignored.delay()
    with worker(tmp_path / "log"):
        assert value(works) == 2
        with pytest.raises(ValueError, match="boom"):
            value(breaks)
        until(lambda: len(value(tasks.told.delay(ignored.id))) == 2)
        told = {each: value(tasks.told.delay(each.id)) for each in (works, breaks, ignored)}
        assert value(chord(group(tasks.works.s(n) for n in range(3)), tasks.works.si(1)).delay()) == 2
    assert [what for what, _ in told[works]] == [
        *("prerun", "before_start", "on_success", "success", "after_return SUCCESS", "postrun")
    ]
    assert [what for what, _ in told[breaks]] == [
        *("prerun", "before_start", "on_failure", "failure", "after_return FAILURE", "postrun")
    ]
    assert [what for what, _ in told[ignored]] == ["prerun", "postrun"]
    assert ignored.state == "PENDING"
    assert len({thread for each in told.values() for _, thread in each}) == 1


def test_time_limits(app: Celery, tmp_path: Path) -> None:
    caught, soft, hard = tasks.soft.delay(True), tasks.soft.delay(False), tasks.hard.delay()
    with worker(tmp_path / "log"):
        assert value(caught) == "SoftTimeLimitExceeded()"
        with pytest.raises(SoftTimeLimitExceeded):
            value(soft)
        with pytest.raises(TimeLimitExceeded, match=r"0\.3"):
            value(hard)


def test_one_is_terminated_and_the_others_go_on(app: Celery, tmp_path: Path) -> None:
    one, other = tasks.waits.delay(), tasks.until_aborted.delay()
    with worker(tmp_path / "log"):
        until(lambda: (one.state, one.info) == ("WAITS", {"n": 1}))
        assert app.control.revoke(one.id, terminate=True, reply=True, timeout=SECONDS)
        with pytest.raises(TaskRevokedError, match="terminated"):
            value(one)
        assert one.state == "REVOKED"
        assert value(tasks.how_it_ended.delay(one.id))
        other.abort()
        assert value(other) == "aborted"


def test_what_they_say_of_themselves_is_written_beside_the_loop_and_before_their_end(
    app: Celery, tmp_path: Path, conn: psycopg.Connection
) -> None:
    def ended(task: str) -> int:
        rows = app.store.connector.get_sync_connector().execute_query_all(
            "SELECT count(*) AS n FROM workrow.history WHERE task_name = %(task)s", task=task
        )
        return int(rows[0]["n"])

    first = tasks.waits.delay()
    with worker(tmp_path / "log"):
        until(lambda: bool(first.state == "WAITS"))
        # nobody can write a state now; the loop goes on
        with conn.transaction():
            conn.execute("LOCK TABLE workrow.celery_results IN SHARE MODE")
            says = tasks.says.apply_async((200,), ignore_result=True)
            fails = tasks.says_and_fails.delay()
            tasks.works.apply_async((1,), ignore_result=True)
            until(lambda: ended("works") == 1)
            assert ended("says") == ended("says_and_fails") == 0
        with pytest.raises(KeyError, match="boom"):
            value(fails)
        until(lambda: says.info == {"n": 199})
        assert value(tasks.says.delay(200)) < 0.5
        app.control.revoke(first.id, terminate=True)
        with pytest.raises(TaskRevokedError):
            value(first)


def test_who_blocks_the_loop_is_named(app: Celery, tmp_path: Path) -> None:
    log = tmp_path / "log"
    sent = tasks.blocks.delay(2.0)
    with worker(log):
        value(sent)
        until(lambda: "blocks[1] has blocked the event loop" in log.read_text())
