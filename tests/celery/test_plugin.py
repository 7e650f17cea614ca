"""The plugin for pytest: a suite that was written for Celery's has the same outcomes on ours."""

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.celery import worker_app
from tests.celery.plugin import FILES, OUTCOMES, outcomes, write
from workrow.celery import Celery, current, signals
from workrow.celery.contrib.testing.app import TestApp
from workrow.celery.contrib.testing.worker import start_worker


def test_a_suite_for_celerys_plugin_has_the_same_outcomes_on_ours(tmp_path: Path, cluster_url: str) -> None:
    write(tmp_path, is_ours=True)
    seen = outcomes(tmp_path, FILES, WORKROW_TEST_DATABASE_URL=cluster_url)
    assert seen == json.loads(OUTCOMES.read_text())["outcomes"]
    assert {*seen.values()} == {"PASSED", "FAILED", "ERROR"}


@pytest.fixture
def app(database_url: str) -> Iterator[Celery]:
    app = TestApp(broker=database_url)
    yield app
    app.close()


def test_a_task_that_does_not_end_is_told_when_the_worker_is_to(app: Celery) -> None:
    over = threading.Event()

    @app.task
    def endless() -> None:
        over.wait(60)

    def run() -> None:
        with start_worker(app, shutdown_timeout=0.2):
            result = endless.apply_async(track_started=True)
            while result.state == "PENDING" and not doing(app):
                time.sleep(0.01)

    with pytest.raises(RuntimeError, match=r"has not ended within 0\.2 s: a task still runs"):
        run()
    over.set()
    for thread in threading.enumerate():
        if thread.name.startswith("gen"):
            thread.join(10)


def doing(app: Celery) -> bool:
    with psycopg.connect(app.database_url()) as connection:
        found = connection.execute("SELECT 1 FROM procrastinate_jobs WHERE status = 'doing'").fetchone()
    return found is not None


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"concurency": 2}, TypeError, "concurency=2: no parameter of a worker; there are beat, hostname"),
        ({"queues": ["a"], "ping_task_timeout": 0.1}, TimeoutError, "The operation timed out"),
    ],
    ids=["a parameter that there is not", "a worker that does not look at the queue of the ping"],
)
def test_what_a_worker_cannot_be_told(app: Celery, given: dict[str, Any], error: type[Exception], text: str) -> None:
    def run() -> None:
        with start_worker(app, **given):
            pass

    with pytest.raises(Exception, match=text) as raised:
        run()
    assert isinstance(raised.value, error) or type(raised.value).__name__ == error.__name__


def test_a_database_without_our_tables_is_told_before_the_first_test(cluster_url: str) -> None:
    app = TestApp(broker=cluster_url)
    with pytest.raises(Exception, match="schema"), start_worker(app):
        pass
    app.close()


def test_parameters_that_mean_nothing_here_are_told(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        start_worker(app, pool="prefork", prefetch_multiplier=1, without_heartbeat=False, time_limit=60),
    ):
        pass
    told = [each.getMessage() for each in caplog.records if "contrib" in each.name]
    assert told == [
        "prefetch_multiplier: parameters of Celery's worker that change nothing here",
        "pool='prefork': calls run in threads, since child processes cannot import this app",
    ]
    assert app.conf.task_time_limit == 60


def test_an_app_that_can_be_imported_has_child_processes(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setattr(worker_app.app, "store", type(worker_app.app.store)(worker_app.app.database_url))
    worker_app.app.__dict__.pop("backend", None)
    quiet = signals.setup_logging.connect(lambda **_: None, weak=False)  # or it takes pytest's handlers away
    with start_worker(worker_app.app, pool="prefork", perform_ping_check=False):
        process = worker_app.app.send_task("process_id").get(timeout=30)
    signals.setup_logging.disconnect(quiet)
    worker_app.app.close()
    worker_app.app.__dict__.pop("backend", None)
    assert process != os.getpid()


def test_two_workers_of_a_process_have_an_app_each(app: Celery, database_url: str) -> None:
    other = TestApp("other", broker=database_url, config={"task_default_queue": "others"})
    for each in (app, other):
        each.task(name="whose", bind=True)(lambda self: self.app.main)
    with start_worker(app), start_worker(other):
        handles = [each.tasks["whose"].delay() for each in (app, other)]
        assert [each.get(timeout=10) for each in handles] == ["celery.tests", "other"]
        assert current.current_app() is other
    other.close()
