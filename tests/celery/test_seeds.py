"""The code blocks of documents about tasks with Celery run as they are written, but for the import."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.celery.seeds import DATA, blocks_of, build, every, ours

SECONDS = 60
BLOCKS = every()
ORIGINALS = os.environ.get("WORKROW_SEEDS")
"""A directory with the documents that the blocks are of."""
Blocks = dict[str, Any]


class Project:
    """A document's project, and its database."""

    def __init__(self, document: str, directory: Path, database_url: str) -> None:
        build(document, directory)
        self.directory = directory
        self.database_url = database_url
        self.environment = {**os.environ, "DATABASE_URL": database_url}

    def drive(self, *words: str) -> Blocks:
        """What the project has seen of its blocks."""
        command = [sys.executable, "drive.py", *words]
        run = subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=4 * SECONDS
        )
        assert run.returncode == 0, run.stdout + run.stderr + self.log
        seen: Blocks = json.loads((self.directory / "seen.json").read_text())
        return seen

    @contextmanager
    def running(self, command: str, *more: str) -> Iterator[None]:
        """A command of a block, until the end."""
        python, *words = shlex.split(command)
        assert python == "python"
        with (self.directory / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, *words, *more], cwd=self.directory, env=self.environment, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0, self.log

    @property
    def log(self) -> str:
        path = self.directory / "log"
        return path.read_text() if path.exists() else ""

    def notes(self) -> list[list[Any]]:
        path = self.directory / "notes.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def until(self, found: Callable[[], Any]) -> None:
        late = time.monotonic() + SECONDS
        while not found():
            assert time.monotonic() < late, self.log
            time.sleep(0.05)

    def send_all_of_beat(self, beat: str, times: dict[str, str]) -> None:
        """Beat declares its entries; a week and a day later it sends all, and tells the next times."""
        declared = "SELECT name, next_run_at FROM workrow.celery_schedules WHERE next_run_at IS NOT NULL"
        with self.running(beat):
            self.until(lambda: len(self.execute(declared)) > len(times))
            self.execute("UPDATE workrow.celery_beat SET last_run_at = last_run_at - interval '8 days'")
            rows = f"{declared} AND last_run_at > now() - interval '1 day'"
            self.until(lambda: len(self.execute(rows)) > len(times))
        due = {name: f"{at:%a %H:%M}" if "weekly" in name else f"{at:%H:%M}" for name, at in self.execute(rows)}
        assert {name: due[name] for name in times} == times


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Project:
    return Project(request.param, tmp_path, database_url)


def test_every_block_that_uses_celery_is_held() -> None:
    counted = Counter(name[:3] for name, block in BLOCKS.items() if block.uses_celery)
    assert counted == {"001": 16, "002": 3, "003": 4, "004": 2}
    others = {name: block.text for name, block in BLOCKS.items() if not block.uses_celery}
    assert set(others) == {"003-1", "003-6", "003-7", "004-3", "004-4"}  # a tree, a mock, pytest, and just
    held = "\n".join(path.read_text() for path in DATA.rglob("*.txt")) + Path(__file__).read_text()
    for name, block in BLOCKS.items():
        document, number = name.split("-")
        if block.uses_celery:
            files = "\n".join(path.read_text() for path in (DATA / document).rglob("*.txt"))
            assert f"#: block {number}\n" in files or f'"{name}"' in held, name


@pytest.mark.skipif(not ORIGINALS, reason="WORKROW_SEEDS names no directory with the documents")
def test_the_blocks_are_those_of_the_documents() -> None:
    documents = sorted(Path(ORIGINALS or "").glob("*.txt"))
    found = [block for path in documents for block in blocks_of(path.read_text())]
    assert found == [*BLOCKS.values()]


def test_a_block_is_changed_in_nothing_but_its_import_and_where_it_leaves_out_what_is_done() -> None:
    changed = Counter(
        (old.strip(), new.strip())
        for block in BLOCKS.values()
        for old, new in _lines_that_differ(block.text, ours(block))
    )
    assert changed == {
        ("from celery import chain", "from workrow.celery import chain"): 1,
        ("from celery import group", "from workrow.celery import group"): 1,
        ("from celery.result import AsyncResult", "from workrow.celery.result import AsyncResult"): 1,
        ("from celery.schedules import crontab", "from workrow.celery.schedules import crontab"): 1,
        ("", "left_out(locals())"): 2,
        ("pass", "left_out(locals())"): 3,
        **{
            (f"celery {words}", f"python -m workrow.celery {words}"): 1
            for words in (
                "-A app.core.celery_app:celery_app inspect active",
                "-A app.core.celery_app:celery_app inspect scheduled",
                "-A app.core.celery_app:celery_app inspect reserved",
                "-A app.core.celery_app:celery_app beat --loglevel=info",
                "-A backend.celery_app worker -Q default,lead_tasks,call_tasks,analytics_tasks,campaign_tasks",
            )
        },
    }


