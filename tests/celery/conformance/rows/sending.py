"""What goes with a call: its time, priority, id, headers, stamps; and tasks that nobody knows."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from tests.celery.conformance import lab
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import look, outcome, shown, until
from tests.celery.conformance.tasks import add, app, fail, request, signals, stamp_log, stamps, xsum
from tests.celery.conformance.words import module
from tests.celery.conformance.workers import seen_by_another_process, worker
from tests.celery.notation import UUID

canvas = module("canvas")
chain, chord, group = canvas.chain, canvas.chord, canvas.group
AsyncResult = module("result").AsyncResult

HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


def told_when(**options: Any) -> Any:
    """What the message of a call says about its time."""
    said: dict[str, Any] = {}

    def hear(headers: Any = None, **_: Any) -> None:
        said.update(headers)

    signals.before_task_publish.connect(hear, weak=False, dispatch_uid="hear")
    try:
        result = add.apply_async((1, 1), **options)
    finally:
        signals.before_task_publish.disconnect(dispatch_uid="hear")
    app.control.revoke(result.id)
    if said.get("eta") is None:
        return None
    eta = datetime.fromisoformat(said["eta"])
    seconds = round((eta - now()).total_seconds()) if eta.tzinfo else "no offset in the header"
    return {"header_like": re.sub(r"\d", "9", said["eta"]), "seconds_from_now_about": seconds}


@experiment("eta/both", about=1)
def both() -> Any:
    return told_when(countdown=5, eta=now() + timedelta(seconds=100))


@experiment("eta/negative-countdown", about=1)
def negative_countdown() -> Any:
    headers = [told_when(countdown=each) for each in (-5, 0, None, 0.5)]
    return {"header": headers, "result": [add.apply_async((1, 1), countdown=each).get(timeout=4) for each in (-5, 0)]}


@experiment("eta/past", about=1)
def past() -> Any:
    when = now() - HOUR
    return {"header": told_when(eta=when), "result": add.apply_async((1, 1), eta=when).get(timeout=4)}


@experiment("eta/naive", about=1)
def naive() -> Any:
    return told_when(eta=now().replace(tzinfo=None) + HOUR)


@experiment("eta/aware", about=1)
def aware() -> Any:
    return told_when(eta=datetime.now(ZoneInfo("Europe/Berlin")) + HOUR)


@experiment("eta/text", about=1)
def text() -> Any:
    return [outcome(lambda: told_when(eta=(now() + HOUR).isoformat())), outcome(lambda: told_when(countdown="5"))]


NAIVE = """
import json, os, sys, time
os.environ["TZ"] = "Asia/Tokyo"
time.tzset()
from datetime import datetime, timedelta, timezone
from CELERY import Celery, signals
app = Celery("naive", broker=sys.argv[1], backend=sys.argv[1])
app.conf.update(json.loads(sys.argv[2]))
@app.task(name="add")
def add(x, y):
    return x + y
said = {}
@signals.before_task_publish.connect
def hear(headers=None, **_):
    said.update(headers)
