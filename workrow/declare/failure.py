"""What a failure hook is told of a job that has ended badly."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Hook = Callable[..., Any] | str | None
"""What ``on_failure=`` takes: a task, a function that becomes one, or the name of one; None: nobody is told."""

Reason = Literal["failed", "discarded", "expired", "crashed", "bad_arguments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a job has ended that did not succeed: the argument of a failure hook.

    Attributes:
        job_id: the job's id; its row is in ``workrow.jobs``, with the errors of all attempts.
        task: the task's name.
        queue: the queue's name.
        args: the arguments as they are stored: a dict of JSON values, if nobody wrote anything else.
        status: "failed", or "cancelled" of one that expired.
        reason: "failed", after the last attempt; "discarded", on purpose; "expired", nobody started it in time;
            "crashed", it was quarantined, for too many workers or processes died under it; "bad_arguments", it was
            quarantined, for they do not fit the task.
        error_type: the name of the last error's class; None where a stock worker has kept none.
        error_message: what it said.
        traceback: its traceback, if it has one.
        attempts: how many there were; crashes are none.
        crashes: how many there were.
        failed_at: when it ended, by the database's clock.
    """

    job_id: int
    task: str
    queue: str
    args: Any
    status: str
    reason: Reason
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None
    attempts: int
    crashes: int
    failed_at: datetime
