"""Stamps: what becomes of shapes that are stamped, and of the calls that they make."""

import time
from typing import Any

from tests.celery.conformance import lab
from tests.celery.conformance.experiments import experiment, kind
from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import look, outcome, shown, until
from tests.celery.conformance.tasks import app, replace_seen, retry_seen, see, sleep
from tests.celery.conformance.words import module
from tests.celery.notation import build, ordered

canvas = module("canvas")
HOOKS = (
    *("on_signature", "on_group_start", "on_group_end", "on_chain_start", "on_chain_end", "on_chord_header_start"),
    *("on_chord_header_end", "on_chord_body", "on_callback", "on_errback"),
)


class Plain(canvas.StampingVisitor):  # type: ignore[name-defined, misc]
    """Stamps tasks only."""

    def on_signature(self, sig: Any, **headers: Any) -> Any:
        return {"visited": sig["task"], "label": ["of the visitor"]}


class Options(Plain):
    """Says which of what it returns are stamps; what is none is an option."""

    def on_signature(self, sig: Any, **headers: Any) -> Any:
        return {"visited": sig["task"], "shadow": "shade", "stamped_headers": ["visited"]}


class Silent(Plain):
    """Stamps nothing."""

    def on_signature(self, sig: Any, **headers: Any) -> Any:
        return None

    on_group_start = on_chain_start = on_chord_body = on_callback = on_errback = on_signature


class Everywhere(Plain):
    """Each hook stamps its name, and is written down with the stamps that it was told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []


def hook(name: str) -> Any:
    def call(self: Any, sig: Any, **headers: Any) -> Any:
        self.calls.append([name, sig.get("subtask_type") or sig["task"], sorted(headers)])
        result = {} if "chord_header" not in name else getattr(super(Everywhere, self), name)(sig, **headers)
        return {**(result or {}), name: sig.get("subtask_type") or sig["task"]}

    return call


for each in HOOKS:
    setattr(Everywhere, each, hook(each))
Everywhere.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]

VISITORS = {"plain": Plain, "options": Options, "silent": Silent, "everywhere": Everywhere}


def stamps_in(sig: Any) -> Any:
    """What each part of a signature is stamped with."""
    options, kwargs = sig["options"], sig.get("kwargs") or {}
    names = sorted(set(options.get("stamped_headers", ())))
    found = {"of": sig.get("subtask_type") or sig["task"], "stamps": {name: options.get(name) for name in names}}
    header = kwargs.get("header")
    parts = header["kwargs"]["tasks"] if isinstance(header, dict) else header or kwargs.get("tasks") or ()
    lists = {"parts": parts, "links": options.get("link") or (), "errbacks": options.get("link_error") or ()}
    found |= {name: [stamps_in(part) for part in each] for name, each in lists.items() if each}
    return found | ({"body": stamps_in(kwargs["body"])} if kwargs.get("body") else {})


@kind("stamps/.*", "shape", "stamp")
def stamped_shape(given: dict[str, Any]) -> Any:
    sig = build(app, given["shape"])
    seen: dict[str, Any] = {"hooks": [], "gives": []}
    for stamp in given["stamp"]:
        visitor = VISITORS[stamp["visitor"]]() if "visitor" in stamp else None
        append = {"append_stamps": stamp["append"]} if "append" in stamp else {}
        told = outcome(
            lambda visitor=visitor, append=append, stamp=stamp: (
                "itself" if sig.stamp(visitor, **append, **stamp.get("headers", {})) is sig else None
            )
        )
        seen["gives"].append(told)
        seen["hooks"] += getattr(visitor, "calls", [])
    seen["signature"] = shown(stamps_in(sig))
    raised = outcome(sig.apply_async).get("raises")
    lab.rest()
    runs = [{key: entry[key] for key in ("task", "stamps", "stamped_headers")} for entry in notes(kind="start")]
    return {**seen, "call_raises": raised, "runs": sorted(runs, key=ordered)}


STAMPED = {"stamped_headers": ["label", "other"], "label": "x", "other": [1, None]}


def got(result: Any) -> Any:
    return outcome(lambda: result.get(timeout=5)).get("value")


@experiment("stamps-of/apply_async")
def as_options() -> Any:
    return {
        "worker": got(see.apply_async(**STAMPED)),
        "send_task": got(app.send_task("see", **STAMPED)),
        "set": got(see.s().set(**STAMPED).apply_async()),
        "none": got(see.apply_async(stamped_headers=[])),
        "without a list": got(see.apply_async(label="x")),
        "without a value": outcome(lambda: see.apply_async(stamped_headers=["label"]))["raises"],
        "none as value": outcome(lambda: see.s().stamp(label=None).apply_async())["raises"],
        "eager": of_eager(see.apply(**STAMPED).get()),
        "eager signature": of_eager(see.s().stamp(label="x").apply().get()),
    }


def of_eager(seen: dict[str, Any]) -> Any:
    return [seen["stamps"], seen["stamped_headers"]]


@experiment("stamps-of/link-of-a-clone")
def clones() -> Any:
    sig = see.si()
    sig.link(see.si())
    copy = sig.clone()
    copy.stamp(label="copy")
    chain = canvas.chain(see.si(), see.si())
    longer = chain | see.si()
    longer.stamp(label="longer")
    return {"original": stamps_in(sig), "copy": stamps_in(copy), "chain": stamps_in(chain), "longer": stamps_in(longer)}


@experiment("stamps-of/merge")
def given_again() -> Any:
    sig = see.si().stamp(label="x")
    return {
        "clone": dict(sig.clone(label="y", other=1).options),
        "apply_async": got(sig.apply_async(label="y", stamped_headers=["other"], other=1)),
        "twice": dict(see.si().stamp(label="x").stamp(label="y").options),
        "twice, appended": dict(see.si().stamp(label="x").stamp(append_stamps=True, label="y").options),
    }


@experiment("stamps-of/retry-and-replace")
def other_runs() -> Any:
    return {
        "retry": got(retry_seen.s(1, y=2).stamp(label="x").apply_async()),
        "replaced": got(replace_seen.s("plain").stamp(label="x").apply_async()),
        "replaced by a stamped one": got(replace_seen.s("stamped").stamp(label="x").apply_async()),
        "replaced by a chain": got(replace_seen.s("chain").stamp(label="x").apply_async()),
        "replaced in a chain": got((replace_seen.s("plain") | see.s()).apply_async()),
    }


@experiment("revoke/by-stamps")
def revoked_by_stamps() -> Any:
    """Which values of a stamp a value revokes."""
    values = {"text": "5", "number": 5, "list": ["a", 5], "dict": {"k": 5}, "other": "a", "bool": True}
    app.control.revoke_by_stamped_headers({"mark": [5, {"k": 5}], "other_mark": "x"})
    time.sleep(1.5)
    calls = {name: see.apply_async(stamped_headers=["mark"], mark=each) for name, each in values.items()}
    calls["second header"] = see.apply_async(stamped_headers=["mark", "other_mark"], mark="no", other_mark=["x", "y"])
    return {name: look(call, 4)["state"] for name, call in calls.items()}


@experiment("revoke/by-stamps-terminate")
def terminated_by_stamps() -> Any:
    runs, other = (sleep.apply_async((6,), stamped_headers=["m"], m=[name]) for name in ("one", "two"))
    until(lambda: len(notes(kind="start", task="sleep")) == 2)
    app.control.revoke_by_stamped_headers({"m": ["one"]}, terminate=True)
    return {"one": look(runs, 3), "two": other.state}
