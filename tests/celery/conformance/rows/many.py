"""Many calls: limits of rate, and a chord of ten thousand."""

import time
from typing import Any

from tests.celery.conformance import lab
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import outcome
from tests.celery.conformance.tasks import add, app, count, limited, nothing
from tests.celery.conformance.words import module
from tests.celery.conformance.workers import worker

chord = module("canvas").chord


def ran_after(began: float) -> list[int]:
    return [round(entry["time"] - began) for entry in notes(kind="ran")]


@experiment("rate/two-workers", alone=True, about=1, seconds=30)
def two_workers() -> Any:
    with worker(name="one"), worker(name="two"):
        began = time.time()
        for number in range(10):
            limited.delay(number)
        time.sleep(0.5)
        other = add.delay(1, 1)
        got = outcome(lambda: other.get(timeout=15))
        waited = time.time() - began
        time.sleep(max(0, 20 - (time.time() - began)))
        seen = {
            "ran_at": sorted(ran_after(began)),
            "unlimited": got,
            "unlimited_done_after_seconds": round(waited),
            "reserved": {name: len(held) for name, held in (app.control.inspect(timeout=1).reserved() or {}).items()},
        }
        app.control.purge()
        return seen


@experiment("rate/burst", alone=True, about=1, seconds=20)
def burst() -> Any:
    with worker():
        began = time.time()
        for number in range(3):
            limited.delay(number)
        time.sleep(14)
        return ran_after(began)


@experiment("chord/ten-thousand", alone=True, seconds=40)
def ten_thousand() -> Any:
    with worker():
        result = chord([nothing.si()] * 10_000)(count.s())
        seen = lab.store().watch_chord(result)
        return {**outcome(lambda: result.get(timeout=60)), **seen}
