"""Tasks of ``django.tasks`` as tasks of the app: remembered as they are declared, run by its workers.

The job of one carries ``args`` and ``kwargs``, as Django's task got them, and the name of its function.
"""

import sys
import traceback
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from workrow.context import JobContext, SyncJobContext

if TYPE_CHECKING:
    from workrow.django.own_app import App

_remembered: dict[str, Any] = {}
_apps: "list[App]" = []


def is_task(value: object) -> bool:
    """Whether it is a task of ``django.tasks``, or of its backport."""
    modules = (sys.modules.get(f"{name}.base") for name in ("django.tasks", "django_tasks"))
    return isinstance(value, tuple(each.Task for each in modules if each is not None))


def remember(task: Any) -> None:
    """Let workers of this process know how to run it."""
    if task.module_path not in _remembered:
        _remembered[task.module_path] = task
        for app in _apps:
            _declare(app, task)


def remembered(path: str) -> Any:
    """The task whose function has this path, as it was declared; None: no module that was imported declares it."""
    return _remembered.get(path)


def attach(app: "App") -> None:
    """Declare on the app what is remembered, and what will be."""
    _apps.append(app)
    for task in list(_remembered.values()):
        _declare(app, task)


def _declare(app: "App", task: Any) -> None:
    function = _coroutine(task) if iscoroutinefunction(task.func) else _function(task)
    app.task(name=task.module_path, queue=task.queue_name, priority=int(task.priority))(function)


def _function(task: Any) -> Any:
    from workrow.django.theirs import normalize_json, task_finished, task_started

    def run(context: SyncJobContext, args: list[Any], kwargs: dict[str, Any]) -> Any:
        result = _begun(task, context, args, kwargs)
        sender = type(task.get_backend())
        task_started.send_robust(sender, task_result=result)
        try:
            value = normalize_json(task.func(*_given(task, result), **result.kwargs))
        except Exception as error:
            _ended(result, error)
            task_finished.send_robust(sender, task_result=result)
            raise
        _ended(result, value=value)
        task_finished.send_robust(sender, task_result=result)
        return value

    return run


def _coroutine(task: Any) -> Any:
    from workrow.django.theirs import normalize_json, task_finished, task_started

    async def run(context: JobContext, args: list[Any], kwargs: dict[str, Any]) -> Any:
        result = _begun(task, context, args, kwargs)
        sender = type(task.get_backend())
        await task_started.asend_robust(sender, task_result=result)
        try:
            value = normalize_json(await task.func(*_given(task, result), **result.kwargs))
        except Exception as error:
            _ended(result, error)
            await task_finished.asend_robust(sender, task_result=result)
            raise
        _ended(result, value=value)
        await task_finished.asend_robust(sender, task_result=result)
        return value

    return run


def _begun(task: Any, context: JobContext | SyncJobContext, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """What Django's context and signals tell of the attempt."""
    from django.utils import timezone

    from workrow.django.theirs import TaskResult, TaskResultStatus

    now = timezone.now()
    return TaskResult(
        task=task,
        id=str(context.job.id),
        status=TaskResultStatus.RUNNING,
        enqueued_at=None,
        started_at=now,
        last_attempted_at=now,
        finished_at=None,
        args=args,
        kwargs=kwargs,
        backend=task.backend,
        errors=[],
        worker_ids=[context.worker_name or ""] * (context.job.attempts + 1),
    )


def _given(task: Any, result: Any) -> tuple[Any, ...]:
    from workrow.django.theirs import TaskContext

    return (TaskContext(task_result=result), *result.args) if task.takes_context else tuple(result.args)


def _ended(result: Any, error: Exception | None = None, value: Any = None) -> None:
    from django.utils import timezone

    from workrow.django.theirs import TaskError, TaskResultStatus

    changes = {
        "finished_at": timezone.now(),
        "status": TaskResultStatus.SUCCESSFUL if error is None else TaskResultStatus.FAILED,
        "_return_value": value,
    }
    for name, each in changes.items():
        object.__setattr__(result, name, each)  # frozen for others; Django's own backends set it so
    if error is not None:
        path = f"{type(error).__module__}.{type(error).__qualname__}"
        text = "".join(traceback.format_exception(error))
        result.errors.append(TaskError(exception_class_path=path, traceback=text))
