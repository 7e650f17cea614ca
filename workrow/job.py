"""The values that pass between the floors."""

import functools
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, cast

from procrastinate.exceptions import UnboundTaskError
from typing_extensions import TypeVar

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])

UNKEPT = "workrow.ResultNotKept"
"""The type of the entry of ``errors`` that says why a job's result is not there."""

at_work: ContextVar[object] = ContextVar("workrow_at_work", default=None)
"""The job that runs here, on the loop, in its thread or in a child process; its ``str()`` names it."""

JSON = dict[str, "JSON"] | list["JSON"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come, as its task said last with ``ctx.progress(…)``.

    Attributes:
        done: how much is done.
        total: of how much; None if it is not known.
        message: what it is doing.
        at: when this was written down, by the database's clock.
    """

    done: float
    total: float | None
    message: str | None
    at: datetime

    @property
    def fraction(self) -> float | None:
        """``done / total``; None without a total."""
        return self.done / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A statement about one job, and what to make of its row: asked by async and by sync callers alike."""

    statement: str
    params: Mapping[str, Any]
    read: Callable[[dict[str, Any] | None], T]


class Results(Protocol):
    """What a job's handle needs of its app; see `workrow.results.Results`."""

    async def result(self, job_id: int, timeout: float | timedelta | None, within_task: bool) -> Any: ...
    def result_sync(self, job_id: int, timeout: float | timedelta | None, within_task: bool) -> Any: ...
    async def ask(self, question: Question[T]) -> T: ...
    def ask_sync(self, question: Question[T]) -> T: ...
    def status(self, job_id: int) -> Question[str]: ...
    def progress(self, job_id: int) -> Question[Progress | None]: ...
    def cancel(self, job_id: int, terminate: bool) -> Question[str | None]: ...
    def retry(self, job_id: int) -> Question[str | None]: ...
    def relatives(self, job_id: int, which: str) -> Question[list[tuple[int, str, str]]]: ...


class Home(Protocol):
    """An app, as far as a handle sees it."""

    @property
    def results(self) -> Results: ...


class Origin(Protocol):
    """Where a handle comes from: a task, which may get its app later, or an app."""

    @property
    def producer(self) -> Home: ...


def _named(method: F) -> F:
    """The same, and Python's warning of a coroutine that nobody awaits names the job."""

    @functools.wraps(method)
    def call(self: "Job[Any]", *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        coroutine: Any = method(self, *args, **kwargs)
        coroutine.__qualname__ = f"{self.task or 'job'}[{self.id}].{method.__name__}"
        return cast("Coroutine[Any, Any, Any]", coroutine)

    return cast("F", call)


class _Handle:
    """Keeps the origin out of the dataclass: it is no part of the job's value, nor of its repr, pickle or asdict."""

    __slots__ = ("_origin",)
    _origin: Origin | None


@dataclass(frozen=True, slots=True)
class Job(_Handle, Generic[R_co]):
    """A job that was enqueued. ``R_co`` is what its task returns.

    It exists in the database from the moment its transaction commits. Every method is async and has a blocking twin
    with the suffix ``_sync``.

    Attributes:
        id: the row's id, unique for ever.
        task: the task's name; "" in a handle that ``app.job(id)`` made.
        queue: the queue's name; "" there too.
        created: False where a rule (unique, debounce, throttle) found this job instead of enqueueing one.
    """

    id: int
    task: str
    queue: str
    origin: InitVar[Origin | None] = None
    created: bool = field(default=True, compare=False, repr=False)

    def __post_init__(self, origin: Origin | None) -> None:
        object.__setattr__(self, "_origin", origin)

    @property
    def existing(self) -> bool:
        """Whether the job was there before."""
        return not self.created

    @property
    def _results(self) -> Results:
        origin = getattr(self, "_origin", None)
        if origin is None:
            raise UnboundTaskError(f"job {self.id}: this handle does not know its app; use app.job({self.id})")
        found: Results | None = getattr(origin.producer, "results", None)
        if found is None:
            raise UnboundTaskError(f"job {self.id}: its task is on no workrow.App, which alone knows of results")
        return found

    @_named
    async def result(self, timeout: float | timedelta | None = None, *, within_task: bool = False) -> R_co:
        """Wait for the job's end; return what its task returned, as the type that the task declares.

        A failed attempt that is retried is no end. All who wait in a process share one connection that listens.

        Args:
            timeout: seconds, or a timedelta, to wait at most; 0: look once; None: as long as it takes.
            within_task: wait inside of a task too, whose slot is not free meanwhile. For jobs that have slots of their
                own: with a queue and workers that run nothing else.

        Raises:
            ResultInTask: inside of a task, without ``within_task``.
            JobFailed: it failed for good; with the last attempt's error.
            JobCancelled: it was cancelled, or aborted.
            ResultTimeout: it has not ended in time, or could not be seen: its transaction may not have committed.
            JobNotFound: it is gone (``delete_jobs``), or, without a timeout, cannot be seen for half a minute.
            NoResult: it succeeded, and no result is kept (``results=False``, a result that is no JSON or more than
                ``max_result``, or a stock procrastinate worker ran it).
            ConfigurationError: the app was made with a connector that does not tell its URL.
        """
        return await self._results.result(self.id, timeout, within_task)  # type: ignore[no-any-return]

    def result_sync(self, timeout: float | timedelta | None = None, *, within_task: bool = False) -> R_co:
        """`result`, blocking."""
        return self._results.result_sync(self.id, timeout, within_task)  # type: ignore[no-any-return]

    @_named
    async def status(self) -> str:
        """What it is now: "todo", "doing", "succeeded", "failed", "cancelled" or "aborted".

        Raises:
            JobNotFound: there is no such job, or its transaction has not committed yet.
        """
        return await self._results.ask(self._results.status(self.id))

    def status_sync(self) -> str:
        """`status`, blocking."""
        return self._results.ask_sync(self._results.status(self.id))

    @_named
    async def progress(self) -> Progress | None:
        """What its task said last with ``ctx.progress(…)``; None if nothing yet. It is kept with the job in history.

        Raises:
            JobNotFound: as `status`.
        """
        return await self._results.ask(self._results.progress(self.id))

    def progress_sync(self) -> Progress | None:
        """`progress`, blocking."""
        return self._results.ask_sync(self._results.progress(self.id))

    @_named
    async def cancel(self, *, terminate: bool = False) -> str | None:
        """Cancel it if it waits, ask it to abort if it runs; see `workrow.App.cancel_async`.

        Args:
            terminate: end a running one whatever it does.

        Returns:
            "cancelled", "aborting", or None if it has ended or never existed.
        """
        return await self._results.ask(self._results.cancel(self.id, terminate))

    def cancel_sync(self, *, terminate: bool = False) -> str | None:
        """`cancel`, blocking."""
        return self._results.ask_sync(self._results.cancel(self.id, terminate))

    @_named
    async def retry(self) -> str | None:
        """Let it run again, now and under its own id, if it has failed, was cancelled or aborted, or is in quarantine.

        It has one attempt more; the errors and the count of the earlier ones are kept.

        Returns:
            "queued"; "blocked", when a newer job waits under the same queueing lock or unique key; None if it has
            not failed: it waits, runs, has succeeded or never existed.

        Raises:
            WorkflowError: its workflow has failed with it, and cannot be retried; see `workrow.Workflow.retry`.
        """
        return await self._results.ask(self._results.retry(self.id))

    def retry_sync(self) -> str | None:
        """`retry`, blocking."""
        return self._results.ask_sync(self._results.retry(self.id))

    @_named
    async def parents(self) -> "list[Job[Any]]":
        """The jobs that it follows in its workflow, or the one that called it with ``ctx.call``; oldest first.

        Raises:
            JobNotFound: as `status`.
        """
        return self._jobs(await self._results.ask(self._results.relatives(self.id, "parents")))

    def parents_sync(self) -> "list[Job[Any]]":
        """`parents`, blocking."""
        return self._jobs(self._results.ask_sync(self._results.relatives(self.id, "parents")))

    @_named
    async def children(self) -> "list[Job[Any]]":
        """The jobs that follow it in its workflow, its callbacks, and those that it called; oldest first.

        What waits for it is no job yet, and is not there: the view ``workrow.workflow_nodes`` has it.

        Raises:
            JobNotFound: as `status`.
        """
        return self._jobs(await self._results.ask(self._results.relatives(self.id, "children")))

    def children_sync(self) -> "list[Job[Any]]":
        """`children`, blocking."""
        return self._jobs(self._results.ask_sync(self._results.relatives(self.id, "children")))

    def _jobs(self, found: list[tuple[int, str, str]]) -> "list[Job[Any]]":
        return [Job(*each, self._origin) for each in found]
