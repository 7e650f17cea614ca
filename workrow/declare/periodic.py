"""``@app.periodic`` as procrastinate has it, with its lines checked where they are written."""

from typing import Any

from procrastinate.periodic import PeriodicRegistry, PeriodicTask

from workrow.declare import crontab
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
        try:
            crontab.check(cron, "@app.periodic")
        except OptionError as error:
            raise OptionError(f"task {task.name}: {error}") from None
        return super().register_task(task, cron, periodic_id, configure_kwargs)
