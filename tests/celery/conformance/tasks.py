"""The app of the experiments: what callers import, and what workers run (``-A tests.celery.conformance.tasks``)."""

import json
import os
import signal
import time
from datetime import timedelta
from typing import Any

from tests.celery.conformance import values
from tests.celery.conformance.journal import note, notes
from tests.celery.conformance.looking import shown, typed
from tests.celery.conformance.words import module
from tests.celery.notation import declare

words = module()
exceptions = module("exceptions")
signals = module("signals")
crontab = module("schedules").crontab

URL = os.environ.get("CONFORMANCE_URL", "redis://127.0.0.1:1/0")
ROLE = os.environ.get("CONFORMANCE_ROLE", "caller")

app = words.Celery("truth", broker=URL, backend=URL)
app.conf.update(json.loads(os.environ.get("CONFORMANCE_CONF", "{}")))


def schedule_of(told: Any) -> Any:
    if isinstance(told, dict):
        return timedelta(**told) if "seconds" in told else crontab(**told)
    return told


if entries := json.loads(os.environ.get("CONFORMANCE_BEAT", "{}")):
    app.conf.beat_schedule = {
        name: {**entry, "schedule": schedule_of(entry["schedule"])} for name, entry in entries.items()
    }


# ---------------------------------------------------------------- what happens, written down

HEARD = (
    "before_task_publish", "after_task_publish", "task_received", "task_prerun", "task_postrun", "task_success",
    "task_failure", "task_retry", "task_revoked", "task_rejected", "task_unknown", "task_internal_error",
)  # fmt: skip


def id_in(name: str, sender: Any, told: dict[str, Any]) -> Any:
    """The id of the task that a signal is about, wherever this signal has it."""
    request = told.get("request")
    headers = told.get("headers")
    found = told.get("task_id") or getattr(request, "id", None) or told.get("id")
    if found is None and isinstance(headers, dict):
        found = headers.get("id")
    if found is None:
        found = getattr(request, "task_id", None)
    if found is None and name in ("task_success", "task_retry", "task_failure"):
        found = getattr(getattr(sender, "request", None), "id", None)
    return found


def listen(name: str) -> None:
    def handler(sender: Any = None, **told: Any) -> None:
        when = {"when": shown(told["reason"].when)} if name == "task_retry" and hasattr(told["reason"], "when") else {}
        keys = sorted(key for key in told if key != "signal")
        note(kind="signal", name=name, id=id_in(name, sender, told), where=ROLE, keys=keys, **when)

    getattr(signals, name).connect(handler, weak=False)


for heard in HEARD:
    listen(heard)


@signals.task_prerun.connect(weak=False)
def started(task_id: Any = None, task: Any = None, **_: Any) -> None:
    seen = task.request
    names = seen.stamped_headers and sorted(seen.stamped_headers)  # Celery has them in the order of a set's hashes
    note(
        kind="start", id=task_id, task=task.name, retries=seen.retries, stamps=shown(seen.stamps), stamped_headers=names
    )


@signals.task_postrun.connect(weak=False)
def ended(
    task_id: Any = None, task: Any = None, args: Any = None, kwargs: Any = None, state: Any = None, **_: Any
) -> None:
    note(kind="end", id=task_id, task=task.name, args=shown(args), kwargs=shown(kwargs), state=state)


@signals.worker_ready.connect(weak=False)
def worker_ready(**_: Any) -> None:
    note(kind="ready", pid=os.getpid())


# ---------------------------------------------------------------- the tasks of canvases

declare(
    app,
    lambda errback, args, request: note(
        kind="errback", errback=errback, args=shown(args), as_task=not request.called_directly
    ),
    pause=0.4,
)
add, mul, xsum, fail = (app.tasks[name] for name in ("add", "mul", "xsum", "fail"))


# ---------------------------------------------------------------- values


@app.task(name="nothing")
def nothing(*args: Any) -> None:
    return None


@app.task(name="count")
def count(numbers: list[Any]) -> int:
    return len(numbers)


@app.task(name="untyped", typing=False)
def untyped(x: Any, y: Any) -> Any:
    return x + y


@app.task(name="describe")
def describe(x: Any) -> Any:
    return typed(x)


@app.task(name="give")
def give(text: str) -> Any:
    return values.value(text)


@app.task(name="sleep")
def sleep(seconds: float, value: Any = None) -> Any:
    time.sleep(seconds)
    return value


@app.task(name="stamp_log", bind=True)
def stamp_log(self: Any, label: Any) -> Any:
    note(kind="ran", label=label)
    return label


@app.task(name="limited", rate_limit="10/m")
def limited(label: Any) -> None:
    note(kind="ran", label=label)