def _lines_that_differ(old: str, new: str) -> Iterator[tuple[str, str]]:
    olds, news = old.splitlines(), new.splitlines()
    while olds or news:
        one, other = olds[:1], news[:1]
        if one != other and other and other[0].strip() == "left_out(locals())" and one != ["pass"] and _not_pass(one):
            yield "", news.pop(0)
            continue
        if one != other:
            yield "".join(one), "".join(other)
        olds, news = olds[1:], news[1:]


def _not_pass(lines: list[str]) -> bool:
    return not lines or lines[0].strip() != "pass"


@pytest.mark.parametrize("project", ["001"], indirect=True)
def test_a_guide_to_background_tasks(project: Project) -> None:
    worker = "python -m workrow.celery -A app.core.celery_app:celery_app worker --loglevel=INFO -c 2"
    with project.running(worker):
        seen = project.drive()
        times = {"cleanup-every-day": "02:00", "send-reports-weekly": "Mon 09:00"}
        project.send_all_of_beat(ours(BLOCKS["001-12"]).strip(), times)
        project.until(lambda: ["cleaned up"] in project.notes() and ["reported"] in project.notes())
    down = "ConnectionError('the mail server is down')"
    assert seen.pop("1") == [[[]], "2"]  # one mail; what is not idempotent has counted twice
    assert seen.pop("2") == [[[]], [60], down, 4]
    assert seen.pop("3") == [None, "ValueError('boom')"]
    assert "] Processing data for user ann\n" in project.log
    assert "] Completed processing for user ann\n" in project.log
    assert "] Failed to process data for user boom: boom\n" in project.log
    assert seen.pop("4") == [None, [["ann"]]]
    assert seen.pop("5") == [600, 540, [[{"data_id": "d"}]]]
    done = {"status": "success", "data": "..."}
    assert seen.pop("6") == ["tasks.my_custom_task", done, [60], "ValueError('boom')"]
    assert project.log.count("] Task failed: boom\n") == 4
    assert seen.pop("8") == [[60], done]
    assert seen.pop("9") == ["PENDING", "None", "SUCCESS", str(done)]
    assert seen.pop("13") == [[["hello", "text"]], down, 4]
    assert seen.pop("14") == [[1], [2], [3]]
    assert seen.pop("15") == 4
    assert seen.pop("16") == [*range(1, 11)]
    inspected = seen.pop("10")
    assert seen == {}
    (active, scheduled, reserved) = inspected
    assert [each[1] for each in inspected] == [0, 0, 0]
    assert "tasks.nap" in active[2]
    assert "tasks.my_custom_task" in scheduled[2]
    assert "tasks.nap" not in reserved[2]


@pytest.mark.parametrize("project", ["002"], indirect=True)
def test_standards_for_tasks_and_workers(project: Project) -> None:
    with project.running("python -m workrow.celery -A backend.celery_app worker -c 1"):
        seen = project.drive()
        # the block has no time zone: it is UTC
        beat = "python -m workrow.celery -A backend.celery_app beat"
        project.send_all_of_beat(beat, {"task-name": "03:15"})
        project.until(lambda: ["deactivated"] in project.notes())
    name = "backend.apps.users.tasks.send_welcome_email"
    assert seen == {"1": [name, None, "SUCCESS", [[{"user_id": 7}]]], "2": [0, [[1]]]}


@pytest.mark.parametrize("project", ["003"], indirect=True)
def test_tasks_and_queues_of_a_dashboard(project: Project) -> None:
    of_one_queue, of_all = (line for line in ours(BLOCKS["003-3"]).splitlines() if line.startswith("python"))
    with project.running(of_one_queue):
        unheard, error, waits, value, calls = project.drive()["4"]
    assert unheard == "PENDING"  # TASK_DEFAULT_QUEUE is none of the queues that the workers have
    assert error == "ConnectionError('boom')"
    assert waits == [[5], [10], [20]]
    assert value is None
    assert [call["args"] for call in calls] == [["boom"]] * 4 + [[1]]
    with project.running(of_all):
        assert project.drive("once")["5"] == [None, [[]], [[{}]]]
    assert project.execute("SELECT queue_name FROM procrastinate_jobs") == [("lead_queue",)]


@pytest.mark.parametrize("project", ["004"], indirect=True)
def test_a_service_that_sends_mails(project: Project) -> None:
    with project.running("python -m workrow.celery -A app.worker.celery_app worker -c 1 --loglevel INFO"):
        seen = project.drive()
    status, answer, state = seen.pop("2")
    assert (status, answer) == (200, {"id": 42, "email": "ann@x"})
    assert state in ("PENDING", "STARTED")  # the task takes five seconds, and the answer does not wait for it
    assert seen == {"1": {"status": "success", "user_id": 42}}
    assert "] Sending welcome email to user 42...\n" in project.log
    assert "] Successfully sent welcome email to user 42.\n" in project.log
