"""What the signature of a task's function says of how it is run."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, get_type_hints

import procrastinate
import psycopg

from workrow.declare.execution import TransactionKind
from workrow.errors import OptionError


def name_of(func: Callable[..., Any]) -> str:
    """What to call a function that may have no name."""
    return str(getattr(func, "__qualname__", func))


def warn_of_script(task: str, func: Callable[..., Any]) -> None:
    """Warn of a task that has its name from a script: where that is imported, as by a worker, it has another one."""
    if task.startswith("__main__."):
        code = inspect.unwrap(func).__code__
        text = (
            f"task {task} is named after a script, and has another name where that is imported, as by a worker: give it"
        )
        place = (code.co_filename, code.co_firstlineno)
        warnings.warn_explicit(f"{text} one of its own, such as name={code.co_name!r}", UserWarning, *place)


def check_function(func: Callable[..., Any]) -> None:
    """Raise OptionError for what does not run when it is called."""
    called = func if inspect.isroutine(func) else getattr(func, "__call__", func)  # noqa: B004 - its own, to look at
    for each in (func, called):
        if inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each):
            raise OptionError(
                "it is a generator function, whose body does not run when it is called: return the values, as a list, "
                "or drop the `yield`"
            )
    if not hasattr(func, "__name__"):
        raise OptionError(
            f"it is {'an object' if callable(func) else 'a value'} of type {type(func).__name__}, and no function: "
            "wrap it in one, `def …`, whose name and signature its jobs have"
        )


def takes_context(func: Callable[..., Any], position: int = 0) -> bool:
    """Whether the parameter at this position, the first one, is annotated ``JobContext``."""
    annotation = _annotation(func, position)
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] in ("JobContext", "SyncJobContext")
    return isinstance(annotation, type) and issubclass(annotation, procrastinate.JobContext)


def _annotation(func: Callable[..., Any], position: int) -> Any:
    """How a parameter is annotated; the text where it names something that exists only for type checkers."""
    names = list(inspect.signature(func).parameters)
    if len(names) <= position:
        return None
    try:
        return get_type_hints(func).get(names[position])
    except Exception:
        return func.__annotations__.get(names[position])


def transaction_kind(func: Callable[..., Any]) -> TransactionKind:
    """What a transactional task takes first.

    Raises:
        OptionError: it is no transaction, or one of the other kind.
    """
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    annotation = _annotation(func, 0)
    annotation = getattr(annotation, "__origin__", annotation)
    name = annotation.rpartition(".")[2].partition("[")[0] if isinstance(annotation, str) else None
    kinds: dict[TransactionKind, type] = {
        "AsyncSession": AsyncSession,
        "Session": Session,
        "AsyncConnection": psycopg.AsyncConnection,
        "Connection": psycopg.Connection,
    }
    is_async = inspect.iscoroutinefunction(func)
    for kind, known in kinds.items():
        if kind == name or (isinstance(annotation, type) and issubclass(annotation, known)):
            if is_async != kind.startswith("Async"):
                break
            return kind
    possible = [kind for kind in kinds if kind.startswith("Async") == is_async]
    raise OptionError(
        f"transactional=True: the first parameter must be annotated {possible[0]} (SQLAlchemy) or {possible[1]} "
        f"(psycopg), here it is {annotation!r}"
    )
