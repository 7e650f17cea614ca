"""What differs between a row and what was seen, and which of it is meant to."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ABSENT = {"absent": True}
ANYTHING = "…"


def differences(expected: Any, seen: Any, about: float = 0, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each place that differs: its path, what was expected and what was seen there."""
    if isinstance(expected, dict) and isinstance(seen, dict):
        for key in sorted({*expected, *seen}):
            yield from differences(expected.get(key, ABSENT), seen.get(key, ABSENT), about, f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(seen, list) and len(expected) == len(seen):
        for index, (one, other) in enumerate(zip(expected, seen, strict=True)):
            yield from differences(one, other, about, f"{path}[{index}]")
    elif not _same(expected, seen, about):
        yield path or ".", expected, seen


def _same(expected: Any, seen: Any, about: float) -> bool:
    if isinstance(expected, bool) or isinstance(seen, bool):
        return expected is seen
    if isinstance(expected, int | float) and isinstance(seen, int | float):
        return abs(expected - seen) <= about
    return bool(expected == seen)


class Deviation(NamedTuple):
    """Where the door does something else on purpose.

    Attributes:
        rows: a regular expression on ids.
        at: of each path that differs (a regular expression), what is there; "…" is anything.
        what: differs.
        why: it does.
        docs: the page and the anchor that say so.
    """

    rows: str
    at: dict[str, Any]
    what: str
    why: str
    docs: str

    def means(self, row_id: str) -> bool:
        return re.fullmatch(self.rows, row_id) is not None

    def covers(self, path: str, seen: Any) -> bool:
        return any(re.fullmatch(place, path) and here in (ANYTHING, seen) for place, here in self.at.items())


def read_deviations(file: Path) -> list[Deviation]:
    return [Deviation(**each) for each in json.loads(file.read_text())]


class Verdict(NamedTuple):
    """What a row came to.

    Attributes:
        word: ``agree``, ``deliberate``, ``wrong``, or ``unstable``: it differs, and Celery itself gives no one answer.
    """

    row_id: str
    word: str
    differs: Sequence[tuple[str, Any, Any]] = ()
    meant: Sequence[Deviation] = ()
    note: str = ""


def judge(row: dict[str, Any], expected: Any, seen: Any, deviations: Iterable[Deviation], about: float = 0) -> Verdict:
    """Compare with what the row has, and with what else it was seen to be."""
    variants = [expected, *row.get("also_seen", ())]
    differs = min((list(differences(variant, seen, about)) for variant in variants), key=len)
    if not differs:
        return Verdict(row["id"], "agree")
    mine = [each for each in deviations if each.means(row["id"])]
    meant = [[each for each in mine if each.covers(path, there)] for path, _, there in differs]
    if all(meant):
        return Verdict(row["id"], "deliberate", differs, list({each[0].what: each[0] for each in meant}.values()))
    if row.get("unstable"):
        return Verdict(row["id"], "unstable", differs)
    return Verdict(row["id"], "wrong", [place for place, known in zip(differs, meant, strict=True) if not known])


def not_occurring(deviations: Iterable[Deviation], verdicts: Iterable[Verdict]) -> list[Deviation]:
    """Those of which rows were run, and none of them shows it any more."""
    verdicts = list(verdicts)
    shown = [deviation for verdict in verdicts for deviation in verdict.meant]
    return [
        each for each in deviations if any(each.means(verdict.row_id) for verdict in verdicts) and each not in shown
    ]
