"""The runner of the tables: what it calls the same, and what not."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.celery.conformance.comparison import Deviation, differences, judge, not_occurring
from tests.celery.conformance.values import Colour, Level, NotUnderstood, value
from tests.celery.memory import Memory
from tests.celery.notation import observe

DOCS = Path(__file__).parents[2] / "docs" / "from-celery.md"


@pytest.mark.parametrize(
    ("expected", "seen", "about", "paths"),
    [
        ({"a": 1}, {"a": 1}, 0, []),
        ({"a": 1, "b": [1, 2]}, {"a": 2, "b": [1, 3]}, 0, [".a", ".b[1]"]),
        ({"a": None}, {}, 0, [".a"]),
        ([1, 2], [1, 2, 3], 0, ["."]),
        ({"a": [0, 6, 12]}, {"a": [1, 6, 11]}, 1, []),
        ({"a": [0, 6, 12]}, {"a": [2, 6, 12]}, 1, [".a[0]"]),
        ({"a": True}, {"a": 1}, 1, [".a"]),
        ({"a": "1"}, {"a": 1}, 1, [".a"]),
    ],
)
def test_differences(expected: Any, seen: Any, about: float, paths: list[str]) -> None:
    assert [path for path, _, _ in differences(expected, seen, about)] == paths


@pytest.mark.timed
@pytest.mark.timeout(600)
def test_the_tables_through_workers(cluster_url: str) -> None:
    """Shapes and behaviours, each on a database of its own with worker processes; the slowest rows are left out."""
    command = [sys.executable, "-m", "tests.celery.conformance", "--server", cluster_url, "--lanes", "2"]
    told = subprocess.run([*command, "--longest", "10", "--tries", "3"], capture_output=True, text=True, check=False)
    last = told.stdout.strip().rpartition("\n")[2]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last)}
    assert (counts["wrong"], counts["agree"] > 600) == (0, True), told.stdout[-5000:] + told.stderr[-2000:]
    assert "no longer" not in told.stdout
    said = re.search(r"agree but (\d+) that differ on purpose as said here; (\d+) that take longer", DOCS.read_text())
    assert said is not None
    assert (int(said[1]), int(said[2])) == (counts["deliberate"], counts["left"])


STATE = Deviation("some/.*", {r"\.state": "REVOKED"}, "the state", "it has one", "docs/from-celery.md#states")
ROW = {"id": "some/row"}


def test_what_is_listed_is_deliberate_and_the_rest_is_wrong() -> None:
    agreed, other = {"state": "PENDING", "value": 1}, {"state": "REVOKED", "value": 1}
    assert judge(ROW, agreed, agreed, [STATE]).word == "agree"
    meant = judge(ROW, agreed, other, [STATE])
    assert (meant.word, list(meant.meant)) == ("deliberate", [STATE])
    assert judge({"id": "row"}, agreed, other, [STATE]).word == "wrong"
    assert judge(ROW, agreed, {"state": "FAILURE", "value": 1}, [STATE]).word == "wrong"
    wrong = judge(ROW, agreed, {"state": "REVOKED", "value": 2}, [STATE])
    assert (wrong.word, list(wrong.differs)) == ("wrong", [(".value", 1, 2)])


def test_nobody_is_held_to_what_celery_itself_does_not_always_do() -> None:
    row = {**ROW, "unstable": True, "also_seen": [2]}
    assert [judge(row, 1, seen, []).word for seen in (1, 2, 3)] == ["agree", "agree", "unstable"]


def test_a_deviation_that_does_not_occur_any_more_is_told() -> None:
    agreed = judge(ROW, "SUCCESS", "SUCCESS", [STATE])
    meant = judge({"id": "some/other"}, {"state": "PENDING"}, {"state": "REVOKED"}, [STATE])
    assert not_occurring([STATE], [agreed]) == [STATE]
    assert not_occurring([STATE], [agreed, meant]) == []
    assert not_occurring([STATE], [judge({"id": "row"}, 1, 1, [STATE])]) == []


def test_values_are_read_from_their_repr() -> None:
    for text in ("(1, (2,))", "nan", "UUID('00000000-0000-0000-0000-000000000005')", "{'a': Decimal('2.50')}"):
        assert repr(value(text)) == text
    assert value("[<Colour.RED: 'red'>, <Level.LOW: 1>, <class 'int'>]") == [Colour.RED, Level.LOW, int]
    assert type(value("<object object at 0x>")) is object
    with pytest.raises(NotUnderstood, match="no value is read from '<other thing>'"):
        value("<other thing>")


@pytest.mark.parametrize("shape", [{"task": "add", "stamp": {"a": 1}}, {"group": [{"other": "add"}]}, {"args": [1]}])
def test_a_shape_in_another_notation_is_not_understood(shape: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood, match="the notation of shapes has no"):
        observe({"shape": shape}, Memory())
