"""A workflow as lines of text: what follows one thing below it, what follows several below all of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workrow.cli.workflows.parts import Part

SIGNS = {
    "succeeded": "✓", "failed": "✗", "running": "●", "enqueued": "○", "ready": "‖", "waiting": "·",
    "cancelled": "⊘", "skipped": "~", "expanded": "◐",
}  # fmt: skip
FIRES = {"success": "on success", "failure": "on failure", "end": "on completion", "undo": "undo"}
NAMED = 3
"""So many names are said of what a part waits for."""
TOP = -1


@dataclass(frozen=True, slots=True)
class Line:
    """A line: lines of the tree, a text, and the state that colours it."""

    lead: str
    text: str
    state: str


def tree(parts: Sequence[Part]) -> Iterator[Line]:
    """The lines.

    Args:
        parts: each after those that it follows.
    """
    below = _below(parts)
    callbacks: dict[int, list[Part]] = defaultdict(list)
    for part in parts:
        if part.fires and part.state != "skipped":
            for parent in part.parents or [TOP]:
                callbacks[parent].append(part)
    left = list(reversed(list(_leads(parts, below, TOP, ""))))
    while left:
        at, lead, inner = left.pop()
        part = parts[at]
        yield Line(lead, f"{SIGNS[part.state]} {part.title}{_more(parts, part)}", part.state)
        yield from (_callback(each, f"{inner}     ") for each in callbacks[at])
        left += reversed(list(_leads(parts, below, at, inner)))
    yield from (_callback(each, "") for each in callbacks[TOP])


def _callback(part: Part, lead: str) -> Line:
    told = f", {part.told}" if part.told else ""
    return Line(lead, f"{FIRES[part.fires or '']}: {SIGNS[part.state]} {part.title}{told}", part.state)


def _leads(
    parts: Sequence[Part], below: dict[int, list[int]], above: int, prefix: str
) -> Iterator[tuple[int, str, str]]:
    """What comes below a part, with the start of its line and of those below it."""
    here = below[above]
    joins = [at for at in here if len(parts[at].parents) > 1]
    branches = [at for at in here if len(parts[at].parents) <= 1]
    if len(here) == 1:
        yield here[0], prefix if above == TOP else f"{prefix}↓ ", prefix
        return
    alone = joins if len(joins) == 1 else []
    sides = branches if alone else here
    for at in sides:
        last = at == sides[-1] and not alone
        yield at, f"{prefix}{'└─' if last else '├─'} ", f"{prefix}{'   ' if last else '│  '}"
    yield from ((at, f"{prefix}↓ ", prefix) for at in alone)


def _below(parts: Sequence[Part]) -> dict[int, list[int]]:
    """Each part below the last one that all ways to it lead through."""
    above: dict[int, int] = {TOP: TOP}
    depth = {TOP: 0}
    below: dict[int, list[int]] = defaultdict(list)
    for at, part in enumerate(parts):
        if part.fires:
            continue
        common = part.parents[0] if part.parents else TOP
        for each in part.parents[1:]:
            while each != common:
                if depth[each] >= depth[common]:
                    each = above[each]
                else:
                    common = above[common]
        above[at], depth[at] = common, depth[common] + 1
        below[common].append(at)
    return below


def _more(parts: Sequence[Part], part: Part) -> str:
    """What is said of it after its name."""
    told = f": {part.told}" if part.told else ""
    if len(part.parents) < 2:
        return told
    names = [parts[each].title for each in part.parents]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{told} (after {', '.join(names[:NAMED])}{more})"
