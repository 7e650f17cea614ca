"""A workflow laid out: its nodes in an order, each with a number, who waits for whom, and who is given what."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from workrow.errors import WorkflowError, brief
from workrow.workflows.fitting import bound, check_fit, check_later, missing
from workrow.workflows.values import Chain, Fires, Flow, Graph, Group, Signature

STRIPE = 1000
"""So many members of a group count down one row; more of them, several, which count down the group's. An update leaves
a dead version of its row, which the next one walks over while somebody's open snapshot needs it."""

FEW = 20
Calls = tuple[tuple[Fires, Signature[Any, Any]], ...]


@dataclass(slots=True)
class Node:
    """One row of ``workrow.flow_nodes``; see there."""

    number: int
    kind: str
    signature: Signature[Any, Any] | None = None
    name: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    pending: int = 0
    dependents: list[int] = field(default_factory=list)
    parents: list[int] | None = None
    takes: dict[str, int] | None = None
    kept: bool = False
    fires: str | None = None
    callbacks: list[int] = field(default_factory=list)
    failing: str | None = None
    names: list[str] | None = None


class Plan:
    """The nodes of one workflow.

    Args:
        flow: the whole.
        part: it becomes a part of a workflow that runs, and its callbacks are those of its last node.

    Attributes:
        nodes: by number.
        root: the node whose value is the workflow's.
        calls: the nodes that are called when the whole has ended.

    Raises:
        WorkflowError, ArgumentError, OptionError: it cannot be.
    """

    def __init__(self, flow: Flow[Any, Any], *, part: bool = False) -> None:
        self.nodes: list[Node] = []
        self._whole = None if part else flow
        self.root = self._place(flow, (), None, (), None)
        self.nodes[self.root].kept = True
        self.calls = []
        for fires, callback in () if part else flow.calls:
            number = self._callback(fires, callback, ())
            self.calls.append(number)
            if fires == "success" and self.size:  # a batch comes to something else
                for name in self.nodes[number].takes or ():
                    self._check_fit(self.root, callback, name)
        for node in reversed(self.nodes):
            if node.kept and node.kind in ("gather", "object"):
                for parent in node.parents or ():
                    self.nodes[parent].kept = True

    @property
    def size(self) -> int:
        """How many tasks it has, without callbacks and compensations."""
        return sum(1 for node in self.nodes if node.kind == "task" and node.fires is None)

    @property
    def compensates(self) -> bool:
        """Whether one of its tasks says how it is undone."""
        return any(node.fires == "undo" for node in self.nodes)

    def _add(self, node: Node, after: Collection[int]) -> int:
        for before in after:
            self.nodes[before].dependents.append(node.number)
        node.pending = len(after)
        if node.parents is None and after:
            node.parents = list(after)
        self.nodes.append(node)
        return node.number

    def _new(self, kind: str, **values: Any) -> Node:
        return Node(len(self.nodes), kind, **values)

    def _place(
        self, flow: Flow[Any, Any], after: Collection[int], value: int | None, failed: Calls, failing: str | None
    ) -> int:
        """Add what a workflow is made of; return the node whose value is its own.

        Args:
            flow: the workflow.
            after: the nodes that it follows.
            value: the node whose value it is given, if any.
            failed: the callbacks of what is around it for a task that fails.
            failing: what is around it says of that.
        """
        if flow is not self._whole:
            failing = flow.failing or failing
            failed += tuple(each for each in flow.calls if each[0] == "failure")
        if isinstance(flow, Signature):
            end = self._task(flow, after, {} if value is None else {"": value}, failed, failing)
        elif isinstance(flow, Chain):
            end = self._chain(flow, after, value, failed, failing)
        elif isinstance(flow, Group):
            end = self._gather([self._place(each, after, value, failed, failing) for each in flow.members], after)
        elif isinstance(flow, Graph):
            end = self._graph(flow, after, value, failed, failing)
        else:
            raise WorkflowError(f"{flow!r:.80} is no part of a workflow")
        if flow.name and flow is not self._whole and self.nodes[end].name is None:
            self.nodes[end].name = flow.name
        if flow is not self._whole:
            for fires, callback in flow.calls:
                if fires != "failure":
                    self.nodes[end].callbacks.append(self._callback(fires, callback, (end,)))
        return end

    def _task(
        self,
        signature: Signature[Any, Any],
        after: Collection[int],
        given: Mapping[str, int],
        failed: Calls,
        failing: str | None,
    ) -> int:
        taken = {} if signature.immutable else given
        arguments, first = bound(signature, first="" in taken, names=[name for name in taken if name])
        takes = {name or first: number for name, number in taken.items()}
        for name, number in takes.items():
            self._keep(number, signature)
            self._check_fit(number, signature, name)
        check_later(signature, takes)
        node = self._new("task", signature=signature, arguments=arguments, takes=takes or None, failing=failing)
        end = self._add(node, after)
        for _, callback in failed:
            node.callbacks.append(self._callback("failure", callback, (end,)))
        if signature.undo is not None:
            self._callback("undo", signature.undo, (end,))
        return end

    def _keep(self, number: int, taker: Signature[Any, Any]) -> None:
        node = self.nodes[number]
        node.kept = True
        giver = node.signature
        if giver is not None and not giver.call._task.execution.results:  # type: ignore[attr-defined]
            raise WorkflowError(
                f"{taker.task} takes the result of {giver.task}, which is declared with results=False and keeps none: "
                f"write {taker.task}.si(…), which takes nothing, or keep its results"
            )

    def _check_fit(self, number: int, taker: Signature[Any, Any], name: str) -> None:
        giver = self.nodes[number]
        check_fit(giver.signature or giver.kind, taker, name)

    def _callback(self, fires: str, signature: Signature[Any, Any], after: tuple[int, ...]) -> int:
        """A node that is enqueued when ``after``, or the whole if that is empty, has ended so."""
        calls = signature.calls
        if calls or signature.undo:
            raise WorkflowError(f"{signature!r}: a callback has no callbacks and no compensation of its own")
        takes_one = not signature.immutable
        arguments, first = bound(signature, first=takes_one, names=())
        check_later(signature, [first] if takes_one else [])
        node = self._new("task", signature=signature, arguments=arguments, fires=fires, parents=list(after))
        if takes_one:
            node.takes = {first: after[0] if after else 0}
            if after and fires != "failure":
                self.nodes[after[0]].kept = True
                self._check_fit(after[0], signature, first)
        node.pending = 1
        self.nodes.append(node)
        return node.number

    def _chain(
        self, chain: Chain[Any, Any], after: Collection[int], value: int | None, failed: Calls, failing: str | None
    ) -> int:
        for step in chain.steps:
            value = self._place(step, after, value, failed, failing)
            after = (value,)
        return self._add(self._new("nothing"), after) if value is None else value

    def _gather(self, ends: list[int], after: Collection[int]) -> int:
        """A node that is there when all of ``ends`` are."""
        waits: Collection[int] = ends or after
        if len(ends) > STRIPE:
            parts = [ends[at : at + STRIPE] for at in range(0, len(ends), STRIPE)]
            waits = [self._add(self._new("stripe"), part) for part in parts]
        return self._add(self._new("gather", parents=ends), waits)

    def _graph(
        self, graph: Graph[Any, Any], after: Collection[int], value: int | None, failed: Calls, failing: str | None
    ) -> int:
        ends: dict[str, int] = {}
        followed: set[str] = set()
        for name in order_of(graph):
            node, of = graph.nodes[name], graph.after.get(name, ())
            before = {each: ends[each] for each in (of.values() if isinstance(of, Mapping) else of)}
            followed |= before.keys()
            failing_here = node.failing or failing
            if not before:
                ends[name] = self._place(node, after, value, failed, failing)
            elif isinstance(node, Signature):
                given = _given(node, of, ends)
                ends[name] = self._task(node, list(before.values()), given, failed + _failures(node), failing_here)
                for fires, callback in node.calls:
                    if fires != "failure":
                        made = self._callback(fires, callback, (ends[name],))
                        self.nodes[ends[name]].callbacks.append(made)
            else:
                (*_, last) = before.values()
                first = last if len(before) == 1 else self._gather(list(before.values()), ())
                ends[name] = self._place(node, (first,), first, failed, failing)
            self.nodes[ends[name]].name = name
        names = [name for name in graph.nodes if name not in followed]
        sinks = [ends[name] for name in names]
        return self._add(self._new("object", parents=sinks, names=names), sinks or after)


