"""What log records tell of the job that they were made in."""

import logging
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

from procrastinate.jobs import Job

FIELDS = ("job_id", "task", "queue", "attempt", "worker")

running: ContextVar[Mapping[str, Any] | None] = ContextVar("workrow_job", default=None)
"""The fields of the job that runs here; set where a `JobFilter` has been made before the worker ran its task."""


def job_fields(job: Job, worker: str | None) -> dict[str, Any]:
    """What a record tells of its job."""
    return {
        "job_id": job.id,
        "task": job.task_name,
        "queue": job.queue,
        "attempt": job.attempts + 1,
        "worker": worker,
    }


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the job's fields to every record; what a call gives in ``extra`` is kept."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """See logging."""
        given: Mapping[str, Any] | None = kwargs.get("extra")
        return msg, {**kwargs, "extra": {**(given or {}), **(self.extra or {})}}


class JobFilter(logging.Filter):
    """Gives every record, also of libraries, the fields of the job that it was made in; None outside of jobs.

    For a handler: ``handler.addFilter(JobFilter())``, or in ``dictConfig``: ``{"()": "workrow.logs.JobFilter"}``.
    Make it before the worker starts; who makes none pays nothing.
    """

    made = False

    def __init__(self) -> None:
        super().__init__()
        JobFilter.made = True

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass."""
        fields = running.get() or {}
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, fields.get(name))
        return True
