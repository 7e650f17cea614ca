"""What can be asked of a workflow, and done to it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, cast

from typing_extensions import TypeVar

from workrow.errors import (
    JobNotFound,
    OptionError,
    ResultInTask,
    ResultTimeout,
    brief,
    seconds_in,
)
from workrow.job import Job, Origin, Question, Results, at_work
from workrow.workflows.errors import WorkflowCancelled, WorkflowFailed, retried

R_co = TypeVar("R_co", covariant=True)

PAUSES = (0.02, 1.0)
"""Seconds between two looks of who waits for a result: the first, and the longest."""


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """How far a workflow has come.

    Attributes:
        state: "running", "paused", "stopping" (a task has failed, others still run), "cancelling", "compensating",
            "succeeded", "failed" or "cancelled".
        size: how many tasks it has.
        done: how many of them have ended.
        failed: how many of those have failed, or were cancelled or deleted by themselves.
        created_at: when it was enqueued, by the database's clock.
        ended_at: when it ended; None while it has not.
    """

    state: str
    size: int
    done: int
    failed: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def progress(self) -> float:
        """``done / size``; 1 of nothing."""
        return self.done / self.size if self.size else 1.0


class Workflow(Generic[R_co]):
    """A workflow that was enqueued. ``R_co`` is what it comes to.

    Every method is async and has a blocking twin with the suffix ``_sync``.

    Attributes:
        id: its id, unique for ever; None of one task alone, which is a plain job.
        job: that job.
    """

    def __init__(
        self,
        id: int | None,
        origin: Origin | None = None,
        load: Callable[[Any], Any] | None = None,
        job: Job[R_co] | None = None,
    ) -> None:
        self.id = id
        self.job = job
        self._origin = origin
        self._load = load

    def __repr__(self) -> str:
        return f"Workflow(id={self.id})" if self.job is None else f"Workflow(job={self.job!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and (self.id, self.job) == (other.id, other.job)

    def __hash__(self) -> int:
        return hash((self.id, self.job))

    async def result(self, timeout: float | timedelta | None = None, *, within_task: bool = False) -> R_co:
        """Wait for its end; return what it has come to.

        Args:
            timeout: seconds, or a timedelta, to wait at most; 0: look once; None: as long as it takes.
            within_task: wait inside of a task too, whose slot is not free meanwhile.

        Raises:
            WorkflowFailed: a task of it failed for good; with its error.
            WorkflowCancelled: it was cancelled.
            ResultTimeout: it has not ended in time.
            ResultInTask: inside of a task, without ``within_task``.
            JobNotFound: there is no such workflow, or its transaction has not committed yet.
        """
        if self.job is not None:
            return await self.job.result(timeout, within_task=within_task)
        until, pause = self._until(timeout, within_task), PAUSES[0]
        while not (end := await self._results.ask(self._end))["ended_at"]:
            left = self._left(until, timeout)
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, PAUSES[1])
        return cast("R_co", self._value(end))

    def result_sync(self, timeout: float | timedelta | None = None, *, within_task: bool = False) -> R_co:
        """`result`, blocking."""
        if self.job is not None:
            return self.job.result_sync(timeout, within_task=within_task)
        until, pause = self._until(timeout, within_task), PAUSES[0]
        while not (end := self._results.ask_sync(self._end))["ended_at"]:
            left = self._left(until, timeout)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, PAUSES[1])
        return cast("R_co", self._value(end))

    async def status(self) -> WorkflowStatus:
        """How far it has come.

        Raises:
            JobNotFound: there is no such workflow, or its transaction has not committed yet.
        """
        return await self._results.ask(self._status)

    def status_sync(self) -> WorkflowStatus:
        """`status`, blocking."""
        return self._results.ask_sync(self._status)

    async def cancel(self) -> str | None:
        """Cancel it: what waits never runs, what runs is asked to abort.

        Returns:
            "cancelled"; "cancelling", while something of it runs; None if it has ended already.

        Raises:
            JobNotFound: there is no such workflow, or its transaction has not committed yet.
        """
        return await self._results.ask(self._verdict("cancel_workflow"))

    def cancel_sync(self) -> str | None:
        """`cancel`, blocking."""
        return self._results.ask_sync(self._verdict("cancel_workflow"))

    async def pause(self) -> str | None:
        """Hold it: nothing more of it starts; what runs goes on to its end, or waits if it comes back before that.

        Returns:
            "paused"; None if it has ended already.

        Raises:
            JobNotFound: there is no such workflow, or its transaction has not committed yet.
        """
        return await self._results.ask(self._verdict("pause_workflow"))

    def pause_sync(self) -> str | None:
        """`pause`, blocking."""
        return self._results.ask_sync(self._verdict("pause_workflow"))

    async def resume(self) -> str | None:
        """Let it go on.

        Returns:
            "running"; None if it was not held.

        Raises:
            JobNotFound: there is no such workflow, or its transaction has not committed yet.
        """
        return await self._results.ask(self._verdict("resume_workflow"))

    def resume_sync(self) -> str | None:
        """`resume`, blocking."""
        return self._results.ask_sync(self._verdict("resume_workflow"))

    async def retry(self) -> str | None:
        """Let it go on from where it failed, or was cancelled: what had succeeded is kept.

        A failed job runs again under its own id, with one attempt more; what came after it is done anew.

        Returns:
            "running"; "blocked", when a newer job waits under a key of one of its jobs; None if it has not failed, or
            was compensated.

        Raises:
            WorkflowError: a job that is to run again was deleted, or had succeeded, but its result was not kept;
                nothing was changed.
            JobNotFound: there is no such workflow, or its transaction has not committed yet.
        """
        return await self._results.ask(self._retried)

    def retry_sync(self) -> str | None:
        """`retry`, blocking."""
        return self._results.ask_sync(self._retried)

    @property
    def _results(self) -> Results:
        if self.job is not None:
            raise OptionError(f"{self!r}: one task alone is a plain job: ask its job")
        if self._origin is None:
            raise OptionError(f"{self!r}: nobody knows its app: no callback, and no task enqueued in it yet")
        return self._origin.producer.results

    def _question(self, statement: str, read: Callable[[dict[str, Any]], Any], **params: Any) -> Question[Any]:
        def found(row: dict[str, Any] | None) -> Any:
            if row is None:
                raise JobNotFound(
                    f"there is no workflow {self.id}: its transaction has not committed, or was rolled back; or it was "
                    "pruned, or never existed"
                )
            return read(row)

        return Question(statement, {"id": self.id, **params}, found)

    @property
    def _status(self) -> Question[WorkflowStatus]:
        return self._question("read_workflow", _status, counted=True)

    @property
    def _end(self) -> Question[dict[str, Any]]:
        return self._question("read_workflow", lambda row: row, counted=False)

    def _verdict(self, statement: str) -> Question[str | None]:
        return self._question(statement, lambda row: row["verdict"])

    @property
    def _retried(self) -> Question[str | None]:
        whose = f"workflow {self.id}"
        return self._question("retry_workflow", lambda row: retried(whose, row["verdict"]))

    def _until(self, timeout: float | timedelta | None, within_task: bool) -> float | None:
        seconds = None if timeout is None else seconds_in(timeout)
        if timeout is not None and seconds is None:
            raise OptionError(f"timeout={brief(timeout)}: must be seconds or a timedelta, up to 100 years, or None")
        if at_work.get() is not None and not within_task and seconds != 0:
            raise ResultInTask(
                f"{at_work.get()} would wait for workflow {self.id}: a task that waits keeps its slot; make what "
                "comes next a part of the workflow, or look with result(timeout=0)"
            )
        return None if seconds is None else time.monotonic() + seconds

    def _left(self, until: float | None, timeout: object) -> float:
        left = PAUSES[1] if until is None else until - time.monotonic()
        if left <= 0:
            raise ResultTimeout(f"workflow {self.id} has not ended within {timeout} s; is a worker running for it?")
        return left

    def _value(self, end: dict[str, Any]) -> Any:
        if end["state"] == "cancelled":
            raise WorkflowCancelled(f"workflow {self.id} ({end['name']}) was cancelled")
        if end["state"] == "failed":
            raise WorkflowFailed(self.id or 0, end["name"], end["task"], end["job_id"], end["error"] or {})
        return end["result"] if self._load is None else self._load(end["result"])


def _status(row: dict[str, Any]) -> WorkflowStatus:
    named = ("state", "size", "done", "failed", "created_at", "ended_at")
    return WorkflowStatus(**{name: row[name] for name in named})
