"""The class of an exception, as a child process names it and its parent finds it."""

import contextlib
import copyreg
import importlib
import types
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from workrow.worker.job_logs import Unsaid

KINDS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a class is found; and its bases, for a parent that does not find it.

    Attributes:
        module, name: of the class; the name is the qualified one.
        there: it is found there.
        bases: nothing for a built-in one.
    """

    module: str
    name: str
    there: bool
    bases: "tuple[Kind, ...]" = ()


def kind_of(found: type) -> Kind:
    """In the child."""
    try:
        module, name = str(found.__module__), str(found.__qualname__)
        if module == "builtins":
            return Kind(module, name, True)
        return Kind(module, name, _find(module, name) is found, tuple(kind_of(each) for each in found.__bases__))
    except Unsaid:
        return Kind("builtins", "Exception", True)


def _find(module: str, name: str) -> Any:
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Unsaid:
        return None
    return found


@lru_cache(KINDS_MAX)
def exact(kind: Kind) -> type:
    """In the parent: the class, or one that stands in for it."""
    found = _find(kind.module, kind.name) if kind.there else None
    return found if isinstance(found, type) else stand_in(kind, tuple(exact(each) for each in kind.bases))


@lru_cache(KINDS_MAX)
def stand_in(kind: Kind, bases: tuple[type, ...]) -> type:
    """A class of that name. One of the bases, if they allow no other."""
    exceptions = tuple(each for each in bases if issubclass(each, BaseException))
    for some in (bases, exceptions):
        with contextlib.suppress(*Unsaid):
            found = types.new_class(kind.name.rpartition(".")[2], some)
            found.__module__, found.__qualname__ = kind.module, kind.name
            return found
    return (*exceptions, Exception)[0]


def native_of(kind: type) -> type[BaseException]:
    """The built-in class that decides how instances look inside."""
    while kind.__module__ != "builtins":
        assert kind.__base__ is not None
        kind = kind.__base__
    return kind if issubclass(kind, BaseException) else Exception


def own_pickling(kind: type) -> bool:
    """Whether it says itself how it is pickled."""
    if issubclass(kind, BaseExceptionGroup):
        return False  # whatever it says, it leaves its members to pickle
    native = native_of(kind)
    names = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
    return kind in copyreg.dispatch_table or any(
        getattr(kind, name, None) is not getattr(native, name, None) for name in names
    )
