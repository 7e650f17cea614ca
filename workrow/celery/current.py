"""The app, the task and the call of the moment."""

from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import WeakSet


class Host(Protocol):
    """What signatures, results and ends of tasks ask of their app."""

    conf: Any

    @property
    def tasks(self) -> Any: ...

    @property
    def backend(self) -> Any: ...

    def together(self) -> AbstractContextManager[None]: ...

    @property
    def AsyncResult(self) -> Any: ...

    @property
    def GroupResult(self) -> Any: ...

    def send_task(self, name: str, args: Any, kwargs: Any, **options: Any) -> Any: ...


_app: ContextVar[Any] = ContextVar("app", default=None)
_default: list[Any] = []
apps: WeakSet[Any] = WeakSet()
"""All there are."""
_task: ContextVar[Any] = ContextVar("task", default=None)


def current_app() -> Any:
    """The app whose task runs; otherwise the one that was made or set last. Raises RuntimeError if there is none."""
    found = _app.get() or (_default[-1] if _default else None)
    if found is None:
        raise RuntimeError("there is no app yet: make one, `app = Celery('name')`")
    return found


def set_default(app: Any) -> None:
    """From here on this is the app of whoever names none."""
    _default[:] = [app]


def current_worker_task() -> Any:
    """The task that a worker runs here; None: none."""
    return _task.get()


_calls: ContextVar[Any] = ContextVar("calls", default=None)
"""The innermost call: its task, its request and the call around it. In a context: on an event loop many run in one
thread."""


def request_of_the_moment(task: Any) -> Any:
    """Of the innermost call of a task; None: it does not run here."""
    call = _calls.get()
    while call is not None:
        of, request, around = call
        if of is task:
            return request
        call = around
    return None


def push_request(task: Any, request: Any) -> None:
    """From here on this is the request of the task."""
    _calls.set((task, request, _calls.get()))


def pop_request(task: Any) -> None:
    """Take that back."""
    _calls.set(_without(_calls.get(), task))


def _without(call: Any, task: Any) -> Any:
    """The calls but for the innermost one of a task."""
    if call is None:
        return None
    of, request, around = call
    return around if of is task else (of, request, _without(around, task))


class running:
    """For as long as the task runs."""

    __slots__ = ("_set", "_tokens")

    def __init__(self, task: Any, app: Any) -> None:
        self._set = task, app

    def __enter__(self) -> None:
        task, app = self._set
        self._tokens = _task.set(task), _app.set(app)

    def __exit__(self, *_: object) -> None:
        of_task, of_app = self._tokens
        _task.reset(of_task)
        _app.reset(of_app)
