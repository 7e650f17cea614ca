"""What of a workflow is drawn as one: a node, or many that are alike."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from workrow.logs import printable

FOLD = 10
"""So many nodes that are alike are drawn as one."""
EDGES = 60
"""What waits for all of a group is joined to each of it by a line, up to so many; else the group's end is drawn."""
WORDS = {"succeeded": "done"}
ORDER = (
    "failed", "running", "enqueued", "expanded", "ready", "waiting", "cancelled", "skipped", "succeeded"
)  # fmt: skip
"""Of several states, the first is that of the whole."""

Row = Mapping[str, Any]


@dataclass(slots=True)
class Part:
    """A node, or several that are alike.

    Attributes:
        label: its name, or its task's.
        fires: of a callback: on what; see the view ``workrow.workflow_nodes``.
        rows: the nodes.
        parents: the places of the parts that it follows.
        row_of: whether the nodes follow each other.
    """

    label: str
    fires: str | None
    rows: list[Row]
    parents: list[int] = field(default_factory=list)
    row_of: bool = False

    @property
    def state(self) -> str:
        """Its state, or the one of its nodes that matters most."""
        states = {row["state"] for row in self.rows}
        return next((state for state in ORDER if state in states), "waiting")

    @property
    def title(self) -> str:
        """What it is."""
        if len(self.rows) > 1:
            return f"{self.label} \N{MULTIPLICATION SIGN}{len(self.rows):,}{' in a row' if self.row_of else ''}"
        job_id = self.rows[0]["job_id"]
        return self.label if job_id is None else f"{self.label}[{job_id}]"

    @property
    def told(self) -> str:
        """How it is."""
        if len(self.rows) > 1:
            states = Counter(row["state"] for row in self.rows)
            return ", ".join(
                f"{states[each]:,} {WORDS.get(each, each)}" for each in ("succeeded", *ORDER[:-1]) if states[each]
            )
        row, words = self.rows[0], []
        if row["state"] == "failed" and row["error_type"]:
            words.append(printable(f"failed: {row['error_type']}: {(row['error'] or '').partition(chr(10))[0]}"))
        elif row["state"] != "succeeded":
            words.append(row["state"])
        if row["attempts"] and row["state"] in ("running", "enqueued"):
            words.append(f"attempt {row['attempts'] + 1}")
        if row["state"] == "running" and (progress := row["progress"]):
            done, total = progress["done"], progress.get("total")
            words.append(f"{done / total:.0%}" if total else f"{done:g} done")
            words += [printable(progress["message"])] if progress.get("message") else []
        return ", ".join(words)


def parts_of(rows: Sequence[Row]) -> list[Part]:
    """The parts of a workflow, each after those that it follows.

    Args:
        rows: of ``read_workflow_nodes.sql``.
    """
    ordered = _in_order(rows)
    parts, place = _folded(ordered)
    for row, parents in ordered:
        part = parts[place[row["node"]]]
        part.parents += {place[each] for each in parents} - set(part.parents)
    for part in parts:
        part.parents.sort()
    return _without(_in_a_row(parts))


def _in_order(rows: Sequence[Row]) -> list[tuple[Row, list[int]]]:
    """Each node with those that it follows, which come before it. What was appended follows what it was appended to."""
    known = {row["node"]: row for row in rows}
    parents = {number: [each for each in row["parents"] if each in known] for number, row in known.items()}
    for row in rows:
        if row["appended_to"] in known:
            seen, left = set(), [row["node"]]
            while left:
                number = left.pop()
                if number not in seen:
                    seen.add(number)
                    left += parents[number]
            for number in seen:
                parents[number] = parents[number] or [row["appended_to"]]
    order = TopologicalSorter(parents).static_order()
    # by number where nothing else says
    depth: dict[int, int] = {}
    for number in order:
        depth[number] = max((depth[each] + 1 for each in parents[number]), default=0)
    return [(known[each], parents[each]) for each in sorted(known, key=lambda each: (depth[each], each))]


def _folded(ordered: Iterable[tuple[Row, list[int]]]) -> tuple[list[Part], dict[int, int]]:
    """The parts, without what they follow, and which node is in which."""
    kinds: dict[Any, int] = {}
    kind_of: dict[int, int] = {}
    alike: dict[int, list[Row]] = defaultdict(list)
    for row, parents in ordered:
        after = frozenset(kind_of[each] for each in parents)
        kind = kinds.setdefault((row["name"], row["kind"], row["fires"], after), len(kinds))
        kind_of[row["node"]] = kind
        alike[kind].append(row)
    parts: list[Part] = []
    place: dict[int, int] = {}
    for row, _ in ordered:
        if row["node"] in place:
            continue
        same = alike[kind_of[row["node"]]]
        together = same if len(same) >= FOLD else [row]
        place |= {each["node"]: len(parts) for each in together}
        parts.append(Part(printable(row["name"] or "all of them"), row["fires"], list(together)))
    return parts, place


def _in_a_row(parts: list[Part]) -> list[Part]:
    """Tasks that follow each other, each alone and all alike, as one."""
    followers = Counter(parent for part in parts for parent in part.parents)
    first: dict[int, int] = {}
    for at, part in enumerate(parts):
        first[at] = at
        if len(part.parents) == 1 and len(part.rows) == 1:
            (before,) = part.parents
            same = parts[before]
            if followers[before] == 1 and len(same.rows) == 1 and _like(same) == _like(part):
                first[at] = first[before]
    lengths = Counter(first.values())
    return _merged(parts, {at: head for at, head in first.items() if lengths[head] >= FOLD})


def _like(part: Part) -> tuple[Any, ...]:
    return part.label, part.fires, part.rows[0]["kind"]


def _merged(parts: list[Part], into: Mapping[int, int]) -> list[Part]:
    kept = [at for at in range(len(parts)) if into.get(at, at) == at]
    place = {at: number for number, at in enumerate(kept)}
    for at, head in into.items():
        if at != head:
            parts[head].rows += parts[at].rows
            parts[head].row_of = True
    for at, part in enumerate(parts):
        if into.get(at, at) == at:
            part.parents = sorted({place[into.get(each, each)] for each in part.parents})
    return [parts[at] for at in kept]


def _without(parts: list[Part]) -> list[Part]:
    """The same without nodes that only hold values together, where that makes no tangle of lines."""
    children = Counter(parent for part in parts for parent in part.parents)
    gone: dict[int, list[int]] = {}
    for at, part in enumerate(parts):
        part.parents = sorted({up for each in part.parents for up in gone.get(each, [each])})
        if part.rows[0]["kind"] != "task" and len(part.parents) * children[at] <= EDGES:
            gone[at] = part.parents
    place = {at: number for number, at in enumerate(each for each in range(len(parts)) if each not in gone)}
    for part in parts:
        part.parents = [place[each] for each in part.parents if each in place]
    return [parts[at] for at in place]
