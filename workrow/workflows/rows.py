"""A plan as the JSON text that ``add_nodes_v1`` reads: runs of nodes that differ in nothing but their arguments."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from workrow.arguments.jsonb import dump_arguments
from workrow.arguments.secrets import Sealed
from workrow.database import clock
from workrow.declare.unique import check_seconds, keys_of
from workrow.enqueue.call import Call
from workrow.workflows.plan import Node

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Specs = dict[int, dict[str, Any]]
"""What the jobs of a call have but for their arguments, by the call's ``id()``."""


@dataclass(slots=True)
class Run:
    """Nodes with numbers one after the other.

    Attributes:
        first: the first one.
        spec: what their jobs have; None where they are none.
        args: of each, as JSON text.
        lines: of each, where they have such.
        steps: whether the nodes that they refer to are one further for each, as in a chain; None while it has one.
    """

    first: Node
    spec: dict[str, Any] | None
    args: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    steps: bool | None = None

    def takes(self, node: Node, spec: dict[str, Any] | None) -> bool:
        """Whether a node is the next one of it; if so, it has to be added."""
        first = self.first
        by = node.number - first.number
        if by != len(self.args) or spec is None or spec != self.spec or node.callbacks or first.callbacks:
            return False
        if _alike(first) != _alike(node):
            return False
        if self.steps is not True and _refers(node, 0) == _refers(first, 0):
            self.steps = False
            return True
        if self.steps is not False and _refers(node, 0) == _refers(first, by):
            self.steps = True
            return True
        return False

    def text(self, *, last: bool) -> str:
        """It as JSON."""
        node = self.first
        row: dict[str, Any] = {
            "number": node.number,
            "kind": node.kind,
            "pending": node.pending,
            "dependents": node.dependents or None,
            "parents": node.parents,
            "takes": node.takes,
            "callbacks": node.callbacks or None,
            "name": node.name,
            "fires": node.fires,
            "on_failure": node.failing,
            "kept": node.kept or None,
            "steps": self.steps or None,
            "last": last or None,
            "spec": self.spec,
            "lines": self.lines or None,
        }
        head = _ENCODE({name: value for name, value in row.items() if value is not None})
        return f'{head[:-1]},"args":[{",".join(self.args)}]}}'


def _alike(node: Node) -> tuple[Any, ...]:
    return node.kind, node.pending, node.kept, node.name, node.fires, node.failing


def _refers(node: Node, by: int) -> tuple[Any, ...]:
    return (
        [number + by for number in node.dependents],
        node.parents and [number + by for number in node.parents],
        node.takes and {name: number + by for name, number in node.takes.items()},
    )


def rows_of(nodes: Iterable[Node], specs: Specs, part: int | None) -> str:
    """The rows of these nodes as JSON text.

    Args:
        nodes: in the order of their numbers.
        specs: what is known already; more is added.
        part: the last node of a part of a workflow that runs, whose numbers will be others: each is a run of its own.
    """
    hidden = any(node.signature is not None and node.signature.call._task.hidden for node in nodes)
    text = f"[{','.join(run.text(last=run.first.number == part) for run in _runs(nodes, specs, part is None))}]"
    return Sealed(text) if hidden else text


def _runs(nodes: Iterable[Node], specs: Specs, longer: bool) -> Iterator[Run]:
    run: Run | None = None
    for node in nodes:
        spec, line, args = None, None, "{}" if node.names is None else _ENCODE(node.names)
        if node.signature is not None:
            spec, line, args = _job(node, node.signature.call, specs)
        if run is None or not longer or not run.takes(node, spec):
            if run is not None:
                yield run
            run = Run(node, spec)
        run.args.append(args)
        if line is not None:
            run.lines.append(line)
    if run is not None:
        yield run


def _job(node: Node, call: Call[..., Any], specs: Specs) -> tuple[dict[str, Any], str | None, str]:
    task = call._task
    spec = specs.get(id(call))
    if spec is None:
        spec = specs[id(call)] = spec_of(call)
    line = None
    if task.line is not None:
        line = task.line.of(spec["queue"], node.arguments, task.payload.stored_version)
    if (rule := call._options.rule) is not None:
        [key] = keys_of(task.name, rule, task.signature, [node.arguments], task.hidden)
        spec = {**spec, **({"queueing_lock": f"unique:{key}"} if rule.waiting_only else {"unique_key": key})}
    return spec, line, dump_arguments(task.name, node.arguments, task.max_payload, task.hidden)


def spec_of(call: Call[..., Any]) -> dict[str, Any]:
    """What its jobs have, but for their arguments; without what is as always."""
    task, options = call._task, call._options
    at, delay = clock.parted(options.scheduled_at)
    spec: dict[str, Any] = {
        "priority": options.priority or None,
        "lock": options.lock,
        "queueing_lock": options.queueing_lock,
        "at": at and at.isoformat(),
        "delay": delay,
        "version": task.payload.stored_version,
    }
    if (expires := options.expires) is not None:
        name = "expires_at" if hasattr(expires, "isoformat") else "lifetime"
        spec[name] = expires.isoformat() if hasattr(expires, "isoformat") else check_seconds("expires", expires)
    return {
        "task": task.name,
        "queue": options.queue,
        **{name: value for name, value in spec.items() if value is not None},
    }
