"""docs/from-celery.md: its table says of every public name of Celery what is true of it here."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.celery.offered import NAMES, PAGE, VERDICTS, Row, is_asked, is_offered, rows

TABLE = list(rows())


def said(*verdicts: str) -> list[tuple[str, str]]:
    return [each for row in TABLE if row.verdict in verdicts for each in row.names()]


def test_the_table_has_every_name_once() -> None:
    told = Counter(each for row in TABLE for each in row.names())
    every = {(group, name) for group, names in NAMES.items() for name in names}
    assert sorted(every - set(told)) == []
    assert [each for each, times in told.items() if times > 1] == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.groups[0]} {row.patterns[0]}")
def test_a_line_has_a_verdict_and_names_that_there_are(row: Row) -> None:
    assert row.verdict in VERDICTS
    assert row.note or row.verdict == "supported", "say how it differs, or why it is refused"
    found = {name for _, name in row.names()}
    for pattern in row.patterns:
        assert "*" in pattern or pattern in found, f"Celery has no {pattern}; run tests/celery/celery_names.py"
    assert found


def test_what_is_supported_is_there() -> None:
    assert [each for each in said("supported", "differs") if not is_offered(*each)] == []


def test_what_is_refused_is_not_there() -> None:
    """Who fails here has brought a name: say so in docs/from-celery.md."""
    assert [each for each in said("refused") if is_asked(each[0]) and is_offered(*each)] == []


def test_the_list_is_of_the_celery_that_the_page_names() -> None:
    listed = json.loads((Path(__file__).parent / "data" / "celery_names.json").read_text())["celery"]
    assert f"Of Celery {listed.rpartition('.')[0]}." in PAGE.read_text()