def order_of(graph: Graph[Any, Any]) -> Iterator[str]:
    """The names of its nodes, each after those that it follows.

    Raises:
        WorkflowError: one is unknown, or they go in a circle.
    """
    follows: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, of in graph.after.items():
        if name not in follows:
            raise WorkflowError(f"graph: after={{{brief(name)}: …}} names no node; {_known(graph)}")
        follows[name] = list(of.values() if isinstance(of, Mapping) else of)
        for before in follows[name]:
            if before not in graph.nodes:
                raise WorkflowError(f"graph: {name!r} follows {brief(before)}, which is no node; {_known(graph)}")
    try:
        return iter(list(TopologicalSorter(follows).static_order()))
    except CycleError as error:
        circle: list[str] = error.args[1][::-1]
        raise WorkflowError(
            f"graph: its nodes go in a circle: {_few(circle, ' → ')}; none of them could ever start"
        ) from None


def _known(graph: Graph[Any, Any]) -> str:
    return f"known are {_few(list(graph.nodes), ', ') or 'none'}"


def _few(names: list[str], between: str) -> str:
    """So many of them as an error message shows."""
    return between.join(names if len(names) <= FEW else [*names[:FEW], "…"])


def _given(node: Signature[Any, Any], of: Any, ends: Mapping[str, int]) -> dict[str, int]:
    if isinstance(of, Mapping):
        return {argument: ends[name] for argument, name in of.items()}
    parameters = node.call._task.signature.parameters
    if len(of) == 1 and of[0] not in parameters:
        return {"": ends[of[0]]} if missing(node) else {}
    return {name: ends[name] for name in of}


def _failures(node: Flow[Any, Any]) -> Calls:
    return tuple(each for each in node.calls if each[0] == "failure")
