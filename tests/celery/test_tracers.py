"""Sentry's and OpenTelemetry's integrations of Celery, on calls of the door through child processes.

`make celery-tracers` installs them; without them this is skipped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PYTHON = os.environ.get("TRACERS_PYTHON", sys.executable)
REPOSITORY = Path(__file__).parents[2]
PACKAGES = "import sentry_sdk, opentelemetry.instrumentation.celery"


@pytest.fixture
def told(database_url: str, tmp_path: Path) -> list[dict[str, Any]]:
    """What they have told."""
    if subprocess.run([PYTHON, "-c", PACKAGES], capture_output=True, check=False).returncode:
        pytest.skip("sentry-sdk and opentelemetry-instrumentation-celery are not installed: make celery-tracers")
    environment = {**os.environ, "DATABASE_URL": database_url, "OUT": str(tmp_path / "out")}
    command = [PYTHON, "-c", "from tests.celery.traced_app import main; main()"]
    run = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]


def test_calls_are_traced_and_failures_are_captured(told: list[dict[str, Any]]) -> None:
    _hold_sentry(told)
    _hold_opentelemetry(told)


def _hold_sentry(told: list[dict[str, Any]]) -> None:
    runs = [each for each in told if "run" in each]
    (request,) = [each for each in runs if each["run"] == "http.server GET /"]
    events = {each["event"][-1].partition(" Job")[0]: each for each in told if "event" in each}
    assert set(events) == {"ValueError: boom", "WorkerLostError: Worker exited prematurely: exitcode 3"}
    boom = events["ValueError: boom"]
    assert boom["job"] == {"task_name": "fails", "args": "[Filtered]", "kwargs": "[Filtered]"}
    assert boom["trace"] == request["trace"]
    assert list(boom["tags"]) == ["celery_task_id"]
    seen = sorted((each["run"].partition(" ")[2], each["status"]) for each in runs if each is not request)
    assert seen == [
        *(("again", "aborted"), ("again", "ok"), ("expected", "internal_error"), ("fails", "internal_error")),
        *(("inner", "ok"), ("inner", "ok"), ("outer", "ok")),
    ]
    spans = {span: name for each in runs for span, name in each["spans"].items()}
    for each in runs:
        name = each["run"].partition(" ")[2]
        if each is not request:
            assert f"queue.process {name}" in each["spans"].values()
            of = spans.get(each["of"])
            assert of == f"queue.publish {name}" or (of is None and each["trace"] != request["trace"])
    assert sum(each["trace"] != request["trace"] for each in runs) == 1  # the call that says so


def _hold_opentelemetry(told: list[dict[str, Any]]) -> None:
    spans = [each for each in told if "span" in each]
    names = {each["id"]: each["span"] for each in spans}
    above = sorted((each["span"], names.get(each["of"])) for each in spans if each["span"] != "request")
    runs = [
        (f"run/{name}", f"apply_async/{name}") for name in ("again", "again", "expected", "fails", "inner", "inner")
    ]
    assert [each for each in above if each[0].startswith("run/")] == sorted([*runs, ("run/outer", "apply_async/outer")])
    sends = {name: of for name, of in above if name.startswith("apply_async/")}
    assert sends["apply_async/fails"] == sends["apply_async/outer"] == "request"
    assert ("apply_async/inner", "run/outer") in above
    failed = [(each["span"], each["errors"]) for each in spans if each["status"] == "ERROR"]
    assert failed == [("run/fails", ["ValueError"])]
