"""Workflows as JSON, and back."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

import pydantic_core

from workrow.arguments.jsonb import dump
from workrow.arguments.parameters import conversion_of
from workrow.declare.options import Options
from workrow.declare.unique import Debounce, Throttle, Unique
from workrow.errors import ArgumentError, OptionError, WorkflowError, brief, check_names_known, seconds_in
from workrow.workflows.signed import Signed
from workrow.workflows.values import DEEPEST, POLICIES, Chain, Flow, Graph, Group, Signature

TIMES = ("at", "expires")
EXAMPLE = "2026-12-01T00:00:00+00:00"
LISTS = ("unique", "by", "states")
ALL = ("name", "if_failed", "calls")
"""What may be said of every workflow."""
SHAPES = {
    "chain": (),
    "group": (),
    "graph": ("after",),
    "task": ("args", "kwargs", "options", "immutable", "compensate"),
}
"""What says which shape it is, and what else may be said of that."""
TYPES: dict[str, Any] = {
    **dict.fromkeys(("chain", "group", "args", "calls"), list | tuple),
    **dict.fromkeys(("graph", "after", "kwargs", "options", "compensate"), Mapping),
    **dict.fromkeys(("task", "name", "if_failed"), str),
    "immutable": bool,
}
SAID = {list | tuple: "a list", Mapping: "a dict", str: "a string", bool: "true or false"}


def to_json(flow: Flow[Any, Any]) -> dict[str, Any]:
    """See `workrow.workflows.values.Flow.to_json`."""
    said: dict[str, Any] = {"name": flow.name, "if_failed": flow.failing}
    said["calls"] = [[fires, to_json(callback)] for fires, callback in flow.calls]
    if isinstance(flow, Signature):
        said |= _signature_to_json(flow)
    elif isinstance(flow, Chain):
        said["chain"] = [to_json(step) for step in flow.steps]
    elif isinstance(flow, Group):
        said["group"] = [to_json(member) for member in flow.members]
    elif isinstance(flow, Graph):
        said["graph"] = {name: to_json(node) for name, node in flow.nodes.items()}
        said["after"] = {name: dict(of) if isinstance(of, Mapping) else list(of) for name, of in flow.after.items()}
    return {name: value for name, value in said.items() if value is not None and value != []} | _kept(said)


def _kept(said: Mapping[str, Any]) -> dict[str, Any]:
    """What says which shape it is, also where it is empty."""
    return {name: said[name] for name in ("chain", "group", "graph") if name in said}


def _signature_to_json(signature: Signature[Any, Any]) -> dict[str, Any]:
    call, task = signature.call, cast("Any", signature.call._task)
    try:
        args = _plain(signature.args)
        kwargs = _plain(dict(signature.kwargs))
        dump([args, kwargs])
    except (TypeError, ValueError, RecursionError) as error:
        why = "it is hidden" if task.hidden else error
        raise ArgumentError(
            f"{brief(signature)}: an argument cannot be stored as JSON ({why}); pass an id, a text or a number instead"
        ) from None
    changed = {
        each.name: _option(task.name, each.name, getattr(call._options, each.name))
        for each in fields(Options)
        if getattr(call._options, each.name) != getattr(task.declared, each.name)
    }
    said: dict[str, Any] = {
        "task": task.name,
        "args": args or None,
        "kwargs": kwargs or None,
        "options": changed or None,
    }
    said["immutable"] = signature.immutable or None
    said["compensate"] = signature.undo and to_json(signature.undo)
    return said


def _plain(value: Any) -> Any:
    """A value as JSON, as its job would store it: bytes as base64, and secrets as they are."""
    if isinstance(value, Mapping):
        names = pydantic_core.to_jsonable_python(dict.fromkeys(value))
        return dict(zip(names, map(_plain, value.values()), strict=True))
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    kind: Any = type(value)
    return _dump_of(kind)(value)


@cache
def _dump_of(kind: Any) -> Callable[[Any], Any]:
    try:
        return conversion_of(kind).result_to_json
    except (OptionError, NameError):
        return pydantic_core.to_jsonable_python


def _option(task: str, name: str, value: Any) -> Any:
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    if isinstance(value, Unique):
        return {each.name: _option(task, each.name, getattr(value, each.name)) for each in fields(Unique)}
    if isinstance(value, Debounce | Throttle):
        raise OptionError(f"{task}: {name} and workflows do not go together: its job might never come to be")
    if isinstance(value, tuple):
        return list(value)
    return value.isoformat() if isinstance(value, datetime) else value


def from_json(app: Any, said: Any) -> Flow[Any, Any]:
    """A workflow from what `to_json` has said.

    Args:
        app: has its tasks.
        said: the JSON value.

    Raises:
        WorkflowError: it is no workflow, or says what is not known, or names a task that the app has not, or is nested
            too deep.
        OptionError: an option is unknown or out of range.
    """
    try:
        return _read(app, said)
    except RecursionError:
        raise WorkflowError(f"from_json: nested more than {DEEPEST} levels deep") from None


def _read(app: Any, given: Any) -> Flow[Any, Any]:
    said = _checked(given)
    made = _shape(app, said)
    for pair in said.get("calls", ()):
        methods: dict[Any, Callable[[Any], Flow[Any, Any]]]
        methods = {"success": made.on_success, "failure": made.on_failure, "end": made.on_complete}
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise WorkflowError("from_json: calls: each must be a list of when and what, such as ['success', {…}]")
        fires, callback = pair
        if not isinstance(fires, str) or fires not in methods:
            raise WorkflowError(f"from_json: a callback fires on {', '.join(methods)}, and not on {brief(fires)}")
        made = methods[fires](_read(app, callback))
    if (policy := said.get("if_failed")) is not None:
        if policy not in POLICIES:
            raise WorkflowError(
                f"from_json: if_failed={brief(policy)}: must be one of {', '.join(map(repr, POLICIES))}"
            )
        made = made.if_failed(policy)
    return made if said.get("name") is None else made.named(said["name"])


def _checked(said: Any) -> dict[str, Any]:
    """What it says, but for None, which says nothing.

    Raises:
        WorkflowError: it is no workflow; or a key is unknown, or has a value of another type.
    """
    if not isinstance(said, Mapping):
        hint = ", a dict; of a text give json.loads(text)" if isinstance(said, str | bytes) else ", a dict"
        raise WorkflowError(f"from_json: {brief(said)} is no workflow: it must be what to_json() returns{hint}")
    shape = next((each for each in SHAPES if each in said), None)
    if shape is None:
        raise WorkflowError(f"from_json: {brief(said)} is no workflow: it must be what to_json() returns")
    known = (shape, *SHAPES[shape], *ALL)
    for key, value in said.items():
        if key not in known:
            raise WorkflowError(
                f"from_json: {brief(key)} is unknown beside {shape!r}: known are {', '.join(known)}; has a later "
                "version of workrow written it?"
            )
        kind = TYPES[key]
        if not isinstance(value, kind) and (value is not None or key == shape):
            # what may hold arguments that are hidden is not shown
            shown = brief(value) if kind in (str, bool) else f"<{type(value).__name__}>"
            raise WorkflowError(f"from_json: {key}={shown}: must be {SAID[kind]}")
        if key in ("kwargs", "options") and (odd := [each for each in value or () if not isinstance(each, str)]):
            raise WorkflowError(f"from_json: {key}: the name {brief(odd[0])} must be a string")
    return {key: value for key, value in said.items() if value is not None}


def _shape(app: Any, said: Mapping[str, Any]) -> Flow[Any, Any]:
    from workrow.workflows.shapes import chain, graph, group

    if "chain" in said:
        return chain(_read(app, each) for each in said["chain"])
    if "group" in said:
        return group(_read(app, each) for each in said["group"])
    if "graph" in said:
        nodes = {name: _read(app, each) for name, each in said["graph"].items()}
        return graph(nodes, after=said.get("after", {}))
    task = app.tasks.get(said["task"])
    if not isinstance(task, Signed):
        raise WorkflowError(
            f"from_json: the app has no task {brief(said['task'])}: import it, or include its blueprint"
        )
    call: Signed[..., Any] = task
    if options := said.get("options"):
        call = task.options(**{name: _read_option(name, value) for name, value in options.items()})
    made: Signature[Any, Any] = Signature(
        call, tuple(said.get("args", ())), said.get("kwargs", {}), immutable=said.get("immutable", False)
    )
    undo = said.get("compensate")
    return made if undo is None else made.compensate(cast("Any", _read(app, undo)))


def _read_option(name: str, value: Any) -> Any:
    if name == "unique" and isinstance(value, Mapping):
        check_names_known("key of from_json's unique", value, [each.name for each in fields(Unique)])
        return Unique(**{key: _read_option(key, each) for key, each in value.items()})
    if name in LISTS and isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        if value.keys() != {"seconds"} or (seconds := seconds_in(value["seconds"])) is None:
            raise OptionError(
                f"from_json: {name}={brief(value)}: must be seconds, from 0 to 100 years: {{'seconds': 5}}"
            )
        return timedelta(seconds=seconds)
    try:
        return datetime.fromisoformat(value) if name in TIMES and isinstance(value, str) else value
    except ValueError:
        raise OptionError(f"from_json: {name}={brief(value)}: must be a time such as {EXAMPLE!r}") from None
