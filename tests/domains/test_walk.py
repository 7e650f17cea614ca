"""docs/application.md walks one request through the code: what it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALK = (ROOT / "docs" / "application.md").read_text().split("## One request", 1)[1].split("\n## ", 1)[0]
STEPS = re.findall(r"^\d+\. .*(?:\n   .*)*", WALK, re.MULTILINE)


def test_it_is_a_walk() -> None:
    assert len(STEPS) > 8


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.split(".")[0])
def test_each_step_names_what_is_there(step: str) -> None:
    words = re.findall(r"`([^`]+)`", step)
    files = [word for word in words if word.endswith(".py")]
    text = "\n".join((ROOT / name).read_text() for name in files)
    for name in [word for word in words if re.fullmatch(r"@?\w+", word) and files]:
        assert re.search(rf"(?<!\w){name}\b", text), f"{name} is not in {files}"
