"""``@app.periodic`` as procrastinate has it, with its lines checked where they are written."""

from typing import Any

import attr
from procrastinate.periodic import PeriodicRegistry, PeriodicTask

from workrow.arguments.secrets import NOTHING, masked
from workrow.errors import OptionError


class Registry(PeriodicRegistry):
    """The periodic tasks of an app or blueprint."""

    def register_task(
        self, task: Any, cron: str, periodic_id: str, configure_kwargs: Any
    ) -> PeriodicTask[Any, Any, Any]:
        """See procrastinate.

        Raises:
            OptionError: the line cannot be read, is never due, or ``cron=`` would read it as other times.
        """
        from workrow.declare import crontab

        try:
            crontab.check(cron, "@app.periodic")
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
