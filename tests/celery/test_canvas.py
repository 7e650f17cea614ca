"""Every shape of the table comes to what it comes to on Celery and Redis."""

import json
from pathlib import Path

from tests.celery.memory import Memory
from tests.celery.notation import observe

DATA = Path(__file__).parent / "data"
CASES = [each for file in sorted(DATA.glob("canvas*.json")) for each in json.loads(file.read_text())["cases"]]


def test_every_shape_comes_to_what_it_comes_to_on_celery() -> None:
    assert len(CASES) == 232 + 80
    wrong = {}
    for case in CASES:
        seen = observe(case, Memory())
        if seen not in [case["expected"], *case.get("also_seen", ())]:
            wrong[case["id"]] = seen
    assert not wrong
