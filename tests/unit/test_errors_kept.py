"""An attempt's error as it is stored."""

import json
from typing import Any

from workrow.worker.outcome import TRACEBACK_MAX, describe


def described(error: BaseException) -> dict[str, Any]:
    try:
        raise error
    except BaseException as raised:
        kept: dict[str, Any] = json.loads(describe(raised, 3, discarded=True))
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
