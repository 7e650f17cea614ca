"""A run of a task here after that of Celery, which is rolled back, and how the two compare."""

import json
import threading
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache
from time import monotonic
from typing import Any, NamedTuple

from workrow.celery import codec, outbox, states
from workrow.celery.bridge.reading import Reader, Theirs, is_redis
from workrow.celery.bridge.rollback import NotRolledBack, rolled_back
from workrow.celery.current import running
from workrow.celery.exceptions import Ignore, ImproperlyConfigured, Reject, Retry
from workrow.celery.kept_errors import keep_error
from workrow.celery.message import delay_of, due_of, request_of
from workrow.celery.worker.calls import limited, served
from workrow.directives import Snooze
from workrow.errors import brief

SHADOW = "workrow.celery.shadow"
"""The task of jobs that compare."""
PRIORITY = -100
"""Below every call."""
PATIENCE = timedelta(days=1)
"""So long after it was due a run on Celery is waited for."""
LONGEST_PAUSE = 60.0
"""Seconds between two looks for its result."""
LONGEST_TEXT = 500


class Ours(NamedTuple):
    """How a run here has ended.

    Attributes:
        state: None: with neither a result nor an error, such as a retry.
        value: JSON of its result, or of its error.
        seconds: that it took.
    """

    state: str | None
    value: Any
    seconds: float


def call_of(name: str, task_id: str, args: Any, kwargs: Any, options: dict[str, Any], queue: str) -> dict[str, Any]:
    """What a shadow's job carries.

    Raises:
        EncodeError: the arguments are no JSON.
    """
    delay = delay_of(options)
    due = datetime.now(UTC) + timedelta(seconds=delay) if delay else due_of(options) or datetime.now(UTC)
    told = {"id": task_id, "args": codec.pack([*(args or ())]), "kwargs": codec.pack(dict(kwargs or {}))}
    return {"name": name, "told": told, "due": due.isoformat(), "queue": queue}


def effects_of(call: dict[str, Any]) -> str:
    """The job, as ``celery_write`` takes it: due a second after the call."""
    at = datetime.fromisoformat(call["due"]) + timedelta(seconds=1)
    job = {"task": SHADOW, "queue": call["queue"], "priority": PRIORITY, "at": at.isoformat(), "args": call}
    return json.dumps({"calls": [job]})


def run(name: str, told: dict[str, Any], due: str, queue: str) -> None:
    """Wait for Celery's end of a call, run it here and keep how they compare. Raises Snooze until there is one."""
    app = served()
    began = datetime.fromisoformat(due)
    verdict: str
    why: str | None
    theirs = reader_of(app).of(told["id"])
    if theirs is None:
        waited = datetime.now(UTC) - began
        if waited < PATIENCE:
            raise Snooze("Celery's run has not ended", in_=min(LONGEST_PAUSE, max(1.0, waited.total_seconds() / 4)))
        verdict, why, ours = "skipped", "Celery's run has left no result within a day", None
    elif theirs.state not in (states.SUCCESS, states.FAILURE):
        verdict, why, ours = "skipped", f"Celery's run has ended as {theirs.state}", None
    else:
        try:
            ours = rehearse(app, name, told, queue)
        except NotRolledBack as error:
            verdict, why, ours = "skipped", str(error), None
        else:
            verdict, why = compare(theirs, ours)
    done = theirs.done_at if theirs is not None else None
    app.store.run(
        "celery_shadow_note", task_id=told["id"], task=name, verdict=verdict, why=why,
        their_seconds=None if done is None else max(0.0, (done - began).total_seconds()),
        our_seconds=None if ours is None else ours.seconds,
    )  # fmt: skip


def rehearse(app: Any, name: str, told: dict[str, Any], queue: str) -> Ours:
    """Run a call: nothing that it sends is sent, what it writes is rolled back, and neither hooks nor signals hear.

    Raises:
        NotRolledBack: it cannot be.
    """
    if name not in app.tasks:
        raise NotRolledBack("the worker here does not know the task")
    task = app.tasks[name]
    request = request_of(name, told, hostname="shadow", delivery_info={"exchange": "", "routing_key": queue})
    seconds = task.soft_time_limit or task.time_limit or app.conf.task_soft_time_limit or app.conf.task_time_limit
    box = outbox.Outbox(is_kept=False)
    is_main = threading.current_thread() is threading.main_thread()
    task.push_request(request)
    try:
        with outbox.into(box), outbox.of_run(box), running(task, app), rolled_back(app):
            began = monotonic()
            try:
                with limited(seconds) if is_main else nullcontext():
                    value = task.called(request)
            except (Retry, Ignore, Reject) as error:
                return Ours(None, type(error).__name__, monotonic() - began)
            except Exception as error:
                return Ours(states.FAILURE, _plain(keep_error(error)), monotonic() - began)
            took = monotonic() - began
            try:
                return Ours(states.SUCCESS, _plain(value), took)
            except Exception as error:
                return Ours(states.FAILURE, _plain(keep_error(error)), took)
    finally:
        task.pop_request()


def compare(theirs: Theirs, ours: Ours) -> tuple[str, str | None]:
    """``equal``, ``result``, ``error`` or ``skipped``, and what differs."""
    if ours.state is None:
        return "skipped", f"the run here has asked for {ours.value}, which is not followed"
    if theirs.state != ours.state:
        return "error", _differs(f"{theirs.state} {_shown(theirs.value)}", f"{ours.state} {_shown(ours.value)}")
    if ours.state == states.SUCCESS:
        if _text(theirs.value) == _text(ours.value):
            return "equal", None
        return "result", _differs(_shown(theirs.value), _shown(ours.value))
    if all(_text(theirs.value.get(key)) == _text(ours.value.get(key)) for key in ("exc_type", "exc_message")):
        return "equal", None
    return "error", _differs(_shown(theirs.value), _shown(ours.value))


def _differs(theirs: str, ours: str) -> str:
    return f"Celery: {theirs:.{LONGEST_TEXT}}; here: {ours:.{LONGEST_TEXT}}"


def _shown(value: Any) -> str:
    return (
        _text(value)
        if not isinstance(value, dict) or "exc_type" not in value
        else (f"{value['exc_type']}{_text(value.get('exc_message'))}")
    )


def _plain(value: Any) -> Any:
    return json.loads(codec.dumps(value))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def reader_of(app: Any) -> Reader:
    """Of the results that Celery keeps, at the app's ``result_backend``. Raises ImproperlyConfigured: no Redis."""
    url = app.conf.result_backend
    if not is_redis(url):
        raise ImproperlyConfigured(f"result_backend={brief(url)}: a shadow reads Celery's results from Redis only")
    options = app.conf.result_backend_transport_options or {}
    return _reader(url, options.get("global_keyprefix", ""))


@cache
def _reader(url: str, prefix: str) -> Reader:
    return Reader(url, prefix)
