"""What the results of one task and of many have in common."""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from workrow.celery.current import Host, current_app

R = TypeVar("R")


class ResultBase:
    """One task's, or those of many."""

    id: Any = None
    parent: Any = None


class Callbacks:
    """Those of ``then``: each is called once, with the result, when it is known."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], Any]] = []

    def add(self, callback: Callable[[Any], Any], on_error: Callable[[BaseException], Any] | None, weak: bool) -> None:
        """`on_error` gets what the callback raises; without it, that is raised where the result is read."""
        self._waiting.append((reference(callback) if weak else lambda: callback, on_error))

    def call(self, result: Any) -> None:
        while self._waiting:
            find, on_error = self._waiting.pop(0)
            callback = find()
            try:
                if callback is not None:
                    callback(result)
            except Exception as error:
                if on_error is None:
                    raise
                on_error(error)


def reference(callback: Any) -> Callable[[], Any]:
    """A weak reference, to a bound method too."""
    return weakref.WeakMethod(callback) if hasattr(callback, "__self__") else weakref.ref(callback)


def result_from_tuple(told: Any, app: Host | None = None) -> Any:
    """The result that `as_tuple` was called of."""
    if not isinstance(told, (list, tuple)):
        return told
    app = app or current_app()
    (own, parent), members = told
    parent = result_from_tuple(parent, app) if parent else None
    if members is not None:
        return app.GroupResult(own, [result_from_tuple(each, app) for each in members], parent=parent)
    return app.AsyncResult(own, parent=parent)


def of_app(app: Any, kind: type[R]) -> type[R]:
    """A class of results that are of this app where no other is named."""

    def of_this(self: Any, *args: Any, **options: Any) -> None:
        kind.__init__(self, *args, **{"app": app, **options})

    members: dict[str, Any] = {"__init__": of_this, "__module__": kind.__module__, "__doc__": kind.__doc__}
    if restore := getattr(kind, "restore", None):
        members["restore"] = staticmethod(partial(restore, app=app))
    return type(kind.__name__, (kind,), members)
