"""What is said of an error, which may fail itself when it is asked: its code is the task's."""

import logging
import traceback

Unsaid = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What the code of an exception may raise without being heard. Not what interrupts a thread."""


def type_of(error: BaseException) -> str:
    """The name of its class, with the module."""
    kind = type(error)
    try:
        return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    except Unsaid:
        return "an exception whose class has no name"


def message_of(error: BaseException) -> str:
    """Its message; or that it has none."""
    try:
        return str(error)
    except Unsaid as unprintable:
        return f"(its message fails: {type_of(unprintable)})"


def shown(error: BaseException) -> str:
    """Its ``repr``, as far as it has one."""
    try:
        return repr(error)
    except Unsaid:
        return f"{type_of(error)}: {message_of(error)}"


def traceback_of(error: BaseException) -> tuple[str, bool]:
    """Its traceback as text, and whether it could be had in full."""
    try:
        return "".join(traceback.format_exception(error)), True
    except Unsaid:
        pass
    try:
        where = "".join(traceback.format_tb(error.__traceback__))
    except Unsaid:
        where = ""
    return f"{where}{type_of(error)}: {message_of(error)}\n", False


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
            logger.log(level, text, *args, exc_info=error)
        else:
            logger.log(level, f"{text}\n%s", *args, told)
    except Unsaid:
        pass
