"""Every shape of the table comes to what it comes to on Celery and Redis."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.celery.memory import Memory
from tests.celery.notation import build, observe

DATA = Path(__file__).parent / "data"
CASES = [each for file in sorted(DATA.glob("canvas*.json")) for each in json.loads(file.read_text())["cases"]]


def test_every_shape_comes_to_what_it_comes_to_on_celery() -> None:
    assert len(CASES) == 232 + 86
    wrong = {}
    for case in CASES:
        seen = observe(case, Memory())
        if seen not in [case["expected"], *case.get("also_seen", ())]:
            wrong[case["id"]] = seen
    assert not wrong


PART, FAILS = {"task": "collect"}, {"task": "fail"}
BOTH = {"group": [PART, PART]}


@pytest.mark.parametrize(
    "shape",
    [
        {"chain": [FAILS, BOTH]},
        {"chain": [FAILS, {"chord": [PART], "body": BOTH}]},
        {"chord": [{"chord": [FAILS], "body": PART}], "body": PART},
        {"chord": [FAILS], "body": {"chain": [PART, BOTH]}},
        {"chord": [{"chord": [FAILS], "body": {"chain": [PART, PART]}}], "body": PART},
    ],
    ids=str,
)
def test_what_never_ends_on_celery_ends_here(shape: dict[str, Any]) -> None:
    place = Memory()
    result = build(place.app, shape).apply_async()
    place.rest()
    assert result.failed()
