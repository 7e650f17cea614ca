"""Expiry, revocation, time limits."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.celery.conformance import lab, tasks
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.looking import look, outcome, raised, until
from tests.celery.conformance.tasks import add, app, sleep
from tests.celery.conformance.words import module
from tests.celery.conformance.workers import worker

AsyncResult = module("result").AsyncResult


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def still_works() -> Any:
    return outcome(lambda: add.delay(1, 1).get(timeout=8))


def running(task: Any, *args: Any) -> Any:
    """The result of a call that has begun."""
    result = task.delay(*args)
    until(lambda: lab.runs(result.id))
    return result


@experiment("expires/past")
def long_expired() -> Any:
    result = add.apply_async((1, 1), expires=an_hour_ago())
    came_to = look(result, 3)
    return {**came_to, "runs": len(lab.runs(result.id)), "signals": lab.signals_of(result.id)}


@experiment("expires/negative")
def negative() -> Any:
    try:
        result = add.apply_async((1, 1), expires=-5)
    except Exception as error:
        return raised(error)
    return f"accepted: {json.dumps(look(result, 3))}"


@experiment("expires/zero")
def zero() -> Any:
    return look(add.apply_async((1, 1), expires=0), 3)


@experiment("expires/float-and-text")
def as_text() -> Any:
    times = (10.5, "2099-01-01T00:00:00", datetime(2099, 1, 1))
    return [outcome(lambda when=when: add.apply_async((1, 1), expires=when).get(timeout=4)) for when in times]


@experiment("expires/while-countdown", seconds=4)
def before_its_time() -> Any:
    result = add.apply_async((1, 1), countdown=3, expires=1)
    seen = [result.state]
    time.sleep(2)
    seen.append(result.state)
    time.sleep(2)
    return {"states": seen, **look(result, 2), "runs": len(lab.runs(result.id))}


@experiment("expires/while-no-worker", alone=True)
def before_there_is_a_worker() -> Any:
    result = add.apply_async((1, 1), expires=1)
    time.sleep(1.5)
    before = result.state
    with worker():
        return {"before_worker": before, **look(result, 5)}


@experiment("revoke/before-start", seconds=4)
def revoked_in_time() -> Any:
    result = add.apply_async((1, 1), countdown=3)
    time.sleep(0.7)
    result.revoke()
    time.sleep(0.7)
    soon = result.state
    time.sleep(2.6)
    seen = {name: getattr(result, name)() for name in ("ready", "failed", "successful")}
    return {"soon_after": soon, **look(result, 2), **seen}


@experiment("revoke/terminate-running")
def terminated() -> Any:
    result = running(sleep, 8)
    began = time.monotonic()
    result.revoke(terminate=True)
    came_to = look(result, 5)
    seconds = round(time.monotonic() - began)
    return {**came_to, "within_seconds": seconds, "worker_survives": still_works()}


@experiment("revoke/terminate-usr1")
def told_softly() -> Any:
    result = running(sleep, 8)
    result.revoke(terminate=True, signal="SIGUSR1")
    return look(result, 5)


@experiment("revoke/running-no-terminate")
def revoked_too_late() -> Any:
    result = running(sleep, 2, "done")
    result.revoke()
    return look(result, 5)


@experiment("revoke/same-id-later")
def revoked_before_it_was_sent() -> Any:
    task_id = str(uuid4())
    app.control.revoke(task_id)
    time.sleep(0.5)
    return look(add.apply_async((1, 1), task_id=task_id), 3)


@experiment("revoke/no-worker", alone=True)
def nobody_hears() -> Any:
    result = add.delay(1, 1)
    result.revoke()
    with worker():
        return look(result)


@experiment("revoke/wait")
def reply() -> Any:
    result = add.apply_async((1, 1), countdown=2)
    time.sleep(0.4)
    said = result.revoke(wait=True, timeout=1)
    return {"reply": said, "after": look(result, 4)}


@experiment("revoke/after-success")
def revoked_when_it_was_done() -> Any:
    result = add.delay(1, 1)
    result.get(timeout=5)
    app.control.revoke(result.id)
    time.sleep(0.7)
    fresh = AsyncResult(result.id, app=app)
    return {"state": fresh.state, "result": fresh.result}


@experiment("limit/soft")
def soft() -> Any:
    return look(tasks.soft.delay())


@experiment("limit/soft-caught")
def soft_caught() -> Any:
    return look(tasks.soft_caught.delay())


@experiment("limit/hard")
def hard() -> Any:
    return {**look(tasks.hard.delay(), 8), "worker_survives": still_works()}


@experiment("limit/hard-late")
def hard_late() -> Any:
    result = tasks.hard_late.delay()
    came_to = look(result, 8)
    time.sleep(2)
    return {**came_to, "runs": len(lab.runs(result.id))}


@experiment("limit/at-call")
def at_the_call() -> Any:
    return [look(sleep.apply_async((4,), soft_time_limit=1)), look(sleep.apply_async((4,), time_limit=1), 8)]


@experiment("limit/soft-above-hard")
def soft_above_hard() -> Any:
    return outcome(lambda: sleep.apply_async((4,), soft_time_limit=3, time_limit=1).get(timeout=8))
