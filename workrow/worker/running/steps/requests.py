"""What the logic of steps asks of who runs it: a loop, or a thread."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from workrow.declare.execution import TransactionKind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Run a statement: in the task's transaction, or else in one of its own, until the database answers."""

    statement: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Load:
    """Load the records, once in an attempt."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Settle:
    """Let what else the task does at the same time come to its next step, until this is so."""

    until: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Idle:
    """Wait until nothing else of the task does anything but wait."""


@dataclass(frozen=True, slots=True)
class Run:
    """Call a function, as the step of this name."""

    name: str
    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunWithin(Run):
    """The same in a transaction that ends with the step's record.

    Attributes:
        kind: what the function takes first.
        noted: from what it returned to the parameters of its record.
    """

    kind: TransactionKind
    noted: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Enqueue a child, and record it in the same transaction. Where it has ended at once, the answer is its record.

    Attributes:
        name: of the step.
        call: the task, or a call of it with options.
        args, kwargs: its arguments.
        params: of ``record_call.sql``, without the child.
    """

    name: str
    call: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    params: Mapping[str, Any]


Request: TypeAlias = Ask | Load | Pause | Settle | Idle | Run | Enqueue
Op: TypeAlias = Generator[Request, Any, T]
"""A piece of logic: what it yields is answered by who runs it."""
