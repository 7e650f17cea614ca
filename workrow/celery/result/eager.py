"""What became of a call that was run where it was made."""

from typing import Any

from workrow.celery import states
from workrow.celery.exceptions import TaskRevokedError
from workrow.celery.result.base import Callbacks
from workrow.celery.result.joining import assert_will_not_block
from workrow.celery.result.single import AsyncResult


class EagerResult(AsyncResult):
    """What ``apply()`` gives: it has ended, and knows no app.

    Args:
        id: of the task.
        ret_value: what it returned, or the exception that it raised.
        state: that it came to.
        traceback: of the exception.
        name: of the task.
    """

    def __init__(
        self, id: str, ret_value: Any, state: str, traceback: str | None = None, name: str | None = None
    ) -> None:
        self.id = id
        self.app = self.backend = self.parent = None
        self.ignored = self._forgotten = False
        self._callbacks = Callbacks()
        self._kept = {"task_id": id, "result": ret_value, "status": state, "traceback": traceback, "name": name}

    @property
    def supports_native_join(self) -> bool:
        return False

    def exists(self) -> bool:
        return True

    def ready(self) -> bool:
        return True

    def get(  # type: ignore[override]
        self,
        timeout: float | None = None,
        propagate: bool = True,
        disable_sync_subtasks: bool = True,
        **_: Any,
    ) -> Any:
        """What it returned; None if it kept no state.

        Raises:
            RuntimeError: inside a task.
            Exception: what it has raised.
        """
        if disable_sync_subtasks:
            assert_will_not_block()
        if self.state == states.SUCCESS:
            return self.result
        if self.state not in states.PROPAGATE_STATES:
            return None
        if propagate:
            raise self.result if isinstance(self.result, Exception) else Exception(self.result)
        return self.result

    wait = get  # type: ignore[assignment]

    def forget(self) -> None:
        """Nothing is kept of it but this object."""

    def revoke(self, *_: Any, **__: Any) -> None:
        """Say that it was revoked."""
        self._kept = {**self._meta(), "status": states.REVOKED, "result": TaskRevokedError("revoked")}

    def __reduce__(self) -> Any:
        meta = self._meta()
        return type(self), (self.id, meta["result"], meta["status"], meta["traceback"], meta["name"])
