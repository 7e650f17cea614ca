"""Retries: how many, after how long, with what, and what is seen meanwhile."""

import time
from datetime import UTC, datetime
from typing import Any

from tests.celery.conformance import lab, tasks
from tests.celery.conformance.experiments import experiment, kind
from tests.celery.conformance.journal import journal, notes
from tests.celery.conformance.looking import look, outcome, shown, until
from tests.celery.conformance.tasks import app
from tests.celery.conformance.workers import seen_by_another_process


def to_the_end(task: Any, *args: Any) -> Any:
    result = task.apply_async(args)
    came_to = look(result)
    lab.rest()
    runs = lab.runs(result.id)
    return {"runs": len(runs), "request.retries": [run["retries"] for run in runs], **came_to}


for row_id, task, args in (
    ("max-with-exc", tasks.retry_exc, ()),
    ("max-without-exc", tasks.retry_plain, ()),
    ("max-inside-except", tasks.retry_in_except, ()),
    ("max-none", tasks.retry_forever, (10,)),
    ("new-args", tasks.retry_new_args, (1,)),
    ("options", tasks.retry_queue, ()),
    ("autoretry-kwargs", tasks.auto_kwargs, ()),
    ("autoretry-except", tasks.auto_except, ()),
):
    experiment(f"retry/{row_id}")(lambda task=task, args=args: to_the_end(task, *args))


@experiment("retry/max-without-exc-args")
def with_arguments() -> Any:
    return look(tasks.retry_plain.apply_async((1,), {"b": 5}))


@experiment("retry/called-directly")
def called_directly() -> Any:
    return [outcome(task) for task in (tasks.retry_exc, tasks.retry_plain, tasks.retry_in_except)]


def waiting_for_its_retry(task: Any) -> Any:
    result = task.delay()
    until(lambda: result.state == "RETRY")
    return result


def seconds_until(task_id: str) -> float | None:
    """How long a worker says that it will hold a task."""

    def scheduled() -> list[Any]:
        held = (app.control.inspect(timeout=1).scheduled() or {}).get("one@truth", [])
        return [each for each in held if each["request"]["id"] == task_id]

    found = until(scheduled)
    return (datetime.fromisoformat(found[0]["eta"]) - datetime.now(UTC)).total_seconds() if found else None


@experiment("retry/default-delay")
def default_delay() -> Any:
    task = tasks.retry_default
    result = waiting_for_its_retry(task)
    seconds = seconds_until(result.id)
    seen = {"state": result.state, "result": shown(result.result), "info": shown(result.info), "ready": result.ready()}
    seen |= {
        "delay_seconds_about": None if seconds is None else round(seconds, -1),
        "max_retries": task.max_retries,
        "default_retry_delay": task.default_retry_delay,
        "get(timeout=1)": outcome(lambda: result.get(timeout=1)),
        "traceback_stored": type(result.traceback).__name__,
    }
    app.control.revoke(result.id)
    return seen


@experiment("retry/state-while-waiting-exc")
def why_it_waits() -> Any:
    result = waiting_for_its_retry(tasks.retry_default_exc)
    seen = {"state": result.state, "result": shown(result.result), "date_done": type(result.date_done).__name__}
    app.control.revoke(result.id)
    return seen


ANOTHER_GET = """
import json, sys
from CELERY import Celery
app = Celery("other", broker=sys.argv[1], backend=sys.argv[1])
try:
    said = str(app.AsyncResult(sys.argv[2]).get(timeout=2))
except Exception as error:
    said = f"{type(error).__name__} {error}"
print(json.dumps(said))
"""


@experiment("retry/countdown-0-race", seconds=12)
def race() -> Any:
    results = []
    for number in range(200):
        results.append(tasks.retry_forever.delay(1))
        until(lambda: len(notes(kind="end", id=results[-1].id)) == 2, 5, 0.005)
        if number % 20 == 19:
            journal.begin()
    lab.rest()
    time.sleep(1)
    ends = {result.id: app.AsyncResult(result.id).state for result in results}
    left = [task_id for task_id, state in ends.items() if state == "RETRY"]
    said = seen_by_another_process(ANOTHER_GET, left[0]) if left else None
    succeeded = [*ends.values()].count("SUCCESS")
    return {
        "SUCCESS": succeeded, "RETRY": len(left), "get(timeout=2) of one left in RETRY, in another process": said
    }  # fmt: skip


def delay_of_retry(task: Any, number: int) -> Any:
    """Seconds that were chosen for this retry (1: the first)."""
    result = task.apply_async(retries=number - 1)
    told = until(lambda: notes(kind="signal", name="task_retry", id=result.id))
    app.control.revoke(result.id)
    return told[0]["when"] if told else None


for row_id, task in (("backoff", tasks.auto), ("backoff-3", tasks.auto3), ("backoff-max", tasks.auto_max)):
    kind(f"retry/{row_id}", "n")(lambda given, task=task: [delay_of_retry(task, number) for number in given["n"]])


@experiment("retry/backoff-jitter")
def jitter() -> Any:
    delays = [delay_of_retry(tasks.auto_jitter, 6) for _ in range(25)]
    return {
        "all_whole_numbers": all(isinstance(each, int) for each in delays),
        "all_within_0_and_32": all(0 <= each <= 32 for each in delays),
        "different": len(set(delays)) > 3,
        "some_below_10": min(delays) < 10,
        "some_above_20": max(delays) > 20,
    }


@experiment("retry/autoretry-plain")
def without_backoff() -> Any:
    return [delay_of_retry(tasks.auto_plain, number) for number in (1, 2)]


@experiment("retry/keeps")
def keeps() -> Any:
    options = {"headers": {"h": 1}, "shadow": "shade", "expires": 60, "time_limit": 50, "soft_time_limit": 40}
    seen = tasks.retry_seen.apply_async((1,), {"y": 2}, priority=3, ignore_result=False, **options)
    again = {"time_limit": 30, "shadow": "night", "headers": {"i": 1}, "priority": 6}
    return [look(seen), look(tasks.retry_seen.apply_async((), {"again": again}, **options))]


@experiment("retry/arguments-of-one-kind")
def one_kind() -> Any:
    calls = {
        "args": ((1,), {"y": 2, "again": {"args": [7, 8]}}),
        "args for a keyword": ((), {"x": 1, "y": 2, "again": {"args": [7]}}),
        "kwargs": ((1, 5), {"y": 2, "again": {"kwargs": {"y": 9}}}),
        "kwargs for a place": ((1,), {"again": {"kwargs": {"x": 9}}}),
        "no args": ((1, 5), {"again": {"args": []}}),
        "no kwargs": ((1, 5), {"y": 2, "again": {"kwargs": {}}}),
    }
    return {name: look(tasks.retry_seen.apply_async(*call)) for name, call in calls.items()}
