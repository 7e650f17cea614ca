"""What a child process sends back of a task: made there, opened by the parent."""

import contextlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

import pydantic_core

from workrow.arguments.jsonb import TooLarge, dump_result
from workrow.arguments.parameters import Result
from workrow.worker.job_logs import Unsaid, message_of, traceback_of


@dataclass(frozen=True, slots=True)
class Answer:
    """It is pickled, and what it holds of the task's own is pickled before, for that may fail.

    Attributes:
        text: what the task returned, as JSON text; None where nothing, or nothing that can be kept.
        unkept: why it cannot.
        value: the same, pickled; None unless somebody wants it and it can be.
        error: what the task raised, pickled; None if that cannot be.
        told: the error in words: the type's name, the message and the traceback; None if it raised none.
    """

    text: str | None = None
    unkept: str | None = None
    value: bytes | None = None
    error: bytes | None = None
    told: tuple[str, str, str] | None = None


class RemoteError(Exception):
    """Stands for an exception of a child process that cannot be carried over: its type and its message."""


def returned(function: Callable[..., Any], result: Any, *, limit: int | None, whole: bool) -> Answer:
    """In the child: the answer of a task that has done its work. Whatever its result is, that is no failure.

    Args:
        function: the task's.
        result: what it returned.
        limit: bytes that its JSON may take; None: that is not wanted.
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
    text, _ = traceback_of(error)
    try:
        message = str(error)
    except Unsaid as unprintable:
        return Answer(told=(type(error).__name__, f"(its message fails: {message_of(unprintable)})", text))
    told = (type(error).__name__, message, text)
    try:
        # an exception may be pickled and not be made again
        pickled = pickle.dumps(error)
        again = pickle.loads(pickled)
    except Unsaid:
        return Answer(told=told)
    return Answer(error=pickled if isinstance(again, BaseException) else None, told=told)


def opened(answer: Answer) -> Any:
    """In the parent: what the task returned, as far as it could be handed over; else what its JSON says.

    Raises:
        Exception: what the task raised; a `RemoteError` where that cannot be made again.
    """
    if answer.told is not None:
        _raise(*answer.told, answer.error)
    if answer.value is not None:
        with contextlib.suppress(*Unsaid):  # its class may exist in the child only
            return pickle.loads(answer.value)
    return None if answer.text is None else pydantic_core.from_json(answer.text)


def _raise(name: str, message: str, told: str, pickled: bytes | None) -> NoReturn:
    error: BaseException = RemoteError(f"{name}: {message}")
    if pickled:
        with contextlib.suppress(*Unsaid):  # the same
            again = pickle.loads(pickled)
            error = again if isinstance(again, BaseException) else error
    error.add_note(f"In the child process:\n{told}")
    raise error
