"""Tasks that can be asked to stop, and look themselves whether they were: what ``celery.contrib.abortable`` has."""

from typing import Any

from workrow.celery.result import AsyncResult
from workrow.celery.task import Task

ABORTED = "ABORTED"


class AbortableAsyncResult(AsyncResult):
    """The result of one."""

    def is_aborted(self) -> bool:
        """Whether it was asked to stop, and has not ended since."""
        return bool(self.state == ABORTED)

    def abort(self) -> None:
        """Ask the task to stop. Nothing ends it: what it comes to then replaces this state."""
        self.backend.store_result(self.id, result=None, state=ABORTED, traceback=None)


class AbortableTask(Task):
    """Its ``run`` calls `is_aborted` from time to time, and returns if that is so."""

    abstract = True

    def AsyncResult(self, task_id: str, **options: Any) -> AbortableAsyncResult:
        return AbortableAsyncResult(task_id, app=self.app, task_name=self.name, **options)

    def is_aborted(self, **kwargs: Any) -> bool:
        """Whether it was asked to stop; a look into the database.

        Args:
            **kwargs: ``task_id``: of another call than the one that runs.
        """
        result = self.AsyncResult(kwargs.get("task_id", self.request.id))
        return isinstance(result, AbortableAsyncResult) and result.is_aborted()
