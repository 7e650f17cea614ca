"""``@app.periodic`` as procrastinate has it, with its lines and arguments checked where they are written."""

import inspect
from collections.abc import Mapping
from typing import Any

import attr
from procrastinate.periodic import PeriodicRegistry, PeriodicTask

from workrow.arguments.jsonb import dump_arguments
from workrow.arguments.secrets import NOTHING, masked
from workrow.errors import OptionError


class Registry(PeriodicRegistry):
    """The periodic tasks of an app or blueprint."""

    def register_task(
        self, task: Any, cron: str, periodic_id: str, configure_kwargs: Any
    ) -> PeriodicTask[Any, Any, Any]:
        """See procrastinate.

        Raises:
            OptionError: the line cannot be read, is never due, or ``cron=`` would read it as other times; or the
                arguments do not fit the task's signature; or the task has options that procrastinate knows nothing of.
        """
        from workrow.declare import crontab

        try:
            crontab.check(cron, "@app.periodic")
            if hasattr(task, "parameters"):  # one of ours
                _check_task(task)
                _check_arguments(task, configure_kwargs.get("task_kwargs") or {})
        except OptionError as error:
            raise OptionError(f"task {task.name}: {error}") from None
        hidden = task.parameters.perhaps_hidden if hasattr(task, "parameters") else NOTHING
        if not hidden or not configure_kwargs.get("task_kwargs"):
            return super().register_task(task, cron, periodic_id, configure_kwargs)
        # procrastinate logs what it is given
        logged: Any = {**configure_kwargs, "task_kwargs": masked(configure_kwargs["task_kwargs"], hidden)}
        made: PeriodicTask[Any, Any, Any] = super().register_task(task, cron, periodic_id, logged)
        made = attr.evolve(made, configure_kwargs=configure_kwargs)
        self.periodic_tasks[task.name, periodic_id] = made
        return made


def _check_task(task: Any) -> None:
    if task.declared.conditional or task.payload.version > 1 or task.line is not None:
        raise OptionError(
            "the jobs of @app.periodic are procrastinate's, which know nothing of unique, debounce, throttle, expires, "
            "limits and version: write @task(cron=…), or drop the option"
        )


def arguments_at(timestamp: int, task: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a job of one of our tasks is stored with.

    Args:
        timestamp: its due time.
        task: the task.
        given: the arguments of its line.

    Raises:
        ArgumentError: they do not fit the signature.
    """
    own, others = _parted(task, {**given, "timestamp": timestamp})
    return {**task.bind((), own, json_too=True), **others}


def _parted(task: Any, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is for the function, and what for its wrapper alone: one made with functools.wraps shows the function's
    signature, and may itself take the due time, by name or among others: procrastinate asks for no signature."""
    if hasattr(task.func, "__wrapped__") and "timestamp" not in task.signature.parameters and not task.execution.batch:
        parameters = inspect.signature(task.func, follow_wrapped=False).parameters.values()
        if any(each.name == "timestamp" or each.kind is each.VAR_KEYWORD for each in parameters):
            timestamp = arguments.pop("timestamp")
            return arguments, {"timestamp": timestamp}
    return arguments, {}


def _check_arguments(task: Any, given: Mapping[str, Any]) -> None:
    try:
        if task.parameters.pending:  # until what annotations name is there, names alone can be told
            task.signature.bind(**_parted(task, {**given, "timestamp": 0})[0])
            return
        bound = arguments_at(0, task, given)
        if hasattr(task.blueprint, "codec"):  # else an app's json_dumps may know what JSON does not
            dump_arguments(task.name, bound, task.max_payload, task.hidden)
    except TypeError as error:  # an ArgumentError is one
        raise OptionError(
            f"@app.periodic calls it with timestamp=… and "
            f"task_kwargs={masked(dict(given), task.parameters.perhaps_hidden)!r}: {error}; "
            "task_kwargs= takes the arguments of its signature, and timestamp is one of them"
        ) from None
