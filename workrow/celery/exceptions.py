"""Celery's exceptions, and those of kombu and billiard under which it raises: same bases, arguments, texts.

    CeleryError
    ├── ImproperlyConfigured     a setting that cannot work
    ├── SecurityError            never raised here: nothing is signed
    ├── TaskPredicate            what a task raises to say how it ends
    │   ├── Ignore               keep no state
    │   ├── Reject               refuse the job
    │   └── Retry                ``self.retry()`` raises it
    └── TaskError
        ├── QueueNotFound        (also a KeyError) ``task_create_missing_queues`` is off, and the queue is not declared
        ├── NotRegistered        (also a KeyError) a task that nobody has declared
        ├── AlreadyRegistered, IncompleteStream
        ├── TimeoutError         ``get(timeout=…)``: no result in time
        ├── MaxRetriesExceededError, TaskRevokedError, InvalidTaskError
        └── ChordError           a task of the header of a chord failed
    BackendError                 results cannot be read (BackendGetMetaError) or kept (BackendStoreError)
    SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError, Terminated      the end of a task from outside
    CeleryWarning                AlwaysEagerIgnored, DuplicateNodenameWarning, DuplicateTaskNameWarning, FixupWarning,
                                 NotConfigured, SecurityWarning
    KombuError
    ├── OperationalError         the broker, here the database, cannot be reached
    ├── SerializerNotInstalled
    │   └── ContentDisallowed    a serializer that is not accepted
    └── SerializationError
        ├── EncodeError          a value that cannot be stored
        └── DecodeError          what is stored cannot be read

All of them can be pickled. ``CeleryCommandException`` is a plain exception here: Celery's is one of the click library.
"""

from datetime import datetime
from numbers import Number
from types import TracebackType
from typing import Any

from workrow.celery.foreign_errors import ContentDisallowed as ContentDisallowed
from workrow.celery.foreign_errors import DecodeError as DecodeError
from workrow.celery.foreign_errors import EncodeError as EncodeError
from workrow.celery.foreign_errors import KombuError as KombuError
from workrow.celery.foreign_errors import OperationalError as OperationalError
from workrow.celery.foreign_errors import SerializationError as SerializationError
from workrow.celery.foreign_errors import SerializerNotInstalled as SerializerNotInstalled
from workrow.celery.foreign_errors import SoftTimeLimitExceeded as SoftTimeLimitExceeded
from workrow.celery.foreign_errors import Terminated as Terminated
from workrow.celery.foreign_errors import TimeLimitExceeded as TimeLimitExceeded
from workrow.celery.foreign_errors import WorkerLostError as WorkerLostError
from workrow.celery.pickleable import UnpickleableExceptionWrapper as UnpickleableExceptionWrapper
from workrow.celery.pickleable import get_pickleable_exception, shown

UNREGISTERED_FMT = "Task of kind {0} never registered, please make sure it's imported."


def reraise(tp: type[BaseException], value: BaseException, tb: TracebackType | None = None) -> None:
    """Raises ``value`` with the traceback ``tb``."""
    raise value.with_traceback(tb)


class CeleryWarning(UserWarning):
    """The root of Celery's warnings."""


class AlwaysEagerIgnored(CeleryWarning):
    """``send_task`` with ``task_always_eager``: the task may not be here, so the call goes to a worker."""


class DuplicateNodenameWarning(CeleryWarning):
    """Two workers of one name."""


class DuplicateTaskNameWarning(CeleryWarning):
    """Two tasks of one name."""


class FixupWarning(CeleryWarning):
    """Django's settings ask for something that leaks or cannot work."""


class NotConfigured(CeleryWarning):
    """The module of the settings could not be found."""


class SecurityWarning(CeleryWarning):
    """A setting that is a risk."""


class CeleryError(Exception):
    """The root of Celery's errors."""


class ImproperlyConfigured(CeleryError):
    """A setting that cannot work."""


class SecurityError(CeleryError):
    """A message whose signature is wrong."""


class TaskPredicate(CeleryError):
    """What a task raises to say how it ends; no failure."""


class Ignore(TaskPredicate):
    """The task ends, and its state stays what it is."""


