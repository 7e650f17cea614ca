"""One call, where its task runs: in a thread of the worker, or in a child process."""

import importlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, NamedTuple

from workrow.celery import ends, outbox, runs, signals, states
from workrow.celery.bridge import alias
from workrow.celery.canvas.signature import as_signature
from workrow.celery.current import running
from workrow.celery.exceptions import ChordError
from workrow.celery.foreign_errors import SoftTimeLimitExceeded
from workrow.celery.message import request_of
from workrow.celery.request import Context, ignores_result
from workrow.celery.result import result_from_tuple
from workrow.celery.utils.log import setup
from workrow.worker.outcome import describe

APP = "_WORKROW_CELERY_APP"
"""The variable of the environment that tells a child process which app is meant: ``module:attribute``. Its name begins
like nobody's settings: those of an application may be all that begins with WORKROW_, and no other."""
LOG = "_WORKROW_CELERY_LOG"
"""The one that tells it where to log: a level and a path, as JSON."""
MODULES = "_WORKROW_CELERY_MODULES"
"""The one that names the modules to import besides, with commas between: that of ``-A``, which may be another one."""
JOIN = "workrow.celery.join"
"""The task that sends the body of a chord."""
NOTHING = "{}"
"""The JSON of a sequel that is none."""
_served: list[Any] = []
_tracked: dict[str, bool] = {}
_served_here: ContextVar[Any] = ContextVar("served", default=None)


class Answer(NamedTuple):
    """What a call has come to.

    Attributes:
        state: Celery's.
        sequel: JSON text of what is written with its end.
        error: the entry of ``errors``, if it has failed.
        again: it was rejected, and goes back to its queue.
    """

    state: str
    sequel: str
    error: str | None = None
    again: bool = False


@contextmanager
def told_to_children(path: str) -> Iterator[None]:
    """Inside, child processes are told which app is meant."""
    os.environ[APP] = path
    try:
        yield
    finally:
        del os.environ[APP]


def serve(app: Any) -> None:
    """Calls in this process are of this app's tasks; of several workers in one, each has its own."""
    _served[:] = [app]
    _tracked.clear()
    _served_here.set(app)


def served() -> Any:
    """The app."""
    if (app := _served_here.get()) is not None:
        return app
    if not _served:
        if os.environ.get(alias.VARIABLE):
            alias.activate()
        module, _, attribute = os.environ[APP].partition(":")
        app = importlib.import_module(module)
        for part in attribute.split("."):
            app = getattr(app, part)
        for name in filter(None, os.environ.get(MODULES, "").split(",")):
            importlib.import_module(name)
        app.load()
        if told := os.environ.get(LOG):
            setup(app.conf, *json.loads(told))
        serve(app)
        app.on_after_fork.send(sender=app)
        signals.worker_process_init.send(sender=None)
    return _served[0]


def run_call(**told: Any) -> Answer:
    """Run a call in a child process. What its job carries, and ``worker``: what its worker knows of it."""
    worker = told.pop("worker")
    name, attempt, soft = worker.pop("task"), worker.pop("attempt"), worker.pop("soft")
    return run_here(served(), name, attempt, told, worker, soft)


async def run_async(**told: Any) -> Answer:
    """The same of an async task; it stands for the calls that the door runs on the event loop."""
    return run_call(**told)


def run_here(
    app: Any, name: str, attempt: int, told: dict[str, Any], worker: dict[str, Any], soft: float | None = None
) -> Answer:
    """Run a call in this thread.

    Args:
        app: the app.
        name: of the task.
        attempt: which one this is.
        told: what its job carries.
        worker: what its worker knows of it, for the request.
        soft: in a child process: seconds until SoftTimeLimitExceeded is raised inside.
    """
    request = request_of(name, told, **worker)
    if name == JOIN:
        return _join(app, *request.args)
    task = app.tasks[name]
    _track(app, task, request)
    with nullcontext() if soft is None else limited(soft):
        end = runs.run(app, task, request)
    return _answer(end, attempt)


async def run_on_loop(
    app: Any, name: str, attempt: int, told: dict[str, Any], worker: dict[str, Any], limit: runs.Limit
) -> Answer:
    """The same of an async task, on the event loop that runs here; ``limit`` awaits its coroutine."""
    request = request_of(name, told, **worker)
    task = app.tasks[name]
    _track(app, task, request)
    return _answer(await runs.run_on_loop(app, task, request, limit), attempt)


def _track(app: Any, task: Any, request: Context) -> None:
    if (tracks := _tracked.get(task.name)) is None:
        tracks = _tracked[task.name] = bool(task.track_started)  # a setting, which is slow to ask for each call
    if tracks and not ignores_result(task, request):
        app.backend.store(request.id, states.STARTED, {"pid": os.getpid(), "hostname": request.hostname})


def _answer(end: runs.End, attempt: int) -> Answer:
    sequel = json.dumps(end.box.effects) if end.box.effects else NOTHING
    if end.error is None or end.state not in (states.FAILURE, states.REJECTED):
        return Answer(end.state, sequel)
    if getattr(end.error, "requeue", False) and end.state == states.REJECTED:
        return Answer(end.state, NOTHING, again=True)
    return Answer(end.state, sequel, failure_of(end.error, attempt))


def failure_of(error: BaseException, attempt: int) -> str:
    """The entry of ``errors``; it says that whoever has to know is told, so that no failure hook is called."""
    return describe(error, attempt, discarded=False)[:-1] + ',"told":true}'


def _join(app: Any, group_id: str, body: Any, last_part: dict[str, Any]) -> Answer:
    """Send the body."""
    with _as_last_part(app, last_part) as (box, children):
        ends.header_ended(app, group_id, body, children, app.backend.parts(group_id))
    return Answer(states.SUCCESS, json.dumps({**box.effects, "sent": group_id}))


def join_failed(app: Any, error: BaseException, group_id: str, body: Any, last_part: dict[str, Any]) -> dict[str, Any]:
    """What is written where the body is not sent, for the job that does it was ended: the body has this error."""
    with _as_last_part(app, last_part) as (box, children):
        ends.chord_failed(app, children, as_signature(body, app), ChordError(f"Join error: {error!r}"))
    return {**box.effects, "sent": group_id}


@contextmanager
def _as_last_part(app: Any, last_part: dict[str, Any]) -> Iterator[tuple[outbox.Outbox, Any]]:
    """As the part that has ended last: what is sent inside are its children, and the errbacks' those."""
    box = outbox.Outbox()
    request = Context(last_part, called_directly=False)
    request.children = [result_from_tuple(child, app) for child in last_part.get("children", ())]
    part = app.Task()
    part.push_request(request)
    with outbox.into(box), running(part, app):
        yield box, request.children


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """In a child process: SoftTimeLimitExceeded is raised inside after so many seconds; None: never."""
    if seconds is None:
        yield
        return

    def raise_inside(*_: object) -> None:
        if inside:
            raise SoftTimeLimitExceeded

    inside = True
    signal.signal(signal.SIGALRM, raise_inside)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        inside = False
        signal.setitimer(signal.ITIMER_REAL, 0)
