"""What results know of each other, and requests of their results."""

import json
from typing import Any

from tests.celery.conformance import lab, tasks
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.looking import shown
from tests.celery.conformance.tasks import add, app, request
from tests.celery.conformance.words import module

canvas, results = module("canvas"), module("result")
chain, group, AsyncResult = canvas.chain, canvas.group, results.AsyncResult


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@experiment("result/children")
def children() -> Any:
    result = tasks.calls_two.delay()
    result.get(timeout=5)
    lab.rest()
    fresh = AsyncResult(result.id, app=app)
    return {
        "children": [type(child).__name__ for child in fresh.children],
        "children_values": [child.get(timeout=2) for child in fresh.children],
        "collect": ["list of ids" if isinstance(value, list) else value for _, value in fresh.collect()],
        "graph_nodes": len(fresh.graph),
        "graph_type": type(fresh.graph).__name__,
    }


@experiment("result/parents")
def parents() -> Any:
    result = chain(add.s(1, 1), add.s(2), add.s(3))()
    result.get(timeout=5)
    lab.rest()
    first = result.parent.parent
    return {
        "parent_value": result.parent.get(timeout=2),
        "grandparent_value": first.get(timeout=2),
        "first_parent": first.parent,
        "children_of_first": [child.get(timeout=2) for child in first.children],
        "as_tuple_shape": shown(through_json(result.as_tuple())),
        "as_list_length": len(result.as_list()),
        "fresh AsyncResult(id).parent": AsyncResult(result.id, app=app).parent,
        "graph_nodes": len(result.graph),
    }


@experiment("result/as-tuple-group")
def as_tuple() -> Any:
    two = group(add.s(1, 1), add.s(2, 2))()
    then_two = chain(add.s(1, 1), group(add.s(1), add.s(2)))()
    two.get(timeout=5)
    then_two.get(timeout=5)
    kept = through_json(then_two.as_tuple())
    back = results.result_from_tuple(kept, app=app)
    return {"group": through_json(two.as_tuple()), "chain": kept, "back": back.get(timeout=3)}


@experiment("result/ids")
def ids() -> Any:
    second = chain(add.s(1, 1), request.s()).apply_async()
    seen = second.get(timeout=5)
    both = group(request.s(), request.s()).apply_async()
    members = both.get(timeout=5)
    return {
        "root_is_first": seen["root_id"] == second.parent.id,
        "parent_is_first": seen["parent_id"] == second.parent.id,
        "group_is_result_id": members[0]["group"] == both.id,
        "group_member_root_is_itself": members[0]["root_id"] == members[0]["id"],
        "group_index": [member["group_index"] for member in members],
    }


STEADY = {
    "args", "kwargs", "retries", "is_eager", "delivery_info", "expires", "eta", "timelimit", "group", "chain", "chord",
    "callbacks", "errbacks", "utc", "ignore_result", "task", "argsrepr", "kwargsrepr", "lang", "called_directly",
    "priority",
}  # fmt: skip
"""Keys of a request whose values are the same each time."""


@experiment("result/request-keys")
def request_keys() -> Any:
    seen = request.delay(1, k=2).get(timeout=5)
    return {"keys": sorted(seen), "values": {key: value for key, value in seen.items() if key in STEADY}}


@experiment("result/equality")
def equality() -> Any:
    result = add.delay(1, 1)
    other = AsyncResult(result.id, app=app)
    return {
        "bool": bool(result),
        "str_is_id": str(result) == result.id,
        "eq_id": result == result.id,
        "eq_other": result == other,
        "set_size": len({result, other}),
    }
