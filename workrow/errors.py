"""Every error that workrow raises on purpose.

    WorkrowError
    ├── OptionError              a task, queue or enqueue option that is unknown or out of range
    ├── ArgumentError            arguments that do not fit the task's signature, or are not JSON, or too much of it
    ├── ResultError              a stored result that does not fit the task's return annotation
    ├── TransactionError         the object given to enqueue() cannot take an INSERT now
    ├── QueueFull                the queue holds as many jobs as it may: nothing was enqueued
    ├── ConfigurationError       settings, environment, application path
    ├── DatabaseUnavailable      nothing answers at the database's address
    ├── InsufficientPrivilege    the database's role lacks a grant
    ├── EmbeddedError            the embedded PostgreSQL cannot be found, initialised or started
    ├── LeaseLost                the worker no longer holds the job that it ran: nothing of it is written
    ├── SoftTimeLimitExceeded    raised inside a task at its soft_time_limit
    ├── TimeLimitExceeded        a task was ended at its time_limit
    ├── MemoryLimitExceeded      a task's process was ended at its max_memory
    ├── WorkflowError            a workflow that cannot be: a circle, no tasks, too many of them
    ├── WorkflowFailed           workflow.result(): one of its tasks failed for good
    ├── WorkflowCancelled        workflow.result(): it was cancelled
    ├── ScheduleExists           the name of a schedule is taken
    ├── ScheduleNotFound         there is no schedule of that name
    ├── ProcessCrashed           a task's process died by itself: a signal, or out of memory
    ├── JobFailed                job.result(): the job failed for good
    ├── JobCancelled             job.result(): the job was cancelled or aborted
    ├── NoResult                 job.result(): the job succeeded, and no result is kept
    ├── ResultInTask             job.result(): a task would wait for a job, and keep its slot
    ├── ResultTimeout            job.result(): the job has not ended in time
    ├── JobNotFound              there is no such job, or it cannot be seen
    ├── JobEnded                 signal(): the job has ended
    ├── StepError                steps of a task whose names are gone, twice there, or nested
    ├── SignalTimeout            ctx.wait_for(): no signal came in time
    └── SchemaError
        ├── SchemaMissing        the database was never migrated
        ├── SchemaOutdated       the database is older than this package
        ├── SchemaTooNew         the database is newer than this package
        └── UpstreamMismatch     procrastinate's schema is not one that this package knows

Each message is one line that names the thing, the value and the fix.
"""

import math
from argparse import ArgumentTypeError
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

BRIEF = 80
INT4_MAX = 2**31 - 1


def brief(value: object) -> str:
    """A value as an error message shows it: its ``repr``, if it has one; of a long one the start, and a "…"."""
    try:
        text = repr(value)
        return text if len(text) <= BRIEF else f"{text[:BRIEF]}…"
    except Exception as error:
        # an int of more than 4300 digits is one: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        return f"<{type(value).__name__}, not shown: {type(error).__name__}>"


class WorkrowError(ArgumentTypeError):
    """The root of the tree above.

    It is an ``ArgumentTypeError`` because argparse prints the message of that one, and of no other, in one line: so
    ``procrastinate --app=app.app …`` says what is wrong with an app that fails at import.
    """


class OptionError(WorkrowError, ValueError):
    """An option is unknown, of the wrong type or out of range."""


YEARS_MOST = 100
"""Between now and any time that can be asked for: Python's last year is far from PostgreSQL's, and in another zone its
first and last day lie beyond what it holds."""
LONGEST = timedelta(days=365 * YEARS_MOST).total_seconds()


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is one that a float can hold: no bool, NaN or infinity, and no whole number of 400 digits."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def is_whole(value: object, least: int, most: float = INT4_MAX) -> TypeGuard[int]:
    """Whether it is a whole number between these two, and no bool."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def seconds_in(value: object) -> float | None:
    """The seconds of a number or a timedelta, from 0 to 100 years; None: it is nothing of that."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    return float(seconds) if is_number(seconds) and 0 <= seconds <= LONGEST else None


def check_time(asked: str, value: object) -> None:
    """Raise OptionError unless a job may start or expire at this time; ``asked``: how the message names it."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise OptionError(f"{asked}: must be a datetime with a time zone, such as datetime.now(UTC)")
    if abs(value.year - datetime.now(UTC).year) > YEARS_MOST:
        raise OptionError(f"{asked}: must be within {YEARS_MOST} years of now")


def check_names_known(what: str, given: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise OptionError for the first name that is not known, with the nearest one that is.

    Args:
        what: the names are names of.
        given: the values by these names.
        known: all that there are.
    """
    names = list(known)
    for name, value in given.items():
        if name not in names:
            import difflib

            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
            raise OptionError(f"unknown {what} {name}={brief(value)}: {hint}")


