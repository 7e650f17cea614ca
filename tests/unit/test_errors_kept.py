"""An attempt's error as it is stored."""

import io
import json
import logging
from typing import Any

import pytest

from workrow.errors import OptionError
from workrow.logs import OneLine
from workrow.worker.job_logs import HOUSE, MESSAGE_MAX, TRACEBACK_MAX, report, shown
from workrow.worker.outcome import describe


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


def logged(error: BaseException) -> str:
    stream = io.StringIO()
    logger = logging.Logger("attempts")
    logger.addFilter(OneLine())
    logger.addHandler(logging.StreamHandler(stream))
    try:
        raise error
    except BaseException as raised:
        report(logger, logging.ERROR, "%s failed: %s", "job", shown(raised), error=raised)
    return stream.getvalue()


def test_the_log_holds_no_more_of_an_error_than_its_row() -> None:
    told = logged(ValueError("begin" + "x" * 20_000_000 + "end"))
    assert len(told) < MESSAGE_MAX + TRACEBACK_MAX + 200
    assert told.startswith("job failed: ValueError('begin")
    assert "Traceback" in told
    assert "characters left out" in told
    assert told.rstrip().endswith("end")


def test_what_is_short_is_logged_as_it_is() -> None:
    told = logged(ValueError("short"))
    assert told.startswith("job failed: ValueError('short')\n  Traceback (most recent call last):")
    assert told.endswith("\n  ValueError: short\n")


def test_an_error_forges_no_line_of_the_log() -> None:
    forged = "2026-01-01 ERROR forged"
    told = logged(Talking(f"no\n{forged}\r{forged}\x1b[2J\u2028{forged}"))
    first, *others = told.splitlines()
    assert first == f"job failed: no\\n{forged}\\r{forged}\\x1b[2J\\u2028{forged}"
    assert all(line.startswith("  ") for line in others)
    assert others[-1] == f"  {forged}\\r{forged}\\x1b[2J\\u2028{forged}"


class Talking(Exception):
    """Its repr is not Python's."""

    def __repr__(self) -> str:
        return str(self)


@pytest.mark.parametrize(
    ("code", "kept"), [("1 / 0", True), ("from workrow.errors import OptionError; raise OptionError('no')", False)]
)
def test_frames_of_ours_are_kept_for_mistakes_of_ours_alone(code: str, kept: bool) -> None:
    place = f"{HOUSE}/somewhere.py"
    with pytest.raises((ZeroDivisionError, OptionError)) as raised:
        exec(compile(code, place, "exec"))
    error = raised.value
    # without the frames of this test, which calls it as no worker does
    while error.__traceback__ and error.__traceback__.tb_frame.f_code.co_filename != place:
        error.__traceback__ = error.__traceback__.tb_next
    assert (place in json.loads(describe(error, 1, discarded=False))["traceback"]) == kept
