"""What a child process sends back of a task: made there, opened by the parent."""

import contextlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pydantic_core

from workrow.arguments.jsonb import TooLarge, dump_result
from workrow.arguments.results import Result
from workrow.worker.job_logs import IN_CHILD, Unsaid, carried, message_of
from workrow.worker.running.children.portrait import Portrait, portrayed, rebuilt


@dataclass(frozen=True, slots=True)
class Answer:
    """It is pickled, and what it holds of the task's own is pickled before, for that may fail.

    Attributes:
        text: what the task returned, as JSON text; None where nothing, or nothing that can be kept.
        unkept: why it cannot.
        value: the same, pickled; None unless somebody wants it and it can be.
        error: what the task raised.
        flow: what ``replace_job.sql`` writes of the workflow that it returned.
    """

    text: str | None = None
    unkept: str | None = None
    value: bytes | None = None
    error: Portrait | None = None
    flow: dict[str, Any] | None = None


def returned(function: Callable[..., Any], result: Any, *, limit: int | None, whole: bool) -> Answer:
    """In the child: the answer of a task that has done its work. Whatever its result is, that is no failure.

    Args:
        function: the task's.
        result: what it returned.
        limit: bytes that its JSON may take; None: no JSON is wanted.
        whole: the value itself is wanted.
    """
    text = unkept = value = None
    if limit is not None:
        try:
            text = dump_result(_kind(function).dump(result), limit)
        except Unsaid as error:
            unkept = message_of(error)
            whole = whole and not isinstance(error, TooLarge)  # nor is it sent
    if whole:
        with contextlib.suppress(*Unsaid):
            value = pickle.dumps(result)
    return Answer(text=text, unkept=unkept, value=value)


@cache
def _kind(function: Callable[..., Any]) -> Result:
    return Result(function)


def failure(error: BaseException) -> Answer:
    """In the child: the answer of a task that raised."""
    return Answer(error=portrayed(error))


def opened(answer: Answer) -> Any:
    """In the parent: what the task returned, as far as it could be handed over; else what its JSON says.

    Raises:
        Exception: what the task raised, with the child's traceback as a note.
    """
    if answer.error is not None:
        error = rebuilt(answer.error)
        with contextlib.suppress(*Unsaid):
            error.add_note(IN_CHILD + answer.error.told.traceback)
        raise carried(error) if isinstance(error, StopIteration) else error
    if answer.value is not None:
        with contextlib.suppress(*Unsaid):  # its class may exist in the child only
            return pickle.loads(answer.value)
    return None if answer.text is None else pydantic_core.from_json(answer.text)
