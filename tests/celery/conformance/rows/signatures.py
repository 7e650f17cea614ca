"""Signatures: what the operators give, and which arguments are refused where."""

import time
from collections.abc import Callable
from typing import Any

from tests.celery.conformance import lab
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import journal, notes
from tests.celery.conformance.looking import look, outcome, shown
from tests.celery.conformance.tasks import add, app, describe, fail, mul, stamp_log, untyped, xsum
from tests.celery.conformance.words import module

canvas = module("canvas")
chain, chord, group = canvas.chain, canvas.chord, canvas.group

PAIRS = [(number, number) for number in range(10)]


def name_of(value: Any) -> str:
    return type(value).__name__


def of_dictionary(**keys: Any) -> Any:
    return outcome(lambda: app.signature({"task": "add", "args": [1, 1], **keys}).apply_async().get(timeout=5))


def frozen_id_is_used() -> bool:
    sig = add.s(1, 1)
    return bool(sig.freeze().id == sig.apply_async().id)


def types() -> dict[str, Any]:
    two, both = group(add.s(1, 1), add.s(1, 1)), group(xsum.s(), xsum.s())
    built = {
        "type_of_s": add.s(1),
        "or_type": add.s(1, 2) | mul.s(3),
        "chain_type": chain(add.s(1, 1), add.s(1)),
        "chain_of_one_type": chain(add.s(1, 1)),
        "chain_of_list_of_one_type": chain([add.s(1, 1)]),
        "chain_empty_type": chain(),
        "group_type": group(add.s(1, 1)),
        "chord_type": chord([add.s(1, 1)], xsum.s()),
        "group_task_type": group(add.s(1, 1)) | xsum.s(),
        "group_two_task_type": two | xsum.s(),
        "chord_task_type": chord([add.s(1, 1)], xsum.s()) | add.s(1),
        "group_group_type": two | both,
        "task_group_type": add.s(1, 1) | both,
    }
    return {key: name_of(value) for key, value in built.items()}


@experiment("signature/partials")
def partials() -> Any:
    sig = add.s(1).set(countdown=5)
    options = dict(sig.options)
    joined = add.s(1, 2) | mul.s(3)
    cloned = describe.s("own").clone(kwargs={"a": 1}, countdown=3)
    one_chord, one_group = chord([add.s(1)], xsum.s()), group(add.s(1))
    named = (chain(add.s(1), add.s(1)), one_group, one_chord, add.chunks([(1, 1)], 1), add.map([1]))
    return {
        **types(),
        "add.s(1).apply_async(args=(2,))": add.s(1).apply_async(args=(2,)).get(timeout=5),
        "order": app.signature("describe", args=("own",)).clone(args=("given",)).args,
        "set_options": options,
        "set_returns_same_object": sig.set(priority=3) is sig,
        "or_module": type(joined).__module__,
        "repr": repr(joined),
        "is_dict": isinstance(add.s(1), dict),
        "keys": sorted(add.s(1)),
        "dict": shown(dict(add.s(1, k=2))),
        "clone_options": dict(cloned.options),
        "si_immutable": add.si(1).immutable,
        "call_directly": outcome(lambda: add.s(1, 2)()),
        "call_with_more": outcome(lambda: add.s(1)(5)),
        "delay": add.s(1).delay(5).get(timeout=5),
        "apply": shown(add.s(1, 2).apply().get()),
        "eq": add.s(1) == add.s(1),
        "name": add.s(1).name,
        "id": add.s(1).id,
        "freeze_id_is_used": frozen_id_is_used(),
        "signature from {'task', 'args'}": of_dictionary(),
        "signature from all five keys": of_dictionary(kwargs={}, options={}, subtask_type=None, immutable=False),
        "or_non_signature": outcome(lambda: add.s(1) | 5),
        "invert": outcome(lambda: ~add.s(2, 2)),
        "keys_of_group": sorted(one_group),
        "keys_of_chord": sorted(one_chord),
        "task_names": [each["task"] for each in (*named, add.starmap([(1, 1)]))],
        "kwargs_of_group": sorted(one_group["kwargs"]),
        "kwargs_of_chord": sorted(one_chord["kwargs"]),
    }


