"""Results of groups."""

import time
from typing import Any

from tests.celery.conformance import tasks
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.looking import outcome, until
from tests.celery.conformance.tasks import add, app
from tests.celery.conformance.words import module

group = module("canvas").group
GroupResult = module("result").GroupResult


def two() -> Any:
    return group(add.s(1, 1), add.s(2, 2))


@experiment("group/one-failed-of-three")
def one_has_failed() -> Any:
    result = group(add.s(1, 1), tasks.fail.s(), add.s(3, 3))()
    until(result.ready)
    seen = {name: getattr(result, name)() for name in ("completed_count", "failed", "successful", "ready", "waiting")}
    for name in ("get", "join"):
        ask = getattr(result, name)
        seen[f"{name}()"] = outcome(lambda ask=ask: ask(timeout=4))
        seen[f"{name}(propagate=False)"] = outcome(lambda ask=ask: ask(timeout=4, propagate=False))
    return {
        **seen,
        "len": len(result),
        "bool": bool(result),
        "maybe_throw": outcome(result.maybe_throw),
        "has_state_attribute": hasattr(result, "state"),
        "supports_iteration": outcome(lambda: [each.state for each in result]),
        "indexing": outcome(lambda: result[0].get(timeout=2)),
    }


@experiment("group/while-running")
def while_one_runs() -> Any:
    result = group(add.s(1, 1), tasks.sleep.s(2, 5))()
    until(result[0].ready)
    seen = {name: getattr(result, name)() for name in ("ready", "waiting", "completed_count", "successful", "failed")}
    seen["get(timeout=0.3)"] = outcome(lambda: result.get(timeout=0.3))
    return {**seen, "get": result.get(timeout=6)}


@experiment("group/save-restore")
def saved() -> Any:
    result = two()()
    result.get(timeout=5)
    not_saved = outcome(lambda: GroupResult.restore(result.id, app=app))
    result.save()
    restored = GroupResult.restore(result.id, app=app)
    seen = {"restore_without_save": not_saved.get("value", not_saved), "after_save": restored.get(timeout=3)}
    restored.delete()
    return {**seen, "after_delete": GroupResult.restore(result.id, app=app)}


@experiment("group/revoke", seconds=4)
def revoked() -> Any:
    result = two().apply_async(countdown=2)
    time.sleep(0.3)
    result.revoke()
    time.sleep(2.8)
    return {"states": [each.state for each in result], "get": outcome(lambda: result.get(timeout=2))}


@experiment("result/get-callback")
def callback() -> Any:
    told: list[Any] = []
    add.delay(1, 1).get(timeout=5, callback=lambda _, value: told.append(["single", value]))
    given = outcome(lambda: two()().get(timeout=5, callback=lambda _, value: told.append(["group", value])))
    return {"calls": sorted(told, key=str), "group_get_returns": given}