class ArgumentError(WorkrowError, TypeError):
    """A job's arguments do not fit the task's signature, or cannot be stored as JSON."""


class ResultError(WorkrowError, ValueError):
    """A stored result does not fit its task's return annotation."""


class TransactionError(WorkrowError):
    """The session or connection given to ``enqueue()`` cannot take the job."""


class QueueFull(WorkrowError):
    """The queue holds as many waiting jobs as its ``max_depth`` allows; nothing was enqueued."""


class ConfigurationError(WorkrowError):
    """A setting, an environment variable or an application path is wrong."""


class DatabaseUnavailable(WorkrowError):
    """Nothing answers at the database's address."""


class InsufficientPrivilege(TransactionError):
    """The role that the connection or transaction is of lacks a grant; `workrow.schema.grant` gives it."""


class EmbeddedError(WorkrowError):
    """The embedded PostgreSQL cannot be found, initialised or started."""


class WorkflowError(WorkrowError, ValueError):
    """A workflow cannot be: it goes in a circle, names what is not there, has no tasks or too many."""


class ScheduleExists(WorkrowError):
    """A schedule was to be created under a name that is taken."""


class ScheduleNotFound(WorkrowError, LookupError):
    """There is no schedule of that name."""


class LeaseLost(WorkrowError):
    """The worker no longer holds the job that it ran; ``job_id`` says which of several."""

    def __init__(self, message: str = "", job_id: int | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class SoftTimeLimitExceeded(WorkrowError):
    """The task has run for its ``soft_time_limit``; raised inside it, so that it can end in order."""


class TimeLimitExceeded(WorkrowError):
    """The task was ended at its ``time_limit``."""


class MemoryLimitExceeded(WorkrowError):
    """The task's process was ended at its ``max_memory``."""


class ProcessCrashed(WorkrowError):
    """The task's process died by itself.

    Attributes:
        cause: what is known of it, such as "killed by SIGSEGV" or "exit code 3".
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class JobFailed(WorkrowError):
    """A job failed for good.

    Attributes:
        job_id: the job.
        task: its task's name.
        attempts: how many attempts have ended.
        error_type: the type's name of the last attempt's exception, such as "ValueError" or "emails.errors.BadAddress";
            None if nothing is known of it, as for a job that a stock procrastinate worker ran.
        message: the exception's message.
        traceback: its traceback, as text.
    """

    def __init__(
        self,
        job_id: int,
        task: str,
        attempts: int,
        error_type: str | None = None,
        message: str | None = None,
        traceback: str | None = None,
    ) -> None:
        super().__init__(job_id, task, attempts, error_type, message, traceback)
        self.job_id = job_id
        self.task = task
        self.attempts = attempts
        self.error_type = error_type
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        times = f"{self.attempts} attempt" + ("" if self.attempts == 1 else "s")
        cause = ": ".join(part for part in (self.error_type, self.message) if part) or "its error is not known"
        return f"{self.task}[{self.job_id}] failed after {times}: {cause}"


class JobCancelled(WorkrowError):
    """A job was cancelled before it ran, or aborted while it did.

    Attributes:
        job_id: the job.
        task: its task's name.
        status: "cancelled" or "aborted".
    """

    def __init__(self, job_id: int, task: str, status: str) -> None:
        super().__init__(job_id, task, status)
        self.job_id = job_id
        self.task = task
        self.status = status

    def __str__(self) -> str:
        return f"{self.task}[{self.job_id}] was {self.status}"


class NoResult(WorkrowError):
    """A job succeeded, and its result is not kept."""


class ResultInTask(WorkrowError, RuntimeError):
    """A task would have waited for another job's result, and kept its slot meanwhile."""


class ResultTimeout(WorkrowError, TimeoutError):
    """A job has not ended in the time that its caller would wait."""


class JobNotFound(WorkrowError):
    """There is no such job: it never existed, is not committed yet, was rolled back or deleted."""


class JobEnded(WorkrowError):
    """A signal was sent to a job that has ended; nothing was written."""


class StepError(WorkrowError, RuntimeError):
    """A task asks for its steps in a way that they cannot be told from those that are recorded."""


class SignalTimeout(WorkrowError, TimeoutError):
    """A task waited for a signal, and none came in time."""


class SchemaError(WorkrowError):
    """The database's schema is not the one that this package works with."""


class SchemaMissing(SchemaError):
    """The database was never migrated."""


class SchemaOutdated(SchemaError):
    """The database is older than this package."""


class SchemaTooNew(SchemaError):
    """The database is newer than this package."""


class UpstreamMismatch(SchemaError):
    """procrastinate's schema is not one that this package knows."""
