"""The app and the task of the moment."""

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