class Reject(TaskPredicate):
    """The task refuses its job.

    Args:
        reason: any value, for the log.
        requeue: True: the job is run again.
    """

    def __init__(self, reason: Any = None, requeue: bool = False) -> None:
        super().__init__(reason, requeue)
        self.reason = reason
        self.requeue = requeue

    def __repr__(self) -> str:
        return f"reject requeue={self.requeue}: {self.reason}"


class Retry(TaskPredicate):
    """The task is run again: what ``self.retry()`` raises.

    Args:
        message: what ``str`` says, instead of when and why.
        exc: why; an exception, or a text.
        when: seconds from now, or a datetime.
        is_eager: the task was run by ``apply()``.
        sig: the signature that runs next, if it was eager.
    """

    message: str | None = None
    exc: Any = None
    when: float | datetime | None = None

    def __init__(
        self,
        message: str | None = None,
        exc: Any = None,
        when: float | datetime | None = None,
        is_eager: bool = False,
        sig: Any = None,
    ) -> None:
        super().__init__(message, exc, when)
        self.message = message
        no_exception = exc is None or isinstance(exc, str)
        self.exc = None if no_exception else get_pickleable_exception(exc)
        self.excs = exc if no_exception else shown(exc)
        self.when = when
        self.is_eager = is_eager
        self.sig = sig

    def humanize(self) -> str:
        """When: ``in 3s``, ``at 2026-01-02 03:04:05``."""
        return f"in {self.when}s" if isinstance(self.when, Number) else f"at {self.when}"

    def __str__(self) -> str:
        if self.message:
            return self.message
        return f"Retry {self.humanize()}: {self.excs}" if self.excs else f"Retry {self.humanize()}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.exc or self.excs, self.when)


RetryTaskError = Retry


class TaskError(CeleryError):
    """A task failed, or cannot be run."""


class QueueNotFound(KeyError, TaskError):
    """A queue that is not declared, with ``task_create_missing_queues`` off."""


class IncompleteStream(TaskError):
    """The end of a stream of results is missing."""


class NotRegistered(KeyError, TaskError):
    """A task that nobody has declared."""

    def __repr__(self) -> str:
        return UNREGISTERED_FMT.format(self)


class AlreadyRegistered(TaskError):
    """The task is there already."""


class TimeoutError(TaskError):
    """No result in time."""


class MaxRetriesExceededError(TaskError):
    """The task may not be retried once more.

    Args:
        task_args: arguments of its call.
        task_kwargs: keyword arguments of its call.
    """

    def __init__(self, *args: Any, task_args: Any = None, task_kwargs: Any = None) -> None:
        super().__init__(*args)
        self.task_args = [] if task_args is None else task_args
        self.task_kwargs = {} if task_kwargs is None else task_kwargs


class TaskRevokedError(TaskError):
    """The task was revoked, so it has no result."""


class InvalidTaskError(TaskError):
    """The job is not one that can be run."""


class ChordError(TaskError):
    """A task of the header of a chord failed."""


class CPendingDeprecationWarning(PendingDeprecationWarning):
    """Something of Celery that will go one day."""


class CDeprecationWarning(DeprecationWarning):
    """Something of Celery that goes with one of the next versions."""


class WorkerTerminate(SystemExit):
    """The worker ends at once."""


SystemTerminate = WorkerTerminate


class WorkerShutdown(SystemExit):
    """The worker ends after the tasks that it runs."""


class BackendError(Exception):
    """Results cannot be read or kept."""


class BackendGetMetaError(BackendError):
    """A result cannot be read.

    Args:
        task_id: whose.
    """

    def __init__(self, *args: Any, task_id: str = "", **_: Any) -> None:
        super().__init__(*args)
        self.task_id = task_id

    def __repr__(self) -> str:
        return f"{super().__repr__()} task_id:{self.task_id}"


class BackendStoreError(BackendError):
    """A result cannot be kept.

    Args:
        task_id: whose.
        state: the state that was to be kept.
    """

    def __init__(self, *args: Any, task_id: str = "", state: str = "", **_: Any) -> None:
        super().__init__(*args)
        self.state = state
        self.task_id = task_id

    def __repr__(self) -> str:
        return f"{super().__repr__()} state:{self.state} task_id:{self.task_id}"


class CeleryCommandException(Exception):
    """A command fails.

    Args:
        message: what is printed.
        exit_code: of the process.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, exit_code)
        self.message = message
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message
