"""An attempt's error as it is stored."""

import json
from typing import Any

from procrastinate.jobs import Job

from workrow.worker.upstream import TRACEBACK_MAX, describe

JOB = Job(queue="q", lock=None, queueing_lock=None, task_name="t", attempts=2)


def described(error: BaseException) -> dict[str, Any]:
    try:
        raise error
    except BaseException as raised:
        kept: dict[str, Any] = json.loads(describe(raised, JOB, discarded=True))
        return kept


def test_what_jsonb_refuses_is_spelt_out() -> None:
    kept = described(ValueError("a\x00b\ud800"))
    assert kept["message"] == "a\\x00b\\ud800"
    assert (kept["attempt"], kept["type"], kept["discarded"]) == (3, "ValueError", True)


def test_a_long_traceback_loses_its_middle() -> None:
    kept = described(ValueError("begin" + "x" * 100_000 + "end"))
    assert len(kept["message"]) == 10_000
    assert len(kept["traceback"]) < TRACEBACK_MAX + 100
    assert "characters left out" in kept["traceback"]
    assert kept["traceback"].startswith("Traceback")
    assert kept["traceback"].rstrip().endswith("end")
