"""States of tasks, and what is kept of them."""

import json
import re
import time
from typing import Any
from uuid import uuid4

from tests.celery.conformance import lab, tasks
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import look, outcome, shown, typed, until
from tests.celery.conformance.tasks import add, app
from tests.celery.conformance.words import module
from tests.celery.conformance.workers import seen_by_another_process, worker

AsyncResult, GroupResult = module("result").AsyncResult, module("result").GroupResult


@experiment("state/unknown-id")
def unknown() -> Any:
    result = AsyncResult(str(uuid4()), app=app)
    seen = {name: getattr(result, name) for name in ("state", "result", "info", "children", "parent", "date_done")}
    seen |= {name: getattr(result, name)() for name in ("ready", "successful", "failed")}
    seen |= {"traceback": result.traceback, "maybe_throw": outcome(result.maybe_throw)}
    return {**seen, "get(timeout=1)": outcome(lambda: result.get(timeout=1))}


@experiment("state/group-restore-unknown")
def unknown_group() -> Any:
    return outcome(lambda: GroupResult.restore(str(uuid4()), app=app))


def once_it_has_run(task: Any) -> Any:
    result = task.delay()
    until(lambda: notes(kind="end", id=result.id))
    time.sleep(0.2)
    return {
        "get": outcome(lambda: result.get(timeout=1.5)),
        "state": result.state,
        "result": shown(result.result),
        "postrun_state": [end["state"] for end in notes(kind="end", id=result.id)],
        "ready": result.ready(),
        "signals": lab.signals_of(result.id),
    }


for row_id, task in (
    ("ignore", tasks.ignoring),
    ("ignore-after-update", tasks.ignoring_with_state),
    ("reject", tasks.rejecting),
    ("reject-late", tasks.rejecting_late),
):
    experiment(f"state/{row_id}")(lambda task=task: once_it_has_run(task))


@experiment("state/reject-requeue")
def requeued() -> Any:
    result = tasks.rejecting_requeue.delay()
    return {**look(result), "runs": len(lab.runs(result.id))}


@experiment("state/progress")
def progress() -> Any:
    result = tasks.progress.delay()
    until(lambda: result.state == "PROGRESS")
    during = {"state": result.state, "info": shown(result.info), "result": shown(result.result)}
    during |= {"ready": result.ready(), "date_done": type(result.date_done).__name__}
    return {"during": during, "after": look(result)}


UPDATED_TO_FAILURE = """
import json, sys, time
from CELERY import Celery
app = Celery("other", broker=sys.argv[1], backend=sys.argv[1])
def said(call):
    try:
        return repr(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
result = app.send_task("progress_fail")
time.sleep(0.8)
seen = {"state during": said(lambda: result.state), "result during": said(lambda: result.result)}
time.sleep(2)
innocent = app.send_task("add", (1, 1))
seen["get of an innocent task"] = said(lambda: innocent.get(timeout=3))
again = app.AsyncResult(result.id)
seen |= {"state after": said(lambda: again.state), "result after": said(lambda: again.result)}
print(json.dumps(seen))
"""


@experiment("state/update-to-failure")
def updated_to_failure() -> Any:
    return seen_by_another_process(UPDATED_TO_FAILURE)


@experiment("state/started")
def tracked() -> Any:
    result = tasks.started_tracked.delay()
    until(lambda: result.state == "STARTED")
    during, info = result.state, shown(result.info)
    known = isinstance(info, dict)
    return {
        "during": during,
        "info_keys": sorted(info) if known else info,
        "hostname": info.get("hostname") if known else None,
        "after": look(result),
    }


@experiment("state/started-default")
def not_tracked() -> Any:
    result = tasks.sleep.delay(1)
    until(lambda: lab.runs(result.id))
    return {"during": result.state, "after": look(result)["state"]}


@experiment("state/ignore-result")
def without_results() -> Any:
    calls = {
        "ignored": (tasks.quiet_task.delay(), 1),
        "overridden": (tasks.quiet_task.apply_async(ignore_result=False), 6),
        "failing": (tasks.quiet_fail.delay(), 1),
        "store_errors_even_if_ignored": (tasks.quiet_store_errors.delay(), 2),
        "apply_async(ignore_result=True)": (add.apply_async((1, 1), ignore_result=True), 1),
    }
    for result, _ in calls.values():
        until(lambda result=result: notes(kind="end", id=result.id))
    time.sleep(0.2)
    seen = {name: look(result, seconds) for name, (result, seconds) in calls.items()}
    fresh = AsyncResult(calls["ignored"][0].id, app=app)
    return {**seen, "fresh AsyncResult(id).get(timeout=1)": outcome(lambda: fresh.get(timeout=1))}


@experiment("state/forget")
def forgotten() -> Any:
    result = add.delay(1, 1)
    result.get(timeout=5)
    seconds = lab.store().seconds_to_live(result.id)
    result.forget()
    return {
        "same object": {"state": result.state, "result": result.result},
        "new AsyncResult": AsyncResult(result.id, app=app).state,
        "get(timeout=1)": outcome(lambda: result.get(timeout=1)),
        "ttl_of_the_result_seconds": None if seconds is None else 100 * round(seconds / 100),
        "result_expires": repr(app.conf.result_expires),
    }


ATTRIBUTES = (
    "name", "args", "kwargs", "queue", "date_done", "retries", "worker", "state", "traceback", "children", "task_id",
    "parent", "ignored", "root_id", "parent_id", "group_id",
)  # fmt: skip


def attributes_of(task_id: str) -> Any:
    result = AsyncResult(task_id, app=app)
    seen = {name: getattr(result, name, "no such attribute") for name in ATTRIBUTES}
    plain = (str, int, list, dict, type(None))
    text = json.dumps({name: each if isinstance(each, plain) else typed(each) for name, each in seen.items()})
    return json.loads(re.sub(r"datetime\.datetime\([^\"]*?(, tzinfo=[^\"]*)?\)", r"datetime(...\1)", text))


@experiment("attributes/default")
def attributes() -> Any:
    result = add.apply_async((1, 1), retries=0)
    result.get(timeout=5)
    stored = lab.store().stored(result.id)
    like = re.sub(r"\d", "9", stored["date_done"])
    return {"attributes": attributes_of(result.id), "stored_keys": sorted(stored), "stored_date_done_like": like}


@experiment("attributes/failure")
def attributes_of_a_failure() -> Any:
    result = tasks.fail.delay(1)
    outcome(lambda: result.get(timeout=5))
    stored = lab.store().stored(result.id)
    lines = stored["traceback"].strip().splitlines()
    return {
        "stored_keys": sorted(stored),
        "stored_result": stored["result"],
        "traceback_last_line": lines[-1],
        "traceback_first_line": lines[0],
    }


@experiment("attributes/extended", alone=True)
def extended_attributes() -> Any:
    app.conf.result_extended = True
    try:
        with worker(conf={"result_extended": True}):
            result = add.apply_async((1,), {"y": 1})
            result.get(timeout=8)
            return {"attributes": attributes_of(result.id), "stored_keys": sorted(lab.store().stored(result.id))}
    finally:
        app.conf.result_extended = False
