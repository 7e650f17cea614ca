"""What is said of an error, which may fail itself when it is asked: its code is the task's."""

import logging
import traceback
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from workrow.arguments.secrets import concealed, concealing
from workrow.errors import WorkrowError
from workrow.logs import TRACEBACK

Unsaid = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What the code of an exception may raise without being heard. Not what interrupts a thread."""


HOUSE = str(Path(__file__).parent.parent)
"""Where our own code is, which tells nobody why a task failed."""
MESSAGE_MAX = 10_000
TRACEBACK_MAX = 30_000
"""Characters that are kept of an error, in its row and in the log."""

IN_CHILD = "In the child process:\n"
"""How a note with the traceback of there begins."""
TOLD = "_workrow_told"
"""The attribute of an exception that has come out of a child process, with what the child says of it."""


class Told(NamedTuple):
    """What is to be said of an exception; ``notes``: how many it had."""

    type: str
    message: str
    traceback: str
    notes: int = 0


def _told(error: BaseException) -> Told | None:
    try:
        found = vars(error).get(TOLD)
    except Unsaid:
        return None
    return found if isinstance(found, Told) else None


def type_of(error: BaseException) -> str:
    """The name of its class, with the module."""
    if told := _told(error):
        return told.type
    kind = type(error)
    try:
        return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    except Unsaid:
        return "an exception whose class has no name"


def message_of(error: BaseException) -> str:
    """Its message, as far as it is kept; or that it has none."""
    if told := _told(error):
        return concealed(told.message)
    try:
        return concealed(str(error))[:MESSAGE_MAX]
    except Unsaid as unprintable:
        return f"(its message fails: {type_of(unprintable)})"


def shown(error: BaseException) -> str:
    """Its ``repr``, as far as it has one and that is kept."""
    try:
        return concealed(repr(error))[:MESSAGE_MAX]
    except Unsaid:
        return f"{type_of(error)}: {message_of(error)}"


def traceback_of(error: BaseException) -> tuple[str, bool]:
    """Its traceback as text, without its middle if it is long; and whether that is all of it, and may be told."""
    if told := _told(error):
        added = [each for each in getattr(error, "__notes__", ())[told.notes :] if not str(each).startswith(IN_CHILD)]
        return concealed(told.traceback + "".join(f"{note}\n" for note in added)), not concealing.get()()
    try:
        text = concealed("".join(traceback.format_exception(type(error), error, _place(error))))
        return cut(text), len(text) <= TRACEBACK_MAX and not concealing.get()()
    except Unsaid:
        pass
    try:
        where = "".join(traceback.format_tb(error.__traceback__))
    except Unsaid:
        where = ""
    return cut(f"{where}{type_of(error)}: {message_of(error)}\n"), False


def _place(error: BaseException) -> TracebackType | None:
    """Its traceback from where the worker has called the task. All of it if no task was called here, unless we raise
    such errors on purpose or have it from a child process, whose traceback is in its notes."""
    place = error.__traceback__
    while place is not None and place.tb_frame.f_code.co_filename.startswith(HOUSE):
        place = place.tb_next
    return place if place or isinstance(error, WorkrowError) or _told(error) else error.__traceback__


def cut(text: str) -> str:
    """A traceback without what is too much in its middle: where it began and where it ended say most."""
    if len(text) <= TRACEBACK_MAX:
        return text
    half = TRACEBACK_MAX // 2
    return f"{text[:half]}\n… {len(text) - TRACEBACK_MAX} characters left out …\n{text[-half:]}"


def first(error: BaseException) -> BaseException:
    """What was being handled when it was raised; else itself."""
    try:
        return error.__context__ or error
    except Unsaid:
        return error


def carried(error: BaseException) -> RuntimeError:
    """In place of one that a future cannot carry, or not without losing whoever awaits it: StopIteration,
    GeneratorExit."""
    instead = RuntimeError(f"the task raised {shown(error)}")
    instead.__cause__ = error
    return instead


def report(logger: logging.Logger, level: int, text: str, *args: object, error: BaseException | None) -> None:
    """Log it with its traceback. Never raises: what cannot be logged must not change what becomes of the job.

    Args:
        logger: where to.
        level: of `logging`.
        text: with places for ``args``, which can be formatted.
        error: whose traceback follows.
    """
    try:
        if not logger.isEnabledFor(level):
            return
        if error is None:
            logger.log(level, text, *args)
            return
        told, whole = traceback_of(error)
        if whole:
            logger.log(level, text, *args, exc_info=(type(error), error, _place(error)))
        else:
            logger.log(level, text, *args, extra={TRACEBACK: told})
    except Unsaid:
        pass
