"""What a task is told about the job that it runs for."""

import json
import logging
import math
import uuid
from collections.abc import Callable
from functools import cached_property

import attr
import procrastinate
from procrastinate.jobs import Job

from workrow.errors import OptionError, brief, is_number
from workrow.logs import JobLogger, job_fields

NAMESPACE = uuid.UUID("8f1b7d2e-6f0d-5c1a-9b7e-6b0f4f2f7a51")


Step = tuple[float, float | None, str | None]
"""How far a task has come: done, total, message."""
MESSAGE_MAX = 1000
"""Characters of a message that are kept."""


def _unheard(step: Step) -> None:
    """Where nobody listens: a context that no worker has made."""


@attr.dataclass(frozen=True, kw_only=True)
class JobContext(procrastinate.JobContext):
    """procrastinate's context of a running job, with a logger, progress and an idempotency key."""

    on_progress: Callable[[Step], None] = attr.field(default=_unheard, repr=False, eq=False)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the job has come; ``await job.progress()`` and ``workrow.jobs.progress`` show it while it runs.

        Returns at once, in async tasks, threads and processes alike. Call it as often as you like: the worker writes
        the last word of all its jobs a few times a second, and that of a job that ends together with its end.

        Args:
            done: how much is done; a finite number.
            total: of how much, if that is known.
            message: what is being done; the first 1,000 characters are kept.

        Raises:
            OptionError: something else.
        """
        for name, value in (("done", done), ("total", total)):
            if (value is not None or name == "done") and not is_number(value):
                raise OptionError(f"ctx.progress({name}={brief(value)}): must be a finite number")
        if message is not None and not isinstance(message, str):
            raise OptionError(f"ctx.progress(message={message!r:.80}): must be a string")
        self.on_progress((done, total, message and message[:MESSAGE_MAX]))

    @property
    def attempt(self) -> int:
        """Which attempt this is, 1 for the first. Crashes and snoozes are none."""
        return self.job.attempts + 1

    @property
    def is_last_attempt(self) -> bool:
        """Whether the job ends if this attempt fails, whatever it raises; False where it depends on the error.

        A ``RetryLater`` or ``Snooze`` that the task raises itself is not foreseen. A policy of your own (a
        ``procrastinate.BaseRetryStrategy``) is asked what it would do with a plain ``Exception``, unless it has a
        method ``is_last(attempt)``.
        """
        task = self.app.tasks.get(self.job.task_name)
        if task is None:
            return False
        policy = task.retry_strategy
        if policy is None:
            return True
        if isinstance(policy, procrastinate.RetryStrategy):
            # it counts retries; 0 and None are for ever
            return self.job.attempts >= (policy.max_attempts or math.inf)
        if is_last := getattr(policy, "is_last", None):
            return bool(is_last(self.attempt))
        return policy.get_retry_exception(exception=Exception("the last attempt?"), job=self.job) is None

    @cached_property
    def logger(self) -> JobLogger:
        """A logger named after the task's module; its records have ``job_id``, ``task``, ``queue``, ``attempt`` (1 is
        the first one) and ``worker``."""
        task = self.app.tasks.get(self.job.task_name)
        logger = logging.getLogger(task.func.__module__ if task else __name__)
        return JobLogger(logger, job_fields(self.job, self.worker_name))

    def idempotency_key(self, cause: str = "") -> str:
        """A key for what stands outside of the database: the same for every attempt of this job, and for no other job.

        A job runs at least once, so that a payment service, a mail server or an API may be asked twice. Give it this
        key, and it can tell.

        Args:
            cause: what the key is for, where one job does several such things: "charge", "receipt".

        Returns:
            A UUID (version 5, of the task, the job's id, its arguments and the cause) as text.
        """
        return idempotency_key(self.job, cause)


def idempotency_key(job: Job, cause: str = "") -> str:
    """See `JobContext.idempotency_key`."""
    # the arguments are in it because two databases have the same ids
    named = json.dumps([job.task_name, job.id, job.task_kwargs, cause], sort_keys=True, default=str)
    return str(uuid.uuid5(NAMESPACE, named))
