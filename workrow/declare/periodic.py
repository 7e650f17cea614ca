"""``@app.periodic`` as procrastinate has it, with its lines and arguments checked where they are written."""

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


def _check_arguments(task: Any, given: Mapping[str, Any]) -> None:
    arguments = {**given, "timestamp": 0}
    try:
        if task.parameters.pending:  # until what annotations name is there, names alone can be told
            task.signature.bind(**arguments)
            return
        bound = task.bind((), arguments, json_too=True)
        if hasattr(task.blueprint, "codec"):  # else an app's json_dumps may know what JSON does not
            dump_arguments(task.name, bound, task.max_payload, task.hidden)
    except TypeError as error:  # an ArgumentError is one
        raise OptionError(
            f"@app.periodic calls it with timestamp=… and "
            f"task_kwargs={masked(dict(given), task.parameters.perhaps_hidden)!r}: {error}; "
            "task_kwargs= takes the arguments of its signature, and timestamp is one of them"
        ) from None
