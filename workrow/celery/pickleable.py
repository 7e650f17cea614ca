"""Exceptions as pickle can carry them: unchanged, as one of their bases, or in a wrapper."""

import pickle
from typing import Any

from workrow.celery import foreign_errors

BILLIARDS = ("SoftTimeLimitExceeded", "TimeLimitExceeded", "WorkerLostError", "Terminated")
CELERY_MODULES = {f"{__package__}.exceptions": "celery.exceptions", __name__: "celery.utils.serialization"}


class UnpickleableExceptionWrapper(Exception):
    """Stands for an exception that cannot be built again from its ``args``: its class takes others, or is local.

    Args:
        exc_module: module of the class.
        exc_cls_name: name of the class.
        exc_args: its ``args``.
        text: its ``repr``, and the ``str`` of this one.
    """

    def __init__(self, exc_module: str, exc_cls_name: str, exc_args: Any, text: str | None = None) -> None:
        exc_args = tuple(exc_args)
        super().__init__(exc_module, exc_cls_name, exc_args, text)
        self.exc_module = exc_module
        self.exc_cls_name = exc_cls_name
        self.exc_args = exc_args
        self.text = text

    def __str__(self) -> str:
        return str(self.text)

    @classmethod
    def from_exception(cls, exc: BaseException) -> "UnpickleableExceptionWrapper":
        """The wrapper of ``exc``. An argument that cannot be pickled is kept as its ``repr``."""
        kept = tuple(arg if _survives_pickle(arg) else shown(arg) for arg in exc.args)
        return cls(celery_module(type(exc)), type(exc).__name__, kept, shown(exc))

    def restore(self) -> BaseException:
        """An exception of a class made for it, with the wrapped one's module, name and arguments."""
        return exception_class(self.exc_cls_name, self.exc_module)(*self.exc_args)


def celery_module(kind: type) -> str:
    """The module in which Celery has a class of `workrow.celery`; of any other class, its own."""
    if kind.__module__ == foreign_errors.__name__:
        return "billiard.exceptions" if kind.__name__ in BILLIARDS else "kombu.exceptions"
    return CELERY_MODULES.get(kind.__module__, kind.__module__)


def exception_class(name: str, module: str) -> type[Exception]:
    """A class made for an exception whose own cannot be had here."""
    return type(name, (Exception,), {"__module__": module})


def shown(value: object) -> str:
    """The ``repr`` of a value, or its ``str`` where that fails, or the name of its type."""
    for text in (repr, str):
        try:
            return text(value)
        except Exception:
            continue
    return f"<{type(value).__name__}>"


def get_pickleable_exception(exc: BaseException) -> BaseException:
    """``exc`` where pickle gives it back, else its class or nearest base made of its arguments, else a wrapper."""
    if _survives_pickle(exc):
        return exc
    for base in type(exc).__mro__:
        if base in (Exception, BaseException, object):
            break
        try:
            simpler = base(*exc.args)
        except Exception:
            continue
        if isinstance(simpler, BaseException) and _survives_pickle(simpler):
            return simpler
    return UnpickleableExceptionWrapper.from_exception(exc)


def _survives_pickle(value: object) -> bool:
    try:
        pickle.loads(pickle.dumps(value))
    except Exception:
        return False
    return True
