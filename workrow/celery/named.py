"""A module, or a name in one, by its path."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def named(path: str) -> Any:
    """What a path stands for; the working directory is searched too.

    Args:
        path: ``package.module``, ``package.module:name`` or ``package.module.name``.

    Raises:
        ModuleNotFoundError: there is no such module, or no such name in it.
    """
    with _working_directory_in_path():
        module_path, colon, name = path.partition(":")
        if not colon:
            try:
                return importlib.import_module(path)
            except ModuleNotFoundError as error:
                module_path, dot, name = path.rpartition(".")
                # what the module itself imports and cannot find is its error, not a name in it
                if not dot or error.name is None or not f"{path}.".startswith(f"{error.name}."):
                    raise
        module = importlib.import_module(module_path)
        try:
            return getattr(module, name)
        except AttributeError:
            raise ModuleNotFoundError(f"module {module_path!r} has no attribute {name!r}", name=path) from None


@contextmanager
def _working_directory_in_path() -> Iterator[None]:
    here = os.getcwd()
    if here in sys.path or "" in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
