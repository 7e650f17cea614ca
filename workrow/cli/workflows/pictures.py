"""A workflow as a picture: text for Mermaid, and a drawing of our own."""

from collections import defaultdict
from collections.abc import Sequence
from html import escape

from workrow.cli.workflows.parts import Part
from workrow.cli.workflows.tree import FIRES

COLOURS = {
    "succeeded": ("#d3f9d8", "#2b8a3e"),
    "failed": ("#ffe3e3", "#c92a2a"),
    "running": ("#d0ebff", "#1864ab"),
    "enqueued": ("#e5dbff", "#5f3dc4"),
    "ready": ("#fff3bf", "#e67700"),
    "expanded": ("#d0ebff", "#1864ab"),
    "waiting": ("#f1f3f5", "#868e96"),
    "cancelled": ("#e9ecef", "#495057"),
    "skipped": ("#ffffff", "#adb5bd"),
}
"""Of the inside and of the line, by state."""
LETTER, HEIGHT, BETWEEN, BELOW, EDGE = 7.5, 44, 24, 56, 20
"""Pixels: a letter's width, a box's height, between two boxes of a layer, between two layers, around all."""
LONGEST = 48
"""Letters of a line in a box."""


def mermaid(parts: Sequence[Part]) -> str:
    """A flowchart for https://mermaid.js.org."""
    lines = ["flowchart TD"]
    for at, part in enumerate(parts):
        told = f"<br/>{_quoted(part.told)}" if part.told else ""
        fires = f"{FIRES[part.fires]}: " if part.fires and not part.parents else ""
        lines.append(f'    n{at}["{fires}{_quoted(part.title)}{told}"]:::{part.state}')
    for at, part in enumerate(parts):
        arrow = f"-. {FIRES[part.fires]} .->" if part.fires else "-->"
        lines += [f"    n{parent} {arrow} n{at}" for parent in part.parents]
    for state in sorted({part.state for part in parts}):
        inside, line = COLOURS[state]
        lines.append(f"    classDef {state} fill:{inside},stroke:{line},color:#212529")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "".join(f"#{ord(each)};" if each in '"#<>&`' else each for each in text)


def svg(parts: Sequence[Part], title: str) -> str:
    """A drawing in layers: each part below those that it follows.

    Args:
        parts: each after those that it follows.
        title: what it is of.
    """
    layers, ways = _layers(parts)
    widths = {at: _width(part) for at, part in enumerate(parts)}
    spans = [sum(widths.get(each, 0) + BETWEEN for each in layer) - BETWEEN for layer in layers]
    whole = max(spans, default=0) + 2 * EDGE
    tall = len(layers) * (HEIGHT + BELOW) - BELOW + 2 * EDGE
    middle: dict[int, tuple[float, float]] = {}
    for depth, (layer, span) in enumerate(zip(layers, spans, strict=True)):
        x = (whole - span) / 2
        for each in layer:
            width = widths.get(each, 0)
            middle[each] = x + width / 2, EDGE + depth * (HEIGHT + BELOW) + HEIGHT / 2
            x += width + BETWEEN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole:.0f} {tall}" width="{whole:.0f}" '
        f'height="{tall}" role="img" font-family="ui-monospace, monospace" font-size="12" text-anchor="middle">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#495057"/></marker></defs>',
        f'<rect width="{whole:.0f}" height="{tall}" fill="#ffffff"/>',
    ]
    lines += [_edge([middle[each] for each in way], dashed=bool(parts[way[-1]].fires)) for way in ways]
    lines += [_box(part, *middle[at], widths[at]) for at, part in enumerate(parts)]
    return "\n".join([*lines, "</svg>"])


def _layers(parts: Sequence[Part]) -> tuple[list[list[int]], list[list[int]]]:
    """Who is in each layer, from left to right, and the way of each line. A line that passes a layer has a place in it,
    by a number below 0."""
    depth: list[int] = []
    for part in parts:
        depth.append(max((depth[each] + 1 for each in part.parents), default=0))
    layers: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for at, level in enumerate(depth):
        layers[level].append(at)
    above: dict[int, list[int]] = defaultdict(list)
    ways, passing = [], 0
    for at, part in enumerate(parts):
        for parent in part.parents:
            way = [parent]
            for level in range(depth[parent] + 1, depth[at]):
                passing -= 1
                layers[level].append(passing)
                above[passing] = [way[-1]]
                way.append(passing)
            above[at].append(way[-1])
            ways.append([*way, at])
    place: dict[int, float] = {}
    for layer in layers:
        # each below the middle of those that it follows
        layer.sort(key=lambda each: sum(place[up] for up in above[each]) / len(above[each]) if above[each] else 0.0)
        place |= {each: (number + 0.5) / len(layer) for number, each in enumerate(layer)}
    return layers, ways


def _width(part: Part) -> float:
    return LETTER * min(LONGEST, max(len(part.title), len(part.told), 6)) + 24


def _edge(way: Sequence[tuple[float, float]], *, dashed: bool) -> str:
    (x, y), *rest = way
    y += HEIGHT / 2
    path = f"M{x:.0f} {y:.0f}"
    for number, (to_x, to_y) in enumerate(rest, 1):
        top = to_y - HEIGHT / 2
        path += f"C{x:.0f} {y + BELOW / 2:.0f} {to_x:.0f} {top - BELOW / 2:.0f} {to_x:.0f} {top:.0f}"
        if number < len(rest):
            path += f"V{to_y + HEIGHT / 2:.0f}"
        x, y = to_x, to_y + HEIGHT / 2
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<path d="{path}" fill="none" stroke="#495057"{dashes} marker-end="url(#end)"/>'


def _box(part: Part, x: float, y: float, width: float) -> str:
    inside, line = COLOURS[part.state]
    title = part.title if not part.fires else f"{FIRES[part.fires]}: {part.title}"
    corner = f'x="{x - width / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="6"'
    said = [part.title, part.told] if part.told else [part.title]
    top = y + 4 - (len(said) - 1) * 8
    texts = "".join(
        f'<text x="{x:.0f}" y="{top + 16 * number:.0f}" fill="#212529">{escape(_short(text))}</text>'
        for number, text in enumerate(said)
    )
    tip = escape(f"{title}: {part.state}" + (f"; {part.told}" if part.told else ""))
    return f'<g><title>{tip}</title><rect {corner} fill="{inside}" stroke="{line}"/>{texts}</g>'


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
