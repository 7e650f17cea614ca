"""The functions that make workflows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from typing_extensions import TypeVar

from workrow.declare.options import WORD, is_word
from workrow.errors import WorkflowError, brief, is_whole
from workrow.workflows.signed import Signed
from workrow.workflows.values import Chain, Flow, Graph, Group

A = TypeVar("A")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
R5 = TypeVar("R5")

After = Mapping[str, str | Sequence[str] | Mapping[str, str]]
"""What ``after=`` takes: name → the name or names of nodes that it follows, or argument → name."""


@overload
def chain(first: Iterable[Flow[Any, Any]], /) -> Chain[Any, Any]: ...
@overload
def chain(first: Flow[A, R1], /) -> Chain[A, R1]: ...
@overload
def chain(first: Flow[A, R1], second: Flow[R1, R2], /) -> Chain[A, R2]: ...
@overload
def chain(first: Flow[A, R1], second: Flow[R1, R2], third: Flow[R2, R3], /) -> Chain[A, R3]: ...
@overload
def chain(first: Flow[A, R1], second: Flow[R1, R2], third: Flow[R2, R3], fourth: Flow[R3, R4], /) -> Chain[A, R4]: ...
@overload
def chain(
    first: Flow[A, R1],
    second: Flow[R1, R2],
    third: Flow[R2, R3],
    fourth: Flow[R3, R4],
    fifth: Flow[R4, R5],
    /,
    *more: Flow[Any, Any],
) -> Chain[A, Any]: ...
@overload
def chain() -> Chain[Any, None]: ...
def chain(*steps: Any) -> Chain[Any, Any]:
    """One after the other: each is given what the one before has come to as its first argument; a ``.si(…)`` is not.

    A group in it is given to what follows as a list. An empty chain in it is not there: what follows it follows what is
    before it. An empty one as a whole comes to None.

    Args:
        *steps: tasks with arguments (``task.s(…)``), or workflows; or one iterable of them.

    Raises:
        WorkflowError: something else; or an empty chain that has callbacks.
    """
    return Chain(steps=_flows("chain", steps))


def group(*members: Flow[Any, R1] | Iterable[Flow[Any, R1]]) -> Group[Any, list[R1]]:
    """Side by side: it comes to the list of what they have come to, in their order. An empty one comes to ``[]``.

    Args:
        *members: tasks with arguments, or workflows; or one iterable of them.

    Raises:
        WorkflowError: something else; or an empty chain, which comes to nothing.
    """
    return Group(members=_flows("group", members))


def chord(header: Flow[A, R1] | Iterable[Flow[Any, Any]], body: Flow[Any, R2]) -> Chain[A, R2]:
    """A group, and then a task or workflow that is given the list of what the group has come to.

    With an empty header the body runs at once, with an empty list.

    Args:
        header: a group, or an iterable of its members.
        body: what follows.

    Raises:
        WorkflowError: something else; or an empty chain, which comes to nothing.
    """
    first = header if isinstance(header, Flow) else Group(members=_flows("chord", (header,)))
    return Chain(steps=_flows("chord", (first, body)))


def map(task: Signed[..., R1], items: Iterable[Any]) -> Group[Any, list[R1]]:
    """A group of one job for each item, which is its first argument.

    Raises:
        WorkflowError: it is no task, or they are no items.
    """
    return Group(members=tuple(task.s(item) for item in _each("map", task, items)))


def starmap(task: Signed[..., R1], rows: Iterable[Sequence[Any]]) -> Group[Any, list[R1]]:
    """A group of one job for each row, whose values are its arguments.

    Raises:
        WorkflowError: it is no task, or they are no rows.
    """
    return Group(members=tuple(task.s(*row) for row in _rows("starmap", task, rows)))


def chunks(task: Signed[..., R1], rows: Iterable[Sequence[Any]], size: int) -> Group[Any, list[list[R1]]]:
    """`starmap` in groups of so many: it comes to a list of lists.

    Args:
        task: the task.
        rows: of arguments.
        size: how many of them in each group; the last may have fewer.

    Raises:
        WorkflowError: ``size`` is no whole number, or below 1; it is no task, or they are no rows.
    """
    if not is_whole(size, 1):
        raise WorkflowError(f"chunks(size={brief(size)}): must be a whole number of jobs, at least 1")
    all_rows = _rows("chunks", task, rows)
    return Group(members=tuple(starmap(task, all_rows[at : at + size]) for at in range(0, len(all_rows), size)))


def graph(
    nodes: Mapping[str, Flow[Any, Any]] | Iterable[tuple[str, Flow[Any, Any]]], after: After | None = None
) -> Graph[Any, dict[str, Any]]:
    """Nodes by names, each after those that it follows. It comes to what those come to that nobody follows, by name.

    A task takes what it follows by the names of its arguments: ``graph({"a": a.s(), "b": b.s(), "c": c.s()}, after=
    {"c": ["a", "b"]})`` calls ``c(a=…, b=…)``. What follows one node alone, and has no argument of its name, takes it
    as the first one. ``after={"c": {"left": "a", "right": "b"}}`` says other names; a ``.si(…)`` takes nothing. A
    workflow that follows several is given the list of what they have come to.

    Args:
        nodes: tasks with arguments, or workflows, by name, of at most 200 characters.
        after: name → the names of nodes that it follows.

    Raises:
        WorkflowError: a name twice, one that is unknown, or a circle; or an empty chain as a node.
    """
    try:
        pairs = [(name, node) for name, node in (nodes.items() if isinstance(nodes, Mapping) else nodes)]
    except (TypeError, ValueError):
        raise WorkflowError(f"graph({brief(nodes)}): must be nodes by their names: {{'a': task.s(…)}}") from None
    if after is not None and not isinstance(after, Mapping):
        raise WorkflowError(f"graph(after={brief(after)}): must say who follows whom: {{'c': ['a', 'b']}}")
    known: dict[str, Flow[Any, Any]] = {}
    for name, node in pairs:
        if not is_word(name):
            raise WorkflowError(f"graph: the name {brief(name)} of a node must be {WORD}")
        if name in known:
            raise WorkflowError(f"graph: the node {name!r} is named twice; give one of them another name")
        known[name] = _flows("graph", (node,))[0]
    made: Graph[Any, dict[str, Any]] = Graph(
        nodes=known, after={name: _names(name, of) for name, of in (after or {}).items()}
    )
    from workrow.workflows.plan import order_of

    order_of(made)
    return made


def _names(name: str, of: str | Sequence[str] | Mapping[str, str]) -> Mapping[str, str] | tuple[str, ...]:
    if isinstance(of, str):
        return (of,)
    if not isinstance(of, Iterable):
        raise WorkflowError(f"graph: after={{{brief(name)}: {brief(of)}}}: must be names of nodes, or argument → name")
    names: Mapping[str, str] | tuple[str, ...] = dict(of) if isinstance(of, Mapping) else tuple(of)
    for each in [*names, *names.values()] if isinstance(names, Mapping) else names:
        if not isinstance(each, str):
            raise WorkflowError(
                f"graph: after={{{brief(name)}: …}}: {brief(each)} is no name: say names of nodes, or argument → name"
            )
    if isinstance(names, Mapping):
        return names
    for before in names:
        if names.count(before) > 1:
            raise WorkflowError(f"graph: {brief(name)} follows {brief(before)} twice: name it once")
    return names


def _each(what: str, task: Any, values: Any) -> Iterable[Any]:
    """The values, if they are some, and if it is a task that they are given to."""
    if not isinstance(task, Signed):
        raise WorkflowError(f"{what}: {brief(task)} is no task: give the task itself, without its arguments")
    if not isinstance(values, Iterable):
        raise WorkflowError(f"{what}: {brief(values)} is no iterable: give a list of what each job is called with")
    return values


def _rows(what: str, task: Any, values: Any) -> list[Any]:
    rows = list(_each(what, task, values))
    for row in rows:
        if not isinstance(row, Iterable) or isinstance(row, str | bytes | Mapping):
            hint = f"; for one argument each say map({task._task.name}, …)"
            raise WorkflowError(f"{what}: the row {brief(row)} must be the arguments of one job, such as (1, 2){hint}")
    return rows


def _flows(what: str, given: Sequence[Any]) -> tuple[Flow[Any, Any], ...]:
    if len(given) == 1 and not isinstance(given[0], Flow) and isinstance(given[0], Iterable):
        given = tuple(given[0])
    for each in given:
        if not isinstance(each, Flow):
            hint = f"; did you mean {each.name}.s()?" if isinstance(each, Signed) and hasattr(each, "name") else ""
            raise WorkflowError(
                f"{what}: {brief(each)} is no part of a workflow: give a task with its arguments, such as task.s(…), "
                f"or a workflow{hint}"
            )
    return tuple(each for each in given if not _is_nothing(what, each))


def _is_nothing(what: str, part: Flow[Any, Any]) -> bool:
    """Whether it is an empty chain, which has no value: in a chain it is not there, elsewhere its value is needed."""
    if not isinstance(part, Chain) or part.steps:
        return False
    if what != "chain":
        raise WorkflowError(f"{what}: the part {part!r} is an empty chain, which comes to nothing: leave it out")
    if part.calls:
        raise WorkflowError(f"{what}: the part {part!r} is an empty chain, whose callbacks have no end to follow")
    return True
