"""A claimed job, and how its attempt ended."""

import time
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import pydantic_core
from procrastinate import jobs
from procrastinate.retry import RetryDecision

from workrow.arguments.jsonb import dump_result
from workrow.arguments.secrets import NOTHING
from workrow.context import Step
from workrow.database import clock
from workrow.database.link import Row
from workrow.declare.execution import RunLimits
from workrow.enqueue.hiding import OurJob
from workrow.worker.job_logs import MESSAGE_MAX, message_of, traceback_of, type_of

TYPE_MAX = 500
"""Characters kept of the name of an error's class."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a job gives its slot away for.

    Attributes:
        name: of the step.
        kind: "sleep", "wait" or "call".
        seconds: how long it sleeps, or waits at most; None: it is in its row already, or for ever.
        signal: what it waits for.
    """

    name: str
    kind: str
    seconds: float | None = None
    signal: str | None = None


class Suspended(BaseException):
    """Ends an attempt that gives its slot away. No ``Exception``: a task that catches errors is not to catch it.

    Args:
        waits: what for.
    """

    def __init__(self, waits: list[Wait]) -> None:
        names = ", ".join(wait.name for wait in waits)
        super().__init__(f"the job gives its slot away until there is: {names}")
        self.waits = waits


class Claimed:
    """A job that this worker has claimed: a row of one of the ``claim_*.sql`` statements.

    Args:
        row: the row.
        owner: the id of the worker that claimed it. With ``token`` it is what every change of the job is fenced by.
        limited: its end may let another job start that waits for the same limits.

    Attributes:
        args: the arguments; or, for a row that no task can be called with, what is there instead: other JSON, or the
            ValueError of reading it. The executor replaces them by what the task is called with.
        version: of the signature that they fit; None is 1.
        workflow: the id of the one that it is a node of; of a `workrow.batch`, its complement, which is below 0.
        progress, progress_written: the last word of its task, and the one that is in its row.
        progress_due: somebody is about to write it.
        progress_held: nobody is, before the job's end.
        limited: as given.
        stepped: it has asked for a step.
        hidden: the names of the arguments that are not to be shown.
        expires_in: seconds from its claim, by the database's clock, until it is too late to start it; None: never.
        batch: the `Together` that it runs in; None: it runs by itself.
        limits: instead of its task's.
    """

    # in the class, because most jobs never say any
    progress: Step | None = None
    progress_written: Step | None = None
    progress_due = progress_held = False
    limited = stepped = False
    hidden = NOTHING
    batch: Any = None
    limits: RunLimits | None = None

    def __init__(self, row: Row, owner: int, *, limited: bool = False) -> None:
        (
            self.id,
            self.queue,
            self.task,
            self.priority,
            self.lock,
            self.queueing_lock,
            self.args,
            _,
            self.attempts,
            self.token,
            self.crashes,
            self.expires_in,
            self.version,
            self.workflow,
        ) = row
        self.owner = owner
        self.unlocks = limited or self.lock is not None or self.workflow is not None
        if limited:
            self.limited = True
        self._row = row
        self.claimed_at = time.monotonic()
        self.started_at = 0.0

    @property
    def batch_id(self) -> int | None:
        """Of the `workrow.batch` that it is a member of."""
        return ~self.workflow if self.workflow is not None and self.workflow < 0 else None

    @property
    def was_scheduled(self) -> bool:
        """It was due at some time: by a delay, a retry or a snooze."""
        return self._row[7] is not None

    @cached_property
    def job(self) -> jobs.Job:
        """The same as procrastinate's value; made only if somebody asks."""
        id_, queue, task, priority, lock, queueing_lock, args, scheduled_at, attempts, *_ = self._row
        job = jobs.Job(
            id=id_,
            status=jobs.Status.DOING.value,
            queue=queue,
            priority=priority,
            lock=lock,
            queueing_lock=queueing_lock,
            task_name=task,
            task_kwargs=args,
            scheduled_at=scheduled_at,
            attempts=attempts,
        )
        return OurJob.of(job, hidden=self.hidden) if self.hidden else job

    @property
    def stale(self) -> bool:
        """Whether it is too late to start it."""
        return self.expires_in is not None and time.monotonic() - self.claimed_at >= self.expires_in

    def hold_progress(self) -> None:
        """Nobody writes its progress before its end."""
        self.progress_held = True

    def __str__(self) -> str:
        return f"{self.task}[{self.id}]"


@dataclass(frozen=True, slots=True)
class Hold:
    """For how long the limits of a job are to let nothing start.

    Attributes:
        seconds: for so many; None where ``at`` says it.
        at: until then.
        limit: the one of this name; None: all that have a key, or all if none has.
        guessed: it is only what an answer of the other side asks for: limits that have neither a key nor a name of
            their own may have nothing to do with it.
    """

    seconds: float | None
    at: datetime | None = None
    limit: str | None = None
    guessed: bool = False


