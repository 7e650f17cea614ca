"""Functions become tasks."""

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from workrow.celery.exceptions import Ignore, Retry
from workrow.celery.models import Models
from workrow.celery.task import Task


def made_of(function: Callable[..., Any], name: str, base: type[Task], strict: bool, options: dict[str, Any]) -> Task:
    """The task that a function becomes.

    Args:
        function: what it does; with ``bind`` its first argument is the task.
        name: of the task.
        base: its class.
        strict: calls are checked against the signature, unless ``typing`` says otherwise.
        options: attributes.
    """
    bind = bool(options.get("bind", False))
    run: Any = function if bind else staticmethod(function)
    members = {
        **options, "name": name, "run": run, "_function": staticmethod(function), "__doc__": function.__doc__,
        "__module__": function.__module__, "__annotations__": dict(getattr(function, "__annotations__", {})),
        "__wrapped__": run, "_decorated": True, "__name__": function.__name__,
    }  # fmt: skip
    if members.get("typing") is None and not strict:
        members["typing"] = False
    task: Task = type(function.__name__, (base,), members)()
    vars(task)["__qualname__"] = function.__qualname__
    if options.get("pydantic"):
        given = [options.get(name) for name in ("pydantic_strict", "pydantic_context", "pydantic_dump_kwargs")]
        task.models = Models(task, *given)
        task.run = task.models.around(task.run)  # type: ignore[method-assign]
    if getattr(task, "autoretry_for", None):
        _retry_by_itself(task)
    return task


def backoff_seconds(factor: float, retries: int, maximum: float, full_jitter: bool = False) -> int:
    """Seconds until the next retry: twice as many each time, from `factor` to `maximum`; with jitter, up to that."""
    countdown = min(maximum, factor * 2**retries)
    return max(0, int(random.randrange(int(countdown) + 1) if full_jitter else countdown))


def _retry_by_itself(task: Any) -> None:
    """Let a task retry on the exceptions that it names."""
    run, wanted = task.run, tuple(task.autoretry_for)
    never = tuple(getattr(task, "dont_autoretry_for", ()))
    backoff = float(getattr(task, "retry_backoff", False))
    most = float(getattr(task, "retry_backoff_max", 600))
    jitter = bool(getattr(task, "retry_jitter", True))

    @contextmanager
    def retries() -> Iterator[None]:
        try:
            yield
        except (Ignore, Retry):
            raise
        except never:
            raise
        except wanted as error:
            options = dict(getattr(task, "retry_kwargs", {}))
            if backoff:
                options["countdown"] = backoff_seconds(int(max(1.0, backoff)), task.request.retries, most, jitter)
            raise task.retry(exc=error, **options)  # noqa: B904 - it is the reason already

    @wraps(run)
    def retrying(*args: Any, **kwargs: Any) -> Any:
        with retries():
            return run(*args, **kwargs)

    @wraps(run)
    async def retrying_async(*args: Any, **kwargs: Any) -> Any:
        with retries():
            return await run(*args, **kwargs)

    task.run = retrying_async if inspect.iscoroutinefunction(run) else retrying
