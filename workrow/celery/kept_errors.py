"""Exceptions as Celery keeps them, and back: class, module and arguments.

    {"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"}

``exc_message`` holds the ``args``; one that `codec` cannot send or read stands as its ``repr``. What pickle does not
give back is kept as `get_pickleable_exception` makes it. Classes of `workrow.celery` are kept under the modules that
Celery has them in, so that either reads what the other has kept.

Nothing is imported to read one: a class is taken from a module that is loaded already, and only if it is an exception.
Where there is none, one of its name is made.
"""

import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any

from workrow.celery import codec, exceptions, foreign_errors, pickleable
from workrow.celery.exceptions import DecodeError, EncodeError, SecurityError
from workrow.celery.pickleable import (
    UnpickleableExceptionWrapper,
    celery_module,
    exception_class,
    get_pickleable_exception,
    shown,
)

_OURS: dict[str, ModuleType] = {
    "celery.exceptions": exceptions,
    "celery.utils.serialization": pickleable,
    "billiard.exceptions": foreign_errors,
    "kombu.exceptions": foreign_errors,
}


def keep_error(error: BaseException) -> dict[str, Any]:
    """What is kept of an exception: a dict for `codec.pack`."""
    error = get_pickleable_exception(error)
    args = list(error.args)
    if isinstance(error, UnpickleableExceptionWrapper):
        args[2] = [_argument(value) for value in error.exc_args]
    return {
        "exc_type": type(error).__qualname__,
        "exc_message": [_argument(value) for value in args],
        "exc_module": celery_module(type(error)),
    }


def _argument(value: Any) -> Any:
    try:
        codec.loads(codec.dumps(value))
    except (EncodeError, DecodeError):
        return shown(value)
    return value


def restore_error(kept: Any) -> BaseException | None:
    """The exception that was kept, of a dict from `codec.unpack`; None for an empty one.

    An exception whose class refuses the arguments is an ``Exception`` whose text shows both.

    Raises:
        SecurityError: what it names is there, and is no exception.
        ValueError: it names nothing.
        TypeError: it is no dict.
    """
    if isinstance(kept, BaseException):
        return kept
    if not kept:
        return None
    if not isinstance(kept, dict):
        raise TypeError(f"a kept exception must be a dict, not {shown(kept):.80}")
    name, module, args = kept.get("exc_type"), kept.get("exc_module"), kept.get("exc_message", "")
    if not isinstance(name, str):
        raise ValueError("Exception information must include the exception type")
    kind = _found(module, name)
    if kind is None:
        kind = exception_class(name, "celery.exceptions")
    if not _is_a(kind, type) or not issubclass(kind, BaseException):
        raise SecurityError(f"Expected an exception class, got {module}.{name} with payload {args}")
    try:
        made = kind(*args) if isinstance(args, list | tuple) else kind(args)
    except Exception:
        made = None
    return made if isinstance(made, BaseException) else Exception(f"{kind}({args})")


def _found(module: Any, name: str) -> Any:
    """What a loaded module has under a name; None: nothing.

    Looked up in the ``__dict__`` of modules and classes alone: a ``getattr`` could run code of theirs.
    """
    found: Any = (_OURS.get(module) or sys.modules.get(module)) if isinstance(module, str) else None
    for part in name.split("."):
        found = found.__dict__.get(part) if _is_a(found, ModuleType, type) else None
    return found


def _is_a(value: Any, *kinds: type) -> bool:
    # not isinstance, which asks the value for its __class__: a lazy object would load what it stands for
    return issubclass(type(value), kinds)


class ExceptionInfo:
    """What hooks and signals get of a failure as ``einfo``.

    Args:
        exc_info: class, exception and traceback; None: those of the exception that is handled now.
        internal: it was not the task that raised it.
    """

    def __init__(
        self,
        exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | None = None,
        internal: bool = False,
    ) -> None:
        self.type: type[BaseException] | None
        self.exception: BaseException | None
        self.tb: TracebackType | None
        self.type, self.exception, self.tb = exc_info or sys.exc_info()
        self.traceback = "".join(traceback.format_exception(self.type, self.exception, self.tb))
        self.internal = internal

    @property
    def exc_info(self) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
        """Class, exception and traceback."""
        return self.type, self.exception, self.tb

    def __str__(self) -> str:
        return self.traceback

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {shown(self.exception)}>"

    def __getstate__(self) -> dict[str, Any]:
        """For pickle, which carries no traceback."""
        carried = self.exception and get_pickleable_exception(self.exception)
        return {**vars(self), "type": type(carried), "exception": carried, "tb": None}
