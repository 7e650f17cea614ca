"""Calls that are run by who makes them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.celery.conformance import tasks
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.looking import outcome, shown
from tests.celery.conformance.tasks import add, app, describe, fail, mul, xsum
from tests.celery.conformance.words import module

canvas = module("canvas")
chain, chord, group = canvas.chain, canvas.chord, canvas.group
AsyncResult = module("result").AsyncResult


@contextmanager
def eagerly(**conf: Any) -> Iterator[None]:
    app.conf.update(task_always_eager=True, **conf)
    try:
        yield
    finally:
        app.conf.update(task_always_eager=False, task_eager_propagates=False, task_store_eager_result=False)


def name_of(value: Any) -> str:
    return type(value).__name__


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


@experiment("eager/basics")
def basics() -> Any:
    with eagerly():
        later, seconds = timed(lambda: add.apply_async((1, 1), countdown=5))
        retried, retry_seconds = timed(tasks.retry_default.apply_async)
        failed = fail.delay()
        two = group(add.s(1, 1), add.s(2, 2))()
        in_chain = (add.s(1, 1), group(add.s(1), mul.s(10)), xsum.s())
        asked: dict[str, Callable[[], Any]] = {
            "chord": lambda: chord([add.s(1, 1), add.s(2, 2)])(xsum.s()).get(),
            "group_in_chain": lambda: chain(*in_chain)().get(),
            "missing_argument": lambda: add.delay(1),
            "link": lambda: name_of(add.apply_async((1, 1), link=mul.s(2))),
            "unserialisable_argument": lambda: describe.delay(object()).get()["type"],
            "chain_fail": lambda: chain(fail.s(), add.s(1))().get(),
            "chord_fail": lambda: chord([add.s(1, 1), fail.s()])(xsum.s()).get(),
            "get_inside": lambda: tasks.gets_inside.delay().get(),
            "ignore": lambda: [tasks.ignoring.delay().state, tasks.ignoring.delay().get()],
            "ignore_result": lambda: [tasks.quiet_task.delay().state, tasks.quiet_task.delay().get()],
            "chunks": lambda: add.chunks([(1, 1), (2, 2)], 1)().get(),
            "expired": lambda: add.apply_async((1, 1), expires=-5).get(),
            "update_state": lambda: tasks.progress.delay().get(),
            "fail_get": failed.get,
            "retry_get": retried.get,
        }
        return {
            **{name: outcome(call) for name, call in asked.items()},
            "type": name_of(add.delay(1, 1)),
            "value": add.delay(1, 1).get(),
            "countdown_waits": seconds >= 1,
            "fail_delay_state": failed.state,
            "fail_result": shown(failed.result),
            "fail_get(propagate=False)": shown(failed.get(propagate=False)),
            "retry_default_delay_waits": retry_seconds >= 3,
            "retry_state": retried.state,
            "chord_type": name_of(chord([add.s(1, 1)])(xsum.s())),
            "chain": chain(add.s(1, 1), add.s(2))().get(),
            "chain_type": name_of(chain(add.s(1, 1), add.s(2))()),
            "group": two.get(),
            "group_type": name_of(two),
            "AsyncResult(id).state": AsyncResult(later.id, app=app).state,
            "send_task": name_of(app.send_task("add", (1, 1))),
            "tuple_argument": describe.delay((1,)).get(),
            "is_eager": tasks.request.delay().get()["is_eager"],
        }


@experiment("eager/propagates")
def propagates() -> Any:
    with eagerly(task_eager_propagates=True):
        return {
            "fail.delay()": outcome(fail.delay),
            "retry": outcome(tasks.retry_exc.delay),
            "chain": outcome(lambda: chain(add.s(1, 1), fail.s())()),
            "ok": outcome(lambda: tasks.retry_forever.delay(2).get()),
        }


def revoked() -> list[Any]:
    result = add.apply((1, 1))
    return [result.revoke(), result.state]


@experiment("eager/apply")
def applied() -> Any:
    return {
        "type": name_of(add.apply((1, 1))),
        "fail": [fail.apply().state, shown(fail.apply().result)],
        "throw=True": outcome(lambda: fail.apply(throw=True)),
        "retries": tasks.retry_forever.apply((3,)).get(),
        "retry_exhausted": outcome(lambda: tasks.retry_plain.apply().get()),
        "retry_state": tasks.retry_plain.apply().state,
        "ready": add.apply((1, 1)).ready(),
        "forget": outcome(lambda: add.apply((1, 1)).forget()),
        "revoke": outcome(revoked),
        "name": add.apply((1, 1)).name,
        "children": add.apply((1, 1)).children,
        "signature": add.s(1, 1).apply().get(),
        "chain": (add.s(1, 1) | mul.s(5)).apply().get(),
        "group": group(add.s(1, 1), add.s(2, 2)).apply().get(),
        "chord": chord([add.s(1, 1), add.s(2, 2)], xsum.s()).apply().get(),
        "link": outcome(lambda: add.apply((1, 1), link=mul.s(2)).get()),
    }