@dataclass(slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        claimed: the job.
        status: "succeeded", "failed", "aborted"; "todo", to be tried again if there is a ``retry``, and else to be
            given back without counting the attempt; "snoozed", to wait until ``retry`` says, likewise; "expired", it
            was too late to start it; "crashed", its process died, or its connection alone; "lost", nothing is to be
            written. Between the executor's steps only: "parted", its connection was lost, and with a ``cause`` it may
            be the task's doing.
        result: JSON text.
        error: one attempt's entry of ``errors``, as JSON text; of one that succeeded, why its result is not kept.
        retry: when and where it is tried again.
        at: the same time, where the task named it and not how much later.
        hold: its limit is to let nothing start for a time.
        waits: of one that has "snoozed": it waits for these steps, as JSON text, and not for a time alone.
        flow: of one that succeeded: what ``replace_job.sql`` writes of the workflow that takes its place.
        sequel: JSON text of what `celery_write_v1` writes with the end of a call of a Celery task.
        cause: why it crashed, or is quarantined.
        written: the transaction of the task has done so.
        ended_at: seconds of the monotonic clock.
    """

    claimed: Claimed
    status: str
    result: str | None = None
    error: str | None = None
    retry: RetryDecision | None = None
    at: datetime | None = None
    hold: Hold | None = None
    waits: str | None = None
    flow: dict[str, Any] | None = None
    sequel: str | None = None
    cause: str | None = None
    written: bool = False
    ended_at: float = 0.0

    @property
    def each(self) -> tuple["Outcome", ...]:
        """Itself: as `Outcomes` has it."""
        return (self,)


def describe(error: BaseException, attempt: int, *, discarded: bool, policy: BaseException | None = None) -> str:
    """One failed attempt as the JSON object that ``errors`` holds. ``policy``: what its retry policy raised.

    The statement that writes it puts the time by the database's clock in the place of ours.
    """
    text, _ = traceback_of(error)
    kept: dict[str, Any] = {
        "attempt": attempt,
        "at": clock.now(),
        "type": storable(type_of(error)[:TYPE_MAX]),
        "message": storable(message_of(error)),
        "traceback": storable(text),
        "discarded": discarded,
    }
    if policy is not None:
        kept["retry_error"] = storable(f"{type_of(policy)}: {message_of(policy)}"[:MESSAGE_MAX])
    return dump_result(kept) or "{}"


def unspeakable(claimed: Claimed, error: BaseException) -> "Outcome":
    """The outcome where looking at an error has failed as well: a plain description, and no retry."""
    told = entry(claimed, type_of(error)[:TYPE_MAX], "the attempt failed, and so did finding out how")
    return Outcome(claimed, "failed", error=told, ended_at=time.monotonic())


def entry(claimed: Claimed, kind: str, message: str) -> str:
    """What there is to say of an attempt without an exception that could be shown, as `describe` has it."""
    kept = {
        "attempt": claimed.attempts + 1,
        "at": clock.now(),
        "type": storable(kind),
        "message": storable(message),
        "traceback": None,
        "discarded": False,
    }
    return dump_result(kept) or "{}"


def storable(text: str) -> str:
    """A text without what jsonb refuses: NUL and lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def plain(text: str) -> str:
    """A text with what is not ASCII as Python escapes it, for a database whose encoding cannot hold everything."""
    return text.encode("ascii", "backslashreplace").decode()


def plain_step(step: Step | None) -> Step | None:
    """The same of what a task says of its progress."""
    return step and (*step[:2], step[2] and plain(step[2]))


def plain_outcome(outcome: Outcome) -> Outcome | None:
    """The same of what is written beside the result; None if that is plain already."""
    before = outcome.claimed.progress
    outcome.claimed.progress = plain_step(before)
    told: dict[str, Any] = pydantic_core.from_json(outcome.error or "{}")
    escaped = {key: plain(value) if isinstance(value, str) else value for key, value in told.items()}
    cause = outcome.cause and plain(outcome.cause)
    if (escaped, cause, outcome.claimed.progress) == (told, outcome.cause, before):
        return None
    return replace(outcome, error=outcome.error and dump_result(escaped), cause=cause)


def dump_step(step: Step | None) -> str | None:
    """The value of the column ``progress``, without its time."""
    if step is None:
        return None
    done, total, message = step
    return dump_result({"done": done, "total": total, "message": None if message is None else storable(message)})


def unwritten(claimed: Claimed) -> str | None:
    """The last word of a job that ends, if it is not in its row yet."""
    step = claimed.progress
    return None if step is claimed.progress_written else dump_step(step)