@app.task(name="request", bind=True)
def request(self: Any, *args: Any, **kwargs: Any) -> Any:
    seen = dict(vars(self.request))
    return {
        key: each if each is None or isinstance(each, dict | list | str | int) else typed(each)
        for key, each in seen.items()
    }


@app.task(name="stamps", bind=True)
def stamps(self: Any, *args: Any) -> Any:
    seen = self.request
    return [shown(seen.stamps), seen.stamped_headers and sorted(seen.stamped_headers), shown(seen.headers)]


# ---------------------------------------------------------------- time limits


@app.task(name="soft", soft_time_limit=1)
def soft() -> None:
    time.sleep(4)


@app.task(name="soft_caught", soft_time_limit=1)
def soft_caught() -> Any:
    try:
        time.sleep(4)
    except exceptions.SoftTimeLimitExceeded as error:
        return ["caught", type(error).__name__, str(error)]


@app.task(name="hard", time_limit=1)
def hard() -> None:
    time.sleep(6)


@app.task(name="hard_late", time_limit=1, acks_late=True)
def hard_late() -> None:
    time.sleep(6)


# ---------------------------------------------------------------- retries


@app.task(name="retry_exc", bind=True, max_retries=2)
def retry_exc(self: Any) -> None:
    raise self.retry(countdown=0, exc=KeyError("k"))


@app.task(name="retry_plain", bind=True, max_retries=2)
def retry_plain(self: Any, a: int = 1, b: int = 2) -> None:
    raise self.retry(countdown=0)


@app.task(name="retry_in_except", bind=True, max_retries=1)
def retry_in_except(self: Any) -> None:
    try:
        raise ValueError("inner")
    except ValueError:
        raise self.retry(countdown=0)  # noqa: B904 - what is raised while another error is handled


@app.task(name="retry_default", bind=True)
def retry_default(self: Any) -> None:
    raise self.retry()


@app.task(name="retry_default_exc", bind=True)
def retry_default_exc(self: Any) -> None:
    raise self.retry(exc=ValueError("why"))


@app.task(name="retry_forever", bind=True, max_retries=None)
def retry_forever(self: Any, times: int) -> int:
    if self.request.retries < times:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task(name="retry_new_args", bind=True)
def retry_new_args(self: Any, x: int, y: int = 1) -> Any:
    if self.request.retries == 0:
        raise self.retry(args=[x + 1], kwargs={"y": y + 1}, countdown=0)
    return [x, y]


def of_call(seen: Any) -> dict[str, Any]:
    """What a request says of its call, that does not differ from run to run."""
    told = {name: shown(getattr(seen, name)) for name in ("args", "kwargs", "headers", "timelimit", "shadow", "stamps")}
    told |= {name: getattr(seen, name) for name in ("retries", "replaced_task_nesting", "ignore_result")}
    stamped = seen.stamped_headers and sorted(seen.stamped_headers)  # which Celery has in the order of hashes
    priority = (seen.delivery_info or {}).get("priority")
    return {**told, "stamped_headers": stamped, "priority": priority, "expires": bool(seen.expires)}


@app.task(name="retry_seen", bind=True)
def retry_seen(self: Any, x: int = 0, *more: Any, y: int = 0, **others: Any) -> Any:
    """Tries once more, with the options of its keyword ``again``; shows its second call."""
    again = others.get("again")
    if self.request.retries == 0:
        raise self.retry(countdown=0, **(again or {}))
    return of_call(self.request)


@app.task(name="see", bind=True)
def see(self: Any, *args: Any, **kwargs: Any) -> Any:
    return of_call(self.request)


@app.task(name="replace_seen", bind=True)
def replace_seen(self: Any, how: str) -> Any:
    """Lets `see` run in its place: stamped, alone or in a chain."""
    kept = see.si().stamp(label="mine") if how == "stamped" else see.si()
    return self.replace(see.si() | kept if how == "chain" else kept)


@app.task(name="retry_queue", bind=True)
def retry_queue(self: Any) -> Any:
    if self.request.retries == 0:
        raise self.retry(countdown=0, max_retries=7, priority=5)
    return [self.request.retries, self.max_retries, self.request.delivery_info]


def failing_again_and_again(name: str, **options: Any) -> Any:
    @app.task(name=name, **options)
    def again(*args: Any) -> None:
        raise ValueError("boom")

    return app.tasks[name]


BACKOFFS: dict[str, dict[str, Any]] = {
    "auto": {"retry_backoff": True, "retry_jitter": False},
    "auto3": {"retry_backoff": 3, "retry_jitter": False},
    "auto_jitter": {"retry_backoff": True},
    "auto_max": {"retry_backoff": True, "retry_backoff_max": 7, "retry_jitter": False},
    "auto_plain": {},
}
auto, auto3, auto_jitter, auto_max, auto_plain = (
    failing_again_and_again(name, autoretry_for=(ValueError,), max_retries=None, **options)
    for name, options in BACKOFFS.items()
)
auto_kwargs = failing_again_and_again(
    "auto_kwargs", autoretry_for=(ValueError,), retry_kwargs={"max_retries": 2, "countdown": 0}
)
auto_except = failing_again_and_again(
    "auto_except", autoretry_for=(Exception,), dont_autoretry_for=(ValueError,), retry_kwargs={"countdown": 0}
)


