"""Tasks by their names."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from workrow.celery import current
from workrow.celery.exceptions import NotRegistered
from workrow.celery.proxy import Proxy

shared_tasks: list[Callable[[Any], Any]] = []
"""Functions that declare the tasks of `shared_task` on an app."""


class Registry(dict[str, Any]):
    """The tasks of an app."""

    def __missing__(self, name: str) -> Any:
        raise NotRegistered(name)

    def register(self, task: Any) -> None:
        """Add a task, or the class of one."""
        one = task() if isinstance(task, type) else task
        self[one.name] = one

    def unregister(self, name: Any) -> None:
        """Remove one. Raises NotRegistered."""
        try:
            self.pop(getattr(name, "name", name))
        except KeyError:
            raise NotRegistered(name) from None

    def regular(self) -> Any:
        """Those that are not periodic: all."""
        return self.items()


def task_name(app: Any, name: str, module: str) -> str:
    """``module.name``; of what runs as ``__main__`` that of the app."""
    if module == "__main__" and app.main:
        return f"{app.main}.{name}"
    found = sys.modules.get(module)
    return f"{module if found is None else found.__name__}.{name}" if module else name


def shared_task(*args: Any, **options: Any) -> Any:
    """A task of every app, those that are there and those to come: for modules that know none."""

    def shared(function: Callable[..., Any]) -> Proxy:
        def declare(app: Any) -> Any:
            return app._task_of(function, **options)

        vars(declare)["task_function"] = function
        shared_tasks.append(declare)
        for app in current.apps:
            if app.finalized:
                declare(app)
        name = options.get("name") or task_name(None, function.__name__, function.__module__)
        return Proxy(partial(_task_named, name))

    if len(args) == 1 and callable(args[0]):
        return shared(args[0])
    return shared


def _task_named(name: str) -> Any:
    app = current.current_app()
    app.finalize(auto=True)
    return app.tasks[name]
