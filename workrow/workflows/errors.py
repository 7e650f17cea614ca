"""How a workflow may have ended, for who asks for its result."""

from collections.abc import Mapping
from typing import Any

from workrow.errors import WorkflowError, WorkrowError


class WorkflowCancelled(WorkrowError):
    """A workflow was cancelled."""


class WorkflowFailed(WorkrowError):
    """A task of a workflow failed for good.

    Attributes:
        workflow_id, task, job_id: the workflow, and the first task of it that failed, with its job.
        error_type, message, traceback: of its last exception; None if nothing is known of it.
    """

    def __init__(
        self, workflow_id: int, name: str, task: str | None, job_id: int | None, error: Mapping[str, Any]
    ) -> None:
        self.workflow_id, self.task, self.job_id = workflow_id, task, job_id
        self.error_type, self.message, self.traceback = (error.get(key) for key in ("type", "message", "traceback"))
        why = f"{self.error_type}: {self.message}" if self.error_type else "nothing is known of why"
        super().__init__(f"workflow {workflow_id} ({name}) failed: {task}[{job_id}]: {why}")


def retried(workflow: str, verdict: str | None) -> str | None:
    """What ``retry_workflow_v1`` says of a workflow; raise WorkflowError where that can never be retried."""
    if verdict is not None and verdict.startswith("never: "):
        raise WorkflowError(
            f"{workflow} cannot be retried: {verdict.removeprefix('never: ')}; enqueue the workflow anew"
        )
    return verdict
