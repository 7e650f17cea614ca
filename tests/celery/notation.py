"""Shapes of a canvas as data, the tasks that they name, and what is seen of them once they have run.

The notation is that of ``data/canvas.json``: what Celery 5.7.0 on Redis 7.0 was seen to do with each shape.
"""

import json
import re
import time
from collections.abc import Callable
from functools import partial, reduce
from operator import or_
from typing import Any, Protocol

from tests.celery.conformance.looking import shown
from tests.celery.conformance.values import NotUnderstood
from tests.celery.conformance.words import module

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
ordered = partial(json.dumps, sort_keys=True)

KEYS = {
    "task", "args", "kwargs", "chain", "as_list", "group", "chord", "body", "or", "chunks", "items", "n", "as_group",
    "map", "starmap", "immutable", "set", "link", "link_error", "clone", "through_json",
}  # fmt: skip
"""Of nodes."""

canvas, exceptions, result = module("canvas"), module("exceptions"), module("result")
AsyncResult, GroupResult = result.AsyncResult, result.GroupResult


class Place(Protocol):
    """Where shapes are run."""

    app: Any

    def rest(self) -> bool:
        """Wait until nothing is left to do; whether it came to that."""

    def names(self) -> dict[str, str]:
        """Of the tasks that started, by id."""

    def runs(self) -> list[dict[str, Any]]:
        """Arguments and final state of each run."""

    def errbacks(self) -> list[dict[str, Any]]:
        """Which were called, and with what."""


def declare(app: Any, note: Callable[..., None], pause: float = 0) -> None:
    """The tasks that shapes name; ``note`` is told of each call of an errback, slow ones take ``pause`` seconds."""

    def slow(x: Any) -> Any:
        time.sleep(pause)
        return x

    functions: dict[str, Callable[..., Any]] = {
        "add": lambda x, y: x + y,
        "mul": lambda x, y: x * y,
        "xsum": lambda numbers: sum(numbers),
        "ident": lambda x: x,
        "slow": slow,
        "noarg": lambda: 7,
        "collect": lambda *args, **kwargs: {"args": list(args), "kwargs": kwargs},
    }
    for name, function in functions.items():
        function.__name__ = function.__qualname__ = name
        app.task(name=name)(function)

    @app.task(name="quiet", ignore_result=True)
    def quiet(x: Any) -> Any:
        return x

    @app.task(name="fail")
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ValueError("boom")

    @app.task(name="late_fail")
    def late_fail(*args: Any, **kwargs: Any) -> None:
        time.sleep(pause)
        raise KeyError("late")

    @app.task(name="ignore")
    def ignore(*args: Any) -> None:
        raise exceptions.Ignore

    @app.task(name="retry", bind=True, max_retries=5)
    def retry(self: Any, x: Any, times: int = 1) -> Any:
        if self.request.retries < times:
            raise self.retry(countdown=0)
        return x

    @app.task(name="give_up", bind=True, max_retries=1)
    def give_up(self: Any, *args: Any) -> None:
        raise self.retry(countdown=0, exc=ValueError("boom"))

    @app.task(name="spawn", bind=True)
    def spawn(self: Any, x: Any = 0) -> Any:
        app.tasks["add"].delay(1, 1)
        app.tasks["mul"].delay(2, 3)
        return x

    @app.task(name="replace", bind=True)
    def replace(self: Any, x: Any = None, shape: Any = None) -> None:
        raise self.replace(build(app, fill(shape, x)))

    @app.task(name="grow", bind=True)
    def grow(self: Any, x: Any, shape: Any = None) -> Any:
        self.add_to_chord(build(app, fill(shape, x)))
        return x

    @app.task(name="eb_old")
    def eb_old(uuid: str) -> None:
        note("eb_old", [uuid], app.tasks["eb_old"].request)

    @app.task(name="eb_new")
    def eb_new(request: Any, exc: Any, traceback: Any) -> None:
        note("eb_new", [request, exc, traceback], app.tasks["eb_new"].request)

    @app.task(name="eb_any")
    def eb_any(*args: Any) -> None:
        note("eb_any", args, app.tasks["eb_any"].request)

    @app.task(name="eb_bound", bind=True)
    def eb_bound(self: Any, request: Any, exc: Any, traceback: Any) -> None:
        note("eb_bound", [request, exc, traceback], self.request)


def fill(node: Any, x: Any) -> Any:
    """The shape with `x` in place of every ``"$x"``."""
    if node == "$x":
        return x
    if isinstance(node, dict):
        return {key: fill(value, x) for key, value in node.items()}
    return [fill(value, x) for value in node] if isinstance(node, list) else node


def build(app: Any, node: dict[str, Any]) -> Any:
    """The signature that a node describes."""
    sig = _made(app, node)
    if node.get("immutable"):
        sig.set_immutable(True)
    if "set" in node:
        sig = sig.set(**node["set"])
    for other in node.get("link", ()):
        sig.link(build(app, other))
    for other in node.get("link_error", ()):
        sig.link_error(build(app, other))
    if "clone" in node:
        sig = sig.clone(tuple(node["clone"].get("args", ())), dict(node["clone"].get("kwargs", {})))
    return canvas.Signature.from_dict(json.loads(json.dumps(sig)), app=app) if node.get("through_json") else sig


