"""What a task is told about the job that it runs for."""

import json
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

import attr
import procrastinate
from procrastinate.jobs import Job

from workrow.errors import OptionError, StepError, brief, is_number
from workrow.job import Job as Handle
from workrow.logs import JobLogger, job_fields

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Tx = TypeVar("Tx")

NAMESPACE = "8f1b7d2e-6f0d-5c1a-9b7e-6b0f4f2f7a51"


Step = tuple[float, float | None, str | None]
"""How far a task has come: done, total, message."""
MESSAGE_MAX = 1000
"""Characters of a message that are kept."""


def _unheard(step: Step) -> None:
    """Where nobody listens: a context that no worker has made."""


class Durable(Protocol):
    """What records the steps of a job."""

    def step(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any: ...
    def transactional_step(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any: ...
    def sleep(self, seconds: float | timedelta, name: str | None) -> Any: ...
    def wait_for(self, signal: str, timeout: float | timedelta | None, name: str | None) -> Any: ...
    def call(self, task: Any, args: Any, kwargs: Any) -> Any: ...


class Batch(Protocol):
    """The batch that a job is a member of: a `workrow.Workflow`."""

    id: int | None

    def status(self) -> Awaitable[Any]: ...
    def cancel(self) -> Awaitable[str | None]: ...


class Callee(Protocol[P, R_co]):
    """A task that `JobContext.call` can call, or a call of it with options."""

    def enqueue(self, on: None, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Handle[R_co]]: ...


@attr.dataclass(frozen=True, kw_only=True)
class JobContext(procrastinate.JobContext):
    """procrastinate's context of a running job, with a logger, progress, an idempotency key and durable steps.

    A task that asks for steps is run again from its start after each pause, crash or failed attempt: what is recorded
    answers from its record. See docs/steps.md for the rules. In a sync task these methods block and return the values
    themselves; annotate the context `SyncJobContext` there. ``batch``: the one that the job is a member of, if it is.
    """

    on_progress: Callable[[Step], None] = attr.field(default=_unheard, repr=False, eq=False)
    durable: Durable | None = attr.field(default=None, repr=False, eq=False)
    batch: Batch | None = attr.field(default=None, repr=False, eq=False)

    @overload
    def step(
        self, name: str, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[R]: ...
    @overload
    def step(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    def step(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call a function, once for this job: its result is recorded, and answers in every later attempt.

        Between the function's end and the record a worker may die: then it runs again. In a transactional task the
        record commits with the task's transaction. What is returned has been JSON, as a task's result has.

        Args:
            name: of the step, once in the task; what is recorded is found by it.
            function: async, or a plain one: that runs in a thread.
            *args: its arguments.
            **kwargs: the same by name.

        Raises:
            StepError: the name is there twice, or a recorded step's name is gone.
            NoResult: it has run, and what it returned could not be kept: no JSON, or more than ``max_result``.
            Exception: what the function raised; nothing is recorded then.
        """
        return self._steps("step").step(name, function, args, kwargs)  # type: ignore[no-any-return]

    @overload
    def transactional_step(
        self,
        name: str,
        function: Callable[Concatenate[Tx, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Awaitable[R]: ...
    @overload
    def transactional_step(
        self, name: str, function: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[R]: ...
    def transactional_step(
        self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Awaitable[Any]:
        """`step` in a transaction that commits together with the step's record: exactly once.

        Args:
            name: as for `step`.
            function: takes the transaction first, annotated as a transactional task does; it does not commit.
            *args: its other arguments.
            **kwargs: the same by name.

        Raises:
            StepError: as `step`; or the task is transactional itself; or what it returned is no JSON: nothing stays.
            OptionError: the function's first parameter is no transaction.
            ConfigurationError: the app has nothing to open it with.
        """
        return self._steps("transactional_step").transactional_step(name, function, args, kwargs)  # type: ignore[no-any-return]

    def sleep(self, seconds: float | timedelta, *, name: str | None = None) -> Awaitable[None]:
        """Give the slot away and come back after this time, by the database's clock. No attempt is counted.

        Args:
            seconds: how long: seconds, or a timedelta, up to 100 years.
            name: as of a step; by default "sleep", "sleep 2", … in the order in which they are reached, and in a
                branch "sleep after " and what that has done before.

        Raises:
            OptionError: it is no such time.
            StepError: as `step`.
        """
        return self._steps("sleep").sleep(seconds, name)  # type: ignore[no-any-return]

    def wait_for(
        self, signal: str, *, timeout: float | timedelta | None = None, name: str | None = None
    ) -> Awaitable[Any]:
        """Give the slot away until somebody sends this signal with `workrow.signal`. No attempt is counted.

        Args:
            signal: its name. One that was sent before is taken at once; each is taken once, the oldest first.
            timeout: seconds or a timedelta to wait at most, from when the slot is given away; 0: look once; None: as
                long as it takes.
            name: as of a step; by default the signal's.

        Returns:
            The signal's value.

        Raises:
            SignalTimeout: none came in time; that is recorded, too.
            OptionError: it cannot be a signal or a time.
            StepError: as `step`.
        """
        return self._steps("wait_for").wait_for(signal, timeout, name)  # type: ignore[no-any-return]

    def call(self, task: Callee[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Enqueue a job of another task, once, and give the slot away until it has ended. No attempt is counted.

        The step's name is "call " and the task's name; "call NAME 2" is the second one of a task that is reached.

        Args:
            task: the task, or ``task.options(…)``.
            *args: its arguments.
            **kwargs: the same by name.

        Returns:
            What it returned, as the type that it declares.

        Raises:
            JobFailed: it failed for good. Neither this nor the next two run it again.
            JobCancelled: it was cancelled or aborted.
            NoResult: its result was not kept.
            JobNotFound: it was deleted before it ended.
            OptionError: it is no task, or has a rule by which there may be no job.
            StepError: as `step`.
        """
        return self._steps("call").call(task, args, kwargs)  # type: ignore[no-any-return]

    def _steps(self, what: str) -> Durable:
        if self.durable is None:
            raise StepError(
                f"ctx.{what}(…) of job {self.job.id}: no worker's loop or thread is behind this context, which steps "
                "need: leave run_in='process' (or batch=…) away, and call a task that has it by ctx.call(task, …)"
            )
        return self.durable

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


@attr.dataclass(frozen=True, kw_only=True)
class SyncJobContext(JobContext):
    """The context of a sync task: the same, for type checkers; its steps block and return the values themselves."""

    def step(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        """See `JobContext.step`; the function is called in the task's thread."""
        return self._steps("step").step(name, function, args, kwargs)  # type: ignore[no-any-return]

    def transactional_step(  # type: ignore[override]
        self, name: str, function: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """See `JobContext.transactional_step`."""
        return self._steps("transactional_step").transactional_step(name, function, args, kwargs)  # type: ignore[no-any-return]

    def sleep(self, seconds: float | timedelta, *, name: str | None = None) -> None:  # type: ignore[override]
        """See `JobContext.sleep`."""
        self._steps("sleep").sleep(seconds, name)

    def wait_for(self, signal: str, *, timeout: float | timedelta | None = None, name: str | None = None) -> Any:
        """See `JobContext.wait_for`."""
        return self._steps("wait_for").wait_for(signal, timeout, name)

    def call(self, task: Callee[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:  # type: ignore[override]
        """See `JobContext.call`."""
        return self._steps("call").call(task, args, kwargs)  # type: ignore[no-any-return]


def idempotency_key(job: Job, cause: str = "") -> str:
    """See `JobContext.idempotency_key`."""
    # the arguments are in it because two databases have the same ids
    named = json.dumps([job.task_name, job.id, job.task_kwargs, cause], sort_keys=True, default=str)
    import uuid

    return str(uuid.uuid5(uuid.UUID(NAMESPACE), named))
