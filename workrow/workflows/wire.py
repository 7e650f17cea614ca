"""Workflows as JSON, and back."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

import pydantic_core

from workrow.arguments.parameters import conversion_of
from workrow.declare.options import Options
from workrow.declare.unique import Unique
from workrow.errors import ArgumentError, OptionError, WorkflowError, brief
from workrow.workflows.signed import Signed
from workrow.workflows.values import DEEPEST, POLICIES, Chain, Flow, Graph, Group, Signature

TIMES = ("at", "expires")


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
    except ValueError as error:
        raise ArgumentError(f"{signature!r:.80}: an argument cannot be stored as JSON: {error}") from None
    changed = {
        each.name: _option(getattr(call._options, each.name))
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


def _option(value: Any) -> Any:
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    if isinstance(value, Unique):
        return {each.name: getattr(value, each.name) for each in fields(Unique)}
    return value.isoformat() if isinstance(value, datetime) else value


def from_json(app: Any, said: Any) -> Flow[Any, Any]:
    """A workflow from what `to_json` has said.

    Args:
        app: has its tasks.
        said: the JSON value.

    Raises:
        WorkflowError: it is no workflow, or names a task that the app has not, or is nested too deep.
        OptionError: an option is unknown or out of range.
    """
    try:
        return _read(app, said)
    except RecursionError:
        raise WorkflowError(f"from_json: nested more than {DEEPEST} levels deep") from None


def _read(app: Any, said: Any) -> Flow[Any, Any]:
    if not isinstance(said, Mapping):
        hint = ", a dict; of a text give json.loads(text)" if isinstance(said, str | bytes) else ", a dict"
        raise WorkflowError(f"from_json: {brief(said)} is no workflow: it must be what to_json() returns{hint}")
    made = _shape(app, said)
    for fires, callback in said.get("calls", ()):
        methods: dict[str, Callable[[Any], Flow[Any, Any]]]
        methods = {"success": made.on_success, "failure": made.on_failure, "end": made.on_complete}
        if fires not in methods:
            raise WorkflowError(f"from_json: a callback fires on {', '.join(methods)}, and not on {brief(fires)}")
        made = methods[fires](_read(app, callback))
    if (policy := said.get("if_failed")) is not None:
        if policy not in POLICIES:
            raise WorkflowError(
                f"from_json: if_failed={brief(policy)}: must be one of {', '.join(map(repr, POLICIES))}"
            )
        made = made.if_failed(policy)
    return made if said.get("name") is None else made.named(said["name"])


def _shape(app: Any, said: Mapping[str, Any]) -> Flow[Any, Any]:
    from workrow.workflows.shapes import chain, graph, group

    if "chain" in said:
        return chain(_read(app, each) for each in said["chain"])
    if "group" in said:
        return group(_read(app, each) for each in said["group"])
    if "graph" in said:
        nodes = {name: _read(app, each) for name, each in said["graph"].items()}
        return graph(nodes, after=said.get("after", {}))
    if "task" not in said:
        raise WorkflowError(f"from_json: {brief(said)} is no workflow: it must be what to_json() returns")
    task = app.tasks.get(said.get("task"))
    if not isinstance(task, Signed):
        raise WorkflowError(
            f"from_json: the app has no task {brief(said.get('task'))}: import it, or include its blueprint"
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
        by = value.get("by")
        return Unique(**{**value, "by": tuple(by) if isinstance(by, list) else by})
    if isinstance(value, Mapping):
        return timedelta(seconds=value["seconds"])
    return datetime.fromisoformat(value) if name in TIMES and isinstance(value, str) else value
