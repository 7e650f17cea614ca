"""How a task is run: where, for how long, and in whose transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from workrow.arguments.payload import check_max_result
from workrow.declare.batch import BatchHandler
from workrow.errors import OptionError, SoftTimeLimitExceeded, brief, is_whole, seconds_in

TransactionKind = Literal["AsyncSession", "Session", "AsyncConnection", "Connection"]
"""What a transactional task's first argument is: SQLAlchemy's two sessions, psycopg's two connections."""

MEMORY_LEAST = 32
"""MiB; an interpreter with nothing but the task's imports needs about so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How the jobs of one task are run. Checked when made.

    Args:
        transaction: the task's writes and the job's end commit together, in a transaction that the worker opens and
            gives to the task as its first argument; None: no such transaction.
        run_in: "process" runs the task in a child process, which can be killed; None runs async tasks on the event loop
            and sync ones in threads.
        soft_time_limit: after so many seconds, or this timedelta, `SoftTimeLimitExceeded` is raised inside the task.
        time_limit: after so long the task is ended.
        max_memory: MiB of resident memory at which the task's process is killed; for ``run_in="process"``.
        results: what the task returns is kept; False: it is not.
        max_result: bytes of JSON that are kept of it; None: what the app says.
        batch: the function takes many jobs at once; None: one.

    Raises:
        OptionError: a value that cannot work, or options that contradict each other.
    """

    transaction: TransactionKind | None = None
    run_in: Literal["process"] | None = None
    soft_time_limit: float | timedelta | None = None
    time_limit: float | timedelta | None = None
    max_memory: int | None = None
    results: bool = True
    max_result: int | None = None
    batch: BatchHandler | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.results, bool):
            raise OptionError(f"results={self.results!r}: must be True, or False to keep no result")
        if self.max_result is not None:
            check_max_result(self.max_result)
        if self.run_in not in (None, "process"):
            raise OptionError(f"run_in={self.run_in!r}: must be 'process', or left out for the event loop or a thread")
        for name in ("soft_time_limit", "time_limit"):
            seconds = _seconds(getattr(self, name), name)
            object.__setattr__(self, name, seconds)
        soft, hard = self.soft_seconds, self.hard_seconds
        if soft is not None and hard is not None and soft >= hard:
            raise OptionError(f"soft_time_limit={soft:g} must be shorter than time_limit={hard:g}")
        if self.transaction and self.run_in:
            raise OptionError(
                "transactional=True and run_in='process' do not go together: the transaction is the worker's; "
                "let a process task return its result to a transactional one"
            )
        if self.max_memory is not None:
            self._check_memory(self.max_memory)

    def _check_memory(self, max_memory: int) -> None:
        if self.run_in != "process":
            raise OptionError(
                f"max_memory={brief(max_memory)} needs run_in='process': only a process can be held to it"
            )
        if not is_whole(max_memory, MEMORY_LEAST):
            raise OptionError(f"max_memory={brief(max_memory)}: must be a whole number of MiB, at least {MEMORY_LEAST}")

    @property
    def soft_seconds(self) -> float | None:
        """The soft limit in seconds."""
        return self.soft_time_limit  # type: ignore[return-value]  # made a number in __post_init__

    @property
    def hard_seconds(self) -> float | None:
        """The hard limit in seconds."""
        return self.time_limit  # type: ignore[return-value]

    @property
    def plain(self) -> bool:
        """Whether there is nothing special about it, whatever is kept of its result."""
        return replace(self, results=True, max_result=None) == PLAIN


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How long one job may run, instead of what its task says.

    Attributes:
        soft: seconds after which ``error`` is raised inside.
        hard: seconds after which it is ended.
        error: an exception that is raised without arguments; in processes it is always this one.
    """

    soft: float | None = None
    hard: float | None = None
    error: type[Exception] = SoftTimeLimitExceeded


def _seconds(value: object, name: str) -> float | None:
    if value is None:
        return None
    if not (seconds := seconds_in(value)):
        raise OptionError(
            f"{name}={brief(value)}: must be a positive number of seconds or a timedelta, up to 100 years"
        )
    return seconds


def check_findable(func: Callable[..., object]) -> None:
    """Raise OptionError unless the function may be found by its name, as a child process has to."""
    name = getattr(func, "__qualname__", f"<{type(func).__name__}>")
    if "<" in name:
        raise OptionError(
            f"run_in='process' finds the function by its name, and {name} "
            f"{'is inside another function' if '<locals>' in name else 'has none'}; define it at the top of a module"
        )


PLAIN = Execution()
