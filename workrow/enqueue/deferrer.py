"""procrastinate's ``task.defer(…)`` and ``task.configure(…).defer(…)`` with arguments that are checked."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol, Self

from procrastinate import jobs

from workrow.arguments.jsonb import dump_arguments
from workrow.arguments.payload import Arguments, Payload
from workrow.database.clock import Later
from workrow.enqueue.hiding import OurJob
from workrow.errors import YEARS_MOST, OptionError, brief


class Bound(Protocol):
    """What it needs of a task."""

    name: str
    payload: Payload

    @property
    def hidden(self) -> frozenset[str]:
        """The names of the arguments that are not to be shown."""

    @property
    def max_payload(self) -> int:
        """Bytes."""

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, json_too: bool = False) -> Arguments:
        """The arguments as they are stored."""


def counted_later(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of procrastinate's ``configure()`` whose ``schedule_in`` counts by the database's clock.

    Raises:
        OptionError: it leads to no time that there is.
    """
    told = dict(options)
    if told.get("schedule_in") is not None and not told.get("schedule_at"):
        span = told.pop("schedule_in")
        try:
            told["schedule_at"] = Later.after(timedelta(**span).total_seconds())
        except (TypeError, ValueError, OverflowError):
            raise OptionError(
                f"schedule_in={brief(span)}: must be within {YEARS_MOST} years, in timedelta's words, "
                "such as {'seconds': 60}"
            ) from None
    return told


class Deferrer(jobs.JobDeferrer):
    """procrastinate's, whose jobs carry what the task's ``bind`` makes of their arguments."""

    task: Bound

    @classmethod
    def of(cls, task: Bound, upstream: jobs.JobDeferrer) -> Self:
        """The same as ``upstream``, for this task."""
        deferrer = cls(upstream.job_manager, upstream.job, upstream.connection)
        deferrer.task = task
        return deferrer

    def make_new_job(self, **task_kwargs: Any) -> jobs.Job:
        """The job with these arguments.

        Raises:
            ArgumentError: they do not fit the task's signature, or are not JSON, or too much of it.
        """
        task, job = self.task, self.job
        arguments = task.bind((), {**job.task_kwargs, **task_kwargs}, json_too=True)
        dump_arguments(task.name, arguments, task.max_payload, task.hidden)
        version, hidden = task.payload.stored_version, task.hidden
        if version is None and not hidden:
            return job.evolve(task_kwargs=arguments)
        return OurJob.of(job, task_kwargs=arguments, version=version, hidden=hidden)