# ---------------------------------------------------------------- states and results


@app.task(name="ignoring")
def ignoring() -> None:
    raise exceptions.Ignore


@app.task(name="ignoring_with_state", bind=True)
def ignoring_with_state(self: Any) -> None:
    self.update_state(state="CUSTOM", meta={"a": 1})
    raise exceptions.Ignore


@app.task(name="rejecting")
def rejecting() -> None:
    raise exceptions.Reject("no", requeue=False)


@app.task(name="rejecting_late", acks_late=True)
def rejecting_late() -> None:
    raise exceptions.Reject("no", requeue=False)


@app.task(name="rejecting_requeue", acks_late=True, bind=True)
def rejecting_requeue(self: Any) -> str:
    runs = len(notes(kind="start", id=self.request.id))
    if runs < 3:
        raise exceptions.Reject("again", requeue=True)
    return str(runs)


@app.task(name="progress", bind=True)
def progress(self: Any) -> str:
    self.update_state(state="PROGRESS", meta={"i": 1})
    time.sleep(1.5)
    return "done"


@app.task(name="progress_fail", bind=True)
def progress_fail(self: Any) -> str:
    self.update_state(state="FAILURE", meta={"i": 1})
    time.sleep(1.5)
    return "done"


@app.task(name="started_tracked", track_started=True)
def started_tracked() -> int:
    time.sleep(1.5)
    return 1


@app.task(name="quiet_task", ignore_result=True)
def quiet_task() -> int:
    return 5


@app.task(name="quiet_fail", ignore_result=True)
def quiet_fail() -> None:
    raise ValueError("boom")


@app.task(name="quiet_store_errors", ignore_result=True, store_errors_even_if_ignored=True)
def quiet_store_errors() -> None:
    raise ValueError("boom")


@app.task(name="calls_two")
def calls_two() -> Any:
    return [add.delay(1, 1).id, mul.delay(2, 3).id]


@app.task(name="gets_inside")
def gets_inside() -> Any:
    return add.delay(1, 1).get(timeout=3)


@app.task(name="gets_inside_allowed")
def gets_inside_allowed() -> Any:
    return add.delay(1, 1).get(timeout=3, disable_sync_subtasks=False)


# ---------------------------------------------------------------- errors, and processes that end


class TwoArgs(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class TwoArgsText(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Unpicklable(Exception):
    def __init__(self, thing: Any) -> None:
        super().__init__(thing)


@app.task(name="custom")
def custom(which: str) -> None:
    raise {"two": TwoArgs, "two text": TwoArgsText}[which](3, "text") if which != "object" else Unpicklable(object())


@app.task(name="local_exception")
def local_exception() -> None:
    class Inner(Exception):
        pass

    raise Inner("hidden")


@app.task(name="exits")
def exits(code: int) -> None:
    raise SystemExit(code)


@app.task(name="interrupts")
def interrupts() -> None:
    raise KeyboardInterrupt


@app.task(name="dies")
def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="dies_late", acks_late=True)
def dies_late() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="dies_late_reject", acks_late=True, reject_on_worker_lost=True, bind=True)
def dies_late_reject(self: Any) -> Any:
    if len(notes(kind="start", id=self.request.id)) < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return [self.request.retries, self.request.delivery_info["redelivered"]]


@app.task(name="leaves")
def leaves() -> None:
    os._exit(3)


# ---------------------------------------------------------------- hooks


class Hooked(words.Task):  # type: ignore[name-defined, misc]
    def before_start(self, task_id: Any, args: Any, kwargs: Any) -> None:
        note(kind="signal", name="before_start()", id=task_id)

    def on_success(self, retval: Any, task_id: Any, args: Any, kwargs: Any) -> None:
        note(kind="signal", name="on_success()", id=task_id)

    def on_failure(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        note(kind="signal", name="on_failure()", id=task_id)

    def on_retry(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        note(kind="signal", name="on_retry()", id=task_id)

    def after_return(self, status: Any, retval: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        note(kind="signal", name="after_return()", id=task_id, status=status)


@app.task(name="hooked", base=Hooked, bind=True)
def hooked(self: Any, what: str) -> str:
    note(kind="signal", name="body", id=self.request.id)
    if what == "fail":
        raise ValueError("boom")
    if what == "retry" and self.request.retries == 0:
        raise self.retry(countdown=0)
    if what == "ignore":
        raise exceptions.Ignore
    return what
