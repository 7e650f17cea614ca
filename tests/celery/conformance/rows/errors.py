"""Errors of tasks as callers get them, and processes that end in the middle of one."""

import json
import re
import time
from typing import Any

from tests.celery.conformance import lab, tasks
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import look, outcome, shown, until
from tests.celery.conformance.rows.arguments import without_addresses
from tests.celery.conformance.rows.limits import still_works
from tests.celery.conformance.tasks import add
from tests.celery.conformance.workers import seen_by_another_process, worker


def without_numbers(seen: Any) -> Any:
    return json.loads(re.sub(r"Job: \d+", "Job: N", json.dumps(seen)))


@experiment("exception/two-args")
def of_classes_that_are_known() -> Any:
    seen = {}
    for which in ("two", "two text", "object"):
        result = tasks.custom.delay(which)
        seen[which] = look(result)
        seen[which] |= {
            "attributes": shown(dict(vars(result.result))),
            "args": shown(result.result.args),
            "stored": lab.store().stored(result.id)["result"],
        }
    return without_addresses(seen)


READ_ERRORS = """
import json, sys
from CELERY import Celery
app = Celery("other", broker=sys.argv[1], backend=sys.argv[1])
seen = {}
for name, task_id in json.loads(sys.argv[2]).items():
    try:
        app.AsyncResult(task_id).get(timeout=3)
    except BaseException as error:
        kind = type(error)
        bases = [base.__name__ for base in kind.__mro__[1:3]]
        seen[name] = [kind.__module__, kind.__name__, bases, str(error), repr(error.args)]
print(json.dumps(seen))
"""


@experiment("exception/two-args-not-importable")
def of_classes_that_are_not() -> Any:
    results = {which: tasks.custom.delay(which) for which in ("two", "two text")}
    results["local class"] = tasks.local_exception.delay()
    until(lambda: all(notes(kind="end", id=result.id) for result in results.values()))
    time.sleep(0.3)
    return seen_by_another_process(READ_ERRORS, json.dumps({name: result.id for name, result in results.items()}))


@experiment("exception/system-exit")
def system_exit() -> Any:
    seen = {f"SystemExit({code})": look(tasks.exits.delay(code)) for code in (0, 3)}
    return {**seen, "worker_survives": still_works()}


@experiment("exception/keyboard-interrupt", alone=True)
def keyboard_interrupt() -> Any:
    with worker() as running:
        came_to = look(tasks.interrupts.delay())
        time.sleep(1)
        survives = outcome(lambda: add.delay(1, 1).get(timeout=6))
        return {**came_to, "worker_survives": survives, "worker_exit_code": running.process.poll()}


@experiment("exception/killed")
def killed() -> Any:
    killed, left = tasks.dies.delay(), tasks.leaves.delay()
    seen = without_numbers({"SIGKILL": look(killed, 10), "os._exit(3)": look(left, 10)})
    return {**seen, "worker_survives": still_works()}


@experiment("exception/killed-late")
def killed_late() -> Any:
    late, again = tasks.dies_late.delay(), tasks.dies_late_reject.delay()
    seen = {"acks_late": look(late, 8), "acks_late+reject_on_worker_lost": look(again, 10)}
    return without_numbers({**seen, "runs": [len(lab.runs(late.id)), len(lab.runs(again.id))]})


@experiment("exception/get-inside-task")
def get_inside() -> Any:
    return {
        "default": look(tasks.gets_inside.delay()),
        "disable_sync_subtasks=False": look(tasks.gets_inside_allowed.delay()),
    }