@experiment("signature/empty")
def empty() -> Any:
    nothing = group([]).apply_async()
    facts = [bool(nothing), nothing.ready(), nothing.successful(), nothing.completed_count(), len(nothing)]
    return {
        "chain().apply_async()": outcome(lambda: chain().apply_async()),
        "chain([])()": outcome(lambda: chain([])()),
        "chain()()": outcome(lambda: chain()()),
        "chain().delay()": outcome(lambda: chain().delay()),
        "group([])().get()": outcome(lambda: group([])().get(timeout=2)),
        "group().apply_async().get()": outcome(lambda: group().apply_async().get(timeout=2)),
        "group([]).apply_async() bool and ready": {"value": facts},
        "chord([])(xsum.s()).get()": outcome(lambda: chord([])(xsum.s()).get(timeout=4)),
        "chord([], xsum.s())().get()": outcome(lambda: chord([], xsum.s())().get(timeout=4)),
        "chord([]) class": name_of(chord([], xsum.s())()),
    }


def refused_by(call: Callable[[], Any]) -> Any:
    try:
        result = call()
    except Exception as error:
        return {"raised_by": "the caller", "type": name_of(error), "text": str(error)}
    return {"raised_by": "the worker", **look(result, 5)}


@experiment("signature/typing")
def typing() -> Any:
    single: dict[str, Callable[[], Any]] = {
        "add.delay(1)": lambda: add.delay(1),
        "add.delay(1, 2, 3)": lambda: add.delay(1, 2, 3),
        "add.delay(1, z=2)": lambda: add.delay(1, z=2),
        "untyped.delay(1)": lambda: untyped.delay(1),
        "add.apply_async((1,))": lambda: add.apply_async((1,)),
        "add.s(1).delay()": lambda: add.s(1).delay(),
        "add.apply_async(args=5)": lambda: add.apply_async(args=5),
        "add.apply_async(args='ab')": lambda: add.apply_async(args="ab"),
        "send_task('add', (1,))": lambda: app.send_task("add", (1,)),
        "add.apply((1,))": lambda: add.apply((1,)),
        "bound task, self not counted": lambda: stamp_log.delay(),
    }
    several: dict[str, Callable[[], Any]] = {
        "group(add.s(1))()": lambda: group(add.s(1))(),
        "chain(add.s(1), add.s(1))()": lambda: chain(add.s(1), add.s(1))(),
        "chain(add.s(1, 1), add.s(1, 2))()": lambda: chain(add.s(1, 1), add.s(1, 2))(),
    }
    seen = {name: refused_by(call) for name, call in single.items()}
    return seen | {name: outcome(lambda call=call: call().get(timeout=4)) for name, call in several.items()}


def sent(call: Callable[[], Any]) -> Any:
    """The result of a call, and how many messages and runs it took."""
    journal.begin()
    result = call()
    value = result.get(timeout=6)
    lab.rest()
    return {
        "class": name_of(result),
        "value": value,
        "messages": len(notes(kind="signal", name="before_task_publish")),
        "runs": sorted(entry["task"] for entry in notes(kind="end")),
    }


@experiment("signature/chunks-messages")
def chunks() -> Any:
    return {
        "chunks()": sent(lambda: add.chunks(zip(range(10), range(10), strict=True), 4)()),
        "chunks.apply_async()": sent(lambda: add.chunks(PAIRS, 4).apply_async()),
        "chunks.group()()": sent(lambda: add.chunks(zip(range(10), range(10), strict=True), 4).group()()),
        "map": sent(lambda: xsum.map([[1, 2], [3]]).apply_async()),
        "starmap": sent(lambda: add.starmap([(1, 2), (3, 4)]).apply_async()),
        "map()": outcome(lambda: xsum.map([[1, 2], [3]])()),
        "starmap of generator": sent(lambda: add.starmap((each, each) for each in range(3)).apply_async()),
    }


@experiment("signature/link-at-call")
def links() -> Any:
    add.apply_async((1, 1), link=stamp_log.s()).get(timeout=4)
    add.apply_async((2, 2), link=[stamp_log.s(), stamp_log.si("second")]).get(timeout=4)
    fail.apply_async((), link_error=stamp_log.si("errback"))
    time.sleep(0.5)
    lab.rest()
    return sorted(str(entry["label"]) for entry in notes(kind="ran"))
