"""Workflows as trees and pictures."""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Any

from workrow.cli.workflows.parts import parts_of
from workrow.cli.workflows.pictures import mermaid, svg
from workrow.cli.workflows.tree import tree

Rows = list[dict[str, Any]]


def node(
    number: int, name: str | None, after: Iterable[int] = (), state: str = "waiting", **more: Any
) -> dict[str, Any]:
    blank = {"kind": "task", "fires": None, "job_id": None, "appended_to": None, "attempts": None}
    rest = {"progress": None, "error_type": None, "error": None}
    return {"node": number, "name": name, "parents": list(after), "state": state, **blank, **rest, **more}


def drawn(rows: Rows) -> list[str]:
    return [line.lead + line.text for line in tree(parts_of(rows))]


def test_branches_and_joins() -> None:
    rows = [
        node(0, "fetch", state="succeeded", job_id=1),
        node(1, "left", [0], "running", job_id=2, progress={"done": 1, "total": 4, "message": "pages"}),
        node(2, "more", [1]),
        node(3, "right", [0], "failed", job_id=4, error_type="ValueError", error="no 7\nat all"),
        node(4, None, [2, 3], kind="gather"),
        node(5, "join", [4]),
        node(6, "end", [5]),
        node(7, "note", [3], "enqueued", fires="failure", job_id=9),
        node(8, "never", [3], "skipped", fires="success"),
        node(9, "bye", fires="end"),
    ]
    assert drawn(rows) == [
        "✓ fetch[1]",
        "├─ ● left[2]: running, 25%, pages",
        "│  ↓ · more: waiting",
        "├─ ✗ right[4]: failed: ValueError: no 7",
        "│       on failure: ○ note[9], enqueued",
        "↓ · join: waiting (after right[4], more)",
        "↓ · end: waiting",
        "on completion: · bye, waiting",
    ]


def test_what_is_alike_is_one_line() -> None:
    states = itertools.chain(["succeeded"] * 9000, ["failed"] * 12, ["waiting"] * 988)
    rows = [node(number, "resize", state=state, job_id=number) for number, state in enumerate(states)]
    rows += [node(10_000, None, range(10_000), kind="gather"), node(10_001, "notify", [10_000])]
    times = "\N{MULTIPLICATION SIGN}"
    assert drawn(rows) == [f"✗ resize {times}10,000: 9,000 done, 12 failed, 988 waiting", "↓ · notify: waiting"]
    steps = [node(number, "step", [number - 1] if number else [], "succeeded") for number in range(1000)]
    assert drawn(steps) == [f"✓ step {times}1,000 in a row: 1,000 done"]
    # a group after a group, by way of the first one's end
    pairs = [node(number, "a") for number in range(30)] + [node(30, None, range(30), kind="gather")]
    pairs += [node(31 + number, "b", [30]) for number in range(40)]
    assert drawn(pairs) == [f"· a {times}30: 30 waiting", f"↓ · b {times}40: 40 waiting"]
    assert drawn([]) == []


def test_what_was_appended_stands_below_what_appended_it() -> None:
    rows = [
        node(0, "plan", state="expanded", job_id=1),
        node(1, "end", [0]),
        node(10_000_007, "one", state="running", job_id=2),
        node(10_000_008, "two", [10_000_007], appended_to=0),
    ]
    assert drawn(rows) == [
        "◐ plan[1]: expanded",
        "├─ · end: waiting",
        "└─ ● one[2]: running",
        "   ↓ · two: waiting",
    ]


def test_deep_and_wide_ones_are_drawn() -> None:
    deep = [node(0, "n0")]
    for number in range(1, 3000):
        deep += [
            node(2 * number - 1, f"n{number}", [2 * (number - 1)]),
            node(2 * number, f"m{number}", [2 * (number - 1)]),
        ]
    assert len(drawn(deep)) == len(deep)
    crossed = [node(number, f"a{number}") for number in range(200)]
    crossed += [
        node(200, None, range(200), kind="gather"),
        *(node(201 + each, f"b{each}", [200]) for each in range(200)),
    ]
    assert len(mermaid(parts_of(crossed)).splitlines()) < 1000, "a tangle of 40,000 lines"


def test_pictures_are_whole_whatever_the_names() -> None:
    awkward = 'a <b> & "c" `d` #9\x1b[0m'
    rows = [
        node(0, awkward, state="failed", error_type="E", error="<script>"),
        node(1, "b", [0]),
        node(2, "c", [1]),
        node(3, "d", [0, 2]),
        node(4, "undo", [0], fires="undo"),
    ]
    parts = parts_of(rows)
    text = mermaid(parts)
    assert "n0 -. undo .-> n2" in text
    assert '"]:::failed' in text
    assert not [each for each in ("\x1b", "<b>", "`") if each in text]
    assert text.count('"') == 2 * len(rows)
    drawing = ET.fromstring(svg(parts, awkward.replace("\x1b", "")))
    space = "{http://www.w3.org/2000/svg}"
    boxes = drawing.findall(f"{space}g/{space}rect")
    assert len(boxes) == 5
    assert len(drawing.findall(f"{space}path")) == 5
    # each below those that it follows, and none on another
    tops = [float(box.attrib["y"]) for box in boxes]
    assert tops[0] < tops[1] == tops[2] < tops[3] < tops[4]
    one, other = (boxes[at].attrib for at in (1, 2))
    assert abs(float(one["x"]) - float(other["x"])) >= min(float(one["width"]), float(other["width"]))
    ET.fromstring(svg([], "nothing"))


def test_a_callback_of_the_whole_says_what_calls_it() -> None:
    rows = [node(0, "book"), node(1, "tell", fires="failure")]
    assert '["on failure: tell<br/>waiting"]' in mermaid(parts_of(rows))