def _made(app: Any, node: dict[str, Any]) -> Any:
    if unknown := {*node} - KEYS:
        raise NotUnderstood(f"the notation of shapes has no {', '.join(sorted(unknown))}")
    if "task" in node:
        return app.tasks[node["task"]].signature(tuple(node.get("args", ())), dict(node.get("kwargs", {})))
    if "chunks" in node:
        parts = app.tasks[node["chunks"]].chunks(node["items"], node["n"])
        return parts.group() if node.get("as_group") else parts
    for way in ("map", "starmap"):
        if way in node:
            return getattr(app.tasks[node[way]], way)(node["items"])
    kind = next((each for each in ("chain", "group", "chord", "or") if each in node), None)
    if kind is None:
        raise NotUnderstood(f"the notation of shapes has no {node}")
    members = build(app, node[kind]) if isinstance(node[kind], dict) else [build(app, each) for each in node[kind]]
    if kind == "or":
        return reduce(or_, members)
    if kind == "chord":
        return canvas.chord(members, build(app, node["body"])) if "body" in node else canvas.chord(members)
    if kind == "group":
        return canvas.group(members)
    return canvas.chain(members) if node.get("as_list") else canvas.chain(*members)


def structure(sig: Any) -> Any:
    """What became of it, as text."""
    if not isinstance(sig, dict):
        return shown(sig)
    kind, kwargs = sig.get("subtask_type"), sig.get("kwargs") or {}
    if kind == "chord":
        header = kwargs["header"]
        tasks = header["kwargs"]["tasks"] if isinstance(header, dict) else header
        body = structure(kwargs["body"]) if kwargs.get("body") else "nothing"
        return f"chord([{', '.join(map(structure, tasks))}] -> {body})"
    if kind in ("chain", "group"):
        return f"{kind}({', '.join(map(structure, kwargs['tasks']))})"
    if type(sig).__name__ in ("chunks", "xmap", "xstarmap"):
        return sig["task"]
    words = [json.dumps(value, default=repr) for value in sig["args"]]
    words += [f"{name}={json.dumps(value, default=repr)}" for name, value in kwargs.items()]
    return f"{sig['task']}({', '.join(words)}){'!' if sig.get('immutable') else ''}"


def outcome(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": shown(call())}
    except exceptions.TimeoutError:
        return {"hangs": True}
    except Exception as error:
        return {"raises": type(error).__name__, "text": str(error)}


def tree(result: Any, names: dict[str, str], parents: bool = True, depth: int = 0) -> Any:
    """A result with all that hangs on it, eight deep; a task's name is None when it never started."""
    if depth > 7:
        return None
    if not isinstance(result, AsyncResult | GroupResult):
        return shown(result)
    found: dict[str, Any]
    if isinstance(result, GroupResult):
        members = [tree(each, names, False, depth + 1) for each in result.results]
        found = {"class": "GroupResult", "results": members, "ready": result.ready(), "successful": result.successful()}
        found |= {"failed": result.failed(), "completed_count": result.completed_count()}
    else:
        found = {"class": "AsyncResult", "task": names.get(result.id), "state": result.state}
        found["result"] = shown(result.result)
        if result.children:
            found["children"] = [tree(child, names, False, depth + 1) for child in result.children]
    if parents and result.parent is not None:
        found["parent"] = tree(result.parent, names, True, depth + 1)
    return found


def observe(case: dict[str, Any], place: Place) -> dict[str, Any]:
    """Build a case's shape, call it, let it come to rest, and say what was seen."""
    app = place.app
    seen: dict[str, Any] = {}
    result = None
    try:
        sig = build(app, case["shape"])
        seen["signature"] = {"class": type(sig).__name__, "structure": structure(sig)}
        how = case.get("apply", {})
        result = sig.apply_async(tuple(how.get("args", ())), dict(how.get("kwargs", {})), **how.get("options", {}))
    except NotUnderstood:
        raise
    except Exception as error:
        seen["call_raises"] = {"raises": type(error).__name__, "text": str(error)}
    if not place.rest():
        seen["still_busy"] = True
    names = place.names()
    if isinstance(result, (AsyncResult, GroupResult)):
        seen["get"] = outcome(lambda: result.get(timeout=2.5))
        if "value" not in seen["get"]:
            seen["get_without_propagate"] = outcome(lambda: result.get(timeout=2.5, propagate=False))
        seen["result"] = tree(result, names)
    elif "call_raises" not in seen:
        seen["returned"] = shown(result)
    runs = [{key: value for key, value in run.items() if value != {}} for run in place.runs()]
    seen |= {"number_of_runs": len(runs), "runs": sorted(runs, key=ordered), "errback_calls": place.errbacks()}
    seen = json.loads(UUID.sub(lambda found: f"<id {names.get(found[0], 'never started')}>", json.dumps(seen)))
    for key in ("runs", "errback_calls"):
        seen[key].sort(key=ordered)
    return seen
