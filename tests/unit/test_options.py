"""Every option is checked where it is given, with its name, its value and what is allowed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import workrow
from workrow.declare.options import Options


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queue": ""}, "queue=''"),
        ({"queue": "q" * 129}, "has 129 characters, at most 128"),
        ({"priority": 2**31}, "priority=2147483648"),
        ({"priority": True}, "priority=True"),
        ({"priority": 1.5}, r"priority=1.5: must be a whole number"),
        ({"lock": ""}, "lock=''"),
        ({"lock": 3}, "lock=3"),
        ({"queueing_lock": "a\x00"}, "NUL"),
        ({"delay": -1}, "delay=-1: must be .*, between 0"),
        ({"delay": float("inf")}, "delay=inf"),
        ({"delay": "5"}, "delay='5'"),
        ({"delay": 1, "at": datetime.now(UTC)}, "give one of the two"),
        ({"at": datetime(2030, 1, 1)}, "with a time zone"),
        ({"qeue": "x"}, "unknown option qeue='x': did you mean 'queue'"),
        ({"zzz": 1}, "known are queue, priority"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(workrow.OptionError, match=message):
        Options().changed(changes)


def test_a_delay_is_counted_from_the_call() -> None:
    before = datetime.now(UTC)
    at = Options(delay=timedelta(minutes=1)).scheduled_at
    assert at is not None
    assert timedelta(0) <= at - before - timedelta(minutes=1) < timedelta(seconds=5)
    assert Options(delay=0).scheduled_at is None


def test_delay_and_at_replace_each_other() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    assert Options(delay=5).changed({"at": at}).scheduled_at == at
    assert Options(at=at).changed({"delay": 5}).at is None
    assert Options(at=at).changed({"queue": "q"}).at == at