now = datetime.now(timezone.utc)
clock = now.replace(tzinfo=None) if sys.argv[3] == "utc" else datetime.now()
result = add.apply_async((1, 1), eta=clock + timedelta(hours=3))
app.control.revoke(result.id)
eta = datetime.fromisoformat(said["eta"])
hours = (eta - (now if eta.tzinfo else now.replace(tzinfo=None))).total_seconds() / 3600
print(json.dumps(["offset in header" if eta.tzinfo else "no offset in header", round(hours, 1)]))
"""

TOKYO = '"timezone": "Asia/Tokyo"'
ZONES = (
    "{}",
    f"{{{TOKYO}}}",
    '{"enable_utc": false}',
    f'{{"enable_utc": false, {TOKYO}}}',
    '{"timezone": "Europe/Berlin"}',
)


@experiment("eta/naive-local-zone", alone=True, seconds=10)
def naive_in_a_zone() -> Any:
    return {
        f"{conf} {clock} clock + 3h": seen_by_another_process(NAIVE, conf, clock)
        for conf in ZONES
        for clock in ("utc", "local")
    }


@experiment("eta/naive-worker", alone=True, about=1, seconds=60)
def naive_for_a_worker() -> Any:
    clocks = {"UTC": "UTC", "Tokyo": "Asia/Tokyo", "worker's local": "America/New_York"}
    seen = {}
    for conf in ZONES[:4]:
        with worker(conf=json.loads(conf), TZ="America/New_York"):
            for clock, zone in clocks.items():
                label = f"{conf} {clock}"
                began = time.time()
                eta = datetime.now(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(seconds=2)
                result = stamp_log.apply_async((label,), eta=eta)
                ran = until(lambda label=label: notes(kind="ran", label=label), 5)
                seen[label] = round(ran[0]["time"] - began) if ran else None
                result.revoke()
    return seen


@experiment("priority/redis-defaults", alone=True)
def priorities() -> Any:
    for label, priority in (("9a", 9), ("5", 5), ("0a", 0), ("none", None), ("3", 3), ("9b", 9), ("0b", 0)):
        stamp_log.apply_async((label,), **({} if priority is None else {"priority": priority}))
    waiting = lab.store().waiting_by_list()
    with worker(processes=1):
        until(lambda: len(notes(kind="ran")) == 7)
        return {"lists": waiting, "order": [entry["label"] for entry in notes(kind="ran")]}


@experiment("priority/invalid")
def odd_priorities() -> Any:
    return [
        outcome(lambda priority=priority: add.apply_async((1, 1), priority=priority).get(timeout=3))
        for priority in (10, -1, "3", 2.5)
    ]


def twice(task_id: str) -> None:
    """Wait until the second run of an id has ended."""
    until(lambda: len(notes(kind="end", id=task_id)) == 2)
    time.sleep(0.3)


@experiment("send/same-id-twice")
def same_id() -> Any:
    task_id = str(uuid4())
    first = add.apply_async((1, 1), task_id=task_id)
    value = first.get(timeout=5)
    second = add.apply_async((2, 2), task_id=task_id)
    twice(task_id)
    return {
        "first": value,
        "second_object_get": second.get(timeout=3),
        "first_object_again": first.get(timeout=3),
        "new_object": AsyncResult(task_id, app=app).get(timeout=3),
        "runs": len(lab.runs(task_id)),
    }


@experiment("send/same-id-failure-after-success")
def same_id_fails() -> Any:
    task_id = str(uuid4())
    add.apply_async((1, 1), task_id=task_id).get(timeout=5)
    fail.apply_async((), task_id=task_id)
    twice(task_id)
    result = AsyncResult(task_id, app=app)
    return {"state": result.state, "result": shown(result.result)}


@experiment("send/free-text-id")
def any_id() -> Any:
    ids = ("my id/ä", 5, "")
    return [outcome(lambda each=each: [add.apply_async((1, 1), task_id=each).get(timeout=3)]) for each in ids]


UNKNOWN = "no.such.task"


@experiment("send/unknown-task")
def unknown_task() -> Any:
    held = lab.store().held()
    result = app.send_task(UNKNOWN, (1,))
    time.sleep(1.2)
    return {
        "state": result.state,
        "get(timeout=1)": outcome(lambda: result.get(timeout=1)),
        "queue_length": lab.store().waiting(),
        "unacked_more_than_before": lab.store().held() - held,
        "signals": sorted({entry["name"] for entry in notes(kind="signal", id=result.id)}),
        "log": [UUID.sub("<id>", line) for line in lab.standing[0].said("unregistered|KeyError")[:2]],
    }


@experiment("send/signature-of-unknown-task")
def unknown_in_canvases() -> Any:
    unknown = app.signature(UNKNOWN)
    return {
        "signature_delay": outcome(lambda: type(app.signature(UNKNOWN).delay()).__name__),
        "app.tasks": outcome(lambda: app.tasks["no.such"]),
        "chain_with_unknown": outcome(lambda: (add.s(1, 1) | unknown.clone()).apply_async().get(timeout=2)),
        "chord_with_unknown": outcome(lambda: chord([add.s(1, 1), unknown.clone()])(xsum.s()).get(timeout=2)),
    }


@experiment("send/of-a-task-without-results")
def without_results() -> Any:
    calls = {
        "by name": app.send_task("quiet", (1,)),
        "by name, against it": app.send_task("quiet", (1,), ignore_result=False),
        "against it": app.tasks["quiet"].apply_async((1,), ignore_result=False),
        "other": app.send_task("add", (1, 1), ignore_result=True),
    }
    lab.rest()
    return {name: result.state for name, result in calls.items()}


@experiment("send/unknown-options")
def unknown_options() -> Any:
    seen = request.apply_async(headers={"a": 1}, foo=1).get(timeout=4)
    return {
        "request.headers": seen["headers"],
        "request.a": seen.get("a", "no such attribute"),
        "request.foo": seen.get("foo", "no such attribute"),
        "properties_keys": sorted(seen.get("properties") or {}),
    }


def stamped(sig: Any, *stamp: dict[str, Any], **options: Any) -> Any:
    for each in stamp:
        sig.stamp(**each)
    return sig.apply_async(**options)


@experiment("send/stamps")
def stamping() -> Any:
    class Visitor(canvas.StampingVisitor):  # type: ignore[name-defined, misc]
        def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
            return {"visited": "v1"}

    two = stamped(chain(stamps.si(), stamps.si()), {"label": "x", "other": ["p", "q"]})
    calls = {
        "label": stamped(stamps.s(), {"label": "x"}),
        "visitor": stamped(stamps.s(), {"visitor": Visitor()}),
        "group": stamped(group(stamps.si(), stamps.si()), {"label": "g"}),
        "stamped twice": stamped(stamps.s(), {"label": "x"}, {"label": "y"}),
        "chord_body": stamped(chord([stamps.si()], stamps.si()), {"label": "c"}),
        "unstamped": stamps.delay(),
    }
    seen = {name: result.get(timeout=4) for name, result in calls.items()}
    return {**seen, "chain": [two.get(timeout=4), two.parent.get(timeout=4)]}


@experiment("send/revoke-by-stamp", alone=True)  # what is revoked stays so for the rows that come after it
def revoked_by_stamp() -> Any:
    with worker():
        result = stamped(add.s(1, 1), {"label": "x"}, countdown=2)
        time.sleep(0.4)
        app.control.revoke_by_stamped_headers({"label": ["x"]})
        return look(result, 5)
