"""A row of ``workrow.job_steps``, as an attempt sees it."""

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pydantic_core

from workrow.arguments.codec import Codec
from workrow.arguments.jsonb import dump_result
from workrow.arguments.results import Coded, Result


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one step.

    Attributes:
        name: once in a job.
        kind: "step", "sleep", "wait" or "call".
        due_in: seconds from the look until a sleep is over; None: it is none.
        ended: there is an answer.
        result: JSON text.
        error: why there is none.
        child_id: the job that was called.
        failed_before: steps that had failed before it was reached.
        seen_at: when this was looked at, of the monotonic clock.
    """

    name: str
    kind: str
    due_in: float | None = None
    ended: bool = True
    result: str | None = None
    error: dict[str, Any] | None = None
    child_id: int | None = None
    failed_before: frozenset[str] = frozenset()
    seen_at: float = field(default_factory=time.monotonic)

    @classmethod
    def read(cls, row: tuple[Any, ...]) -> "Record":
        """The row of ``load_steps.sql``."""
        name, kind, due_in, ended, result, error, child_id, failed = row
        return cls(name, kind, due_in, ended, result, said(error), child_id, frozenset(failed or ()))

    @property
    def over(self) -> bool:
        """Of a sleep: whether its time has passed."""
        return self.due_in is not None and self.due_in <= time.monotonic() - self.seen_at


def said(error: str | None) -> dict[str, Any] | None:
    """The value of the column ``error``."""
    found: dict[str, Any] | None = None if error is None else pydantic_core.from_json(error)
    return found


class Values:
    """What steps return, as JSON and back: as what a task returns.

    Args:
        codec: the app's own functions for JSON; None: it has none.
        limit: bytes of JSON that are kept of a result.
    """

    def __init__(self, codec: Codec | None, limit: int) -> None:
        self.codec = codec
        self._limit = limit

    def dump(self, value: Any, function: Callable[..., Any] | None = None) -> str | None:
        """The JSON text of what a function returned.

        Raises:
            ValueError: it is none, or too much of it.
        """
        kind = _declared(function)
        plain = Coded(self.codec, kind) if self.codec else kind
        return dump_result(plain.dump(value) if plain else value, self._limit)

    def read(self, text: str | None) -> Any:
        """The JSON value, as the app reads it."""
        if text is None:
            return None
        return self.codec.read(text) if self.codec else pydantic_core.from_json(text)

    def load(self, text: str | None, function: Callable[..., Any]) -> Any:
        """The value, as the type that the function says it returns.

        Raises:
            ResultError: it does not fit.
        """
        value, kind = self.read(text), _declared(function)
        if kind is None:
            return value
        return kind.load_read(value) if self.codec else kind.load(value)


def _declared(function: Callable[..., Any] | None) -> Result | None:
    while isinstance(function, partial):
        function = function.func
    if function is None or not inspect.isroutine(function):
        return None
    try:
        return Result(function)
    except (TypeError, ValueError):  # a builtin may have no signature
        return None
