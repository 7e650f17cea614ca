"""What docs/guarantees.md promises has a mechanism, a limit and tests that are there."""

import re
from pathlib import Path

import pytest

from tests.chaos.judge import INVARIANTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
PROMISES = dict(each.split("\n", 1) for each in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("promise", PROMISES)
def test_the_promise_has_a_mechanism_a_limit_and_tests_that_are_there(promise: str) -> None:
    parts = re.split(r"^- \*\*(How|Limits|Tests)\.\*\*", PROMISES[promise], flags=re.MULTILINE)
    assert parts[1::2] == ["How", "Limits", "Tests"]
    files = re.findall(r"`(\w+/test_\w+\.py)`", parts[-1])
    assert files
    text = "".join((ROOT / "tests" / file).read_text(encoding="utf-8") for file in files)
    assert not [name for name in re.findall(r"`(Test\w+)`", parts[-1]) if f"class {name}" not in text]
    assert set(re.findall(r"\*([^*]+)\*", parts[-1].removeprefix(" "))) <= set(INVARIANTS)
