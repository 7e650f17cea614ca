"""What a task is told about the job that it runs for."""

import json
import uuid

import attr
import procrastinate
from procrastinate.jobs import Job

NAMESPACE = uuid.UUID("8f1b7d2e-6f0d-5c1a-9b7e-6b0f4f2f7a51")


@attr.dataclass(frozen=True, kw_only=True)
class JobContext(procrastinate.JobContext):
    """procrastinate's context of a running job, with an idempotency key."""

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
