"""Hidden arguments on their way to a row: noted in its transaction, and left out of what a job says of itself."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import attr
from procrastinate import jobs
from procrastinate.connector import BaseConnector
from procrastinate.testing import InMemoryConnector

from workrow.arguments.secrets import EVERYTHING, NOTHING, masked
from workrow.enqueue import transaction
from workrow.enqueue.transaction import AsyncTransaction, Params, SyncTransaction


@attr.dataclass(frozen=True, kw_only=True, repr=False)
class OurJob(jobs.Job):
    """procrastinate's value with what else we know of a job. What it says of itself leaves out what is hidden.

    Attributes:
        version: of the signature that its arguments fit.
        hidden: the names of the arguments that are not to be shown.
        known: whether its task is; of one that is not, any argument may be hidden, and none is shown.
    """

    version: int | None = None
    hidden: frozenset[str] = NOTHING
    known: bool = True

    @classmethod
    def of(cls, job: jobs.Job, **others: Any) -> "OurJob":
        """The same job with other values."""
        return cls(**{**{field.name: getattr(job, field.name) for field in attr.fields(jobs.Job)}, **others})

    @property
    def call_string(self) -> str:
        """See procrastinate."""
        call: str = self._shown().call_string
        return call

    def log_context(self) -> Any:
        """See procrastinate."""
        return self._shown().log_context()

    def __repr__(self) -> str:
        return repr(self._shown())

    def _shown(self) -> jobs.Job:
        values = {field.name: getattr(self, field.name) for field in attr.fields(jobs.Job)}
        kwargs = masked(self.task_kwargs, self.hidden if self.known else {EVERYTHING})
        return jobs.Job(**{**values, "task_kwargs": kwargs if isinstance(kwargs, Mapping) else {}})


def hidden_of(job: jobs.Job) -> frozenset[str]:
    """The names of the arguments of this job that are not to be shown."""
    return job.hidden if isinstance(job, OurJob) else NOTHING


def notes(connector: BaseConnector, of: Iterable[jobs.Job]) -> list[dict[str, str]]:
    """The parameters of ``hide_arguments.sql``, for the tasks of these jobs that hide something; none in memory."""
    if isinstance(connector, InMemoryConnector):
        return []
    found = {job.task_name: hidden_params(job.task_name, hidden_of(job)) for job in of}
    return [each for each in found.values() if each]


async def hide_async(on: AsyncTransaction, params: Params) -> None:
    """Note what is not to be shown of the jobs that ``params`` inserts, so that no view shows it before a worker has
    said so."""
    if params["hidden"]:
        await transaction.run_async(on, "hide_arguments", params["hidden"])


def hide(on: SyncTransaction, params: Params) -> None:
    """The same in a sync transaction."""
    if params["hidden"]:
        transaction.run(on, "hide_arguments", params["hidden"])


def hidden_params(task: str, hidden: frozenset[str]) -> dict[str, str] | None:
    """The parameters of ``hide_arguments.sql``; None for a task that hides nothing."""
    return {"hidden": json.dumps({task: sorted(hidden)})} if hidden else None
