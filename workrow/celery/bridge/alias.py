"""``celery`` is ``workrow.celery`` in this process: modules that were written for Celery are imported as they are."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from workrow.celery.exceptions import ImproperlyConfigured

VARIABLE = "_WORKROW_AS_CELERY"
"""The variable of the environment that lets child processes do the same."""
REAL, OURS = "celery", "workrow.celery"


class Alias(MetaPathFinder, Loader):
    """Finds ``celery`` and what is below it in ``workrow.celery``, and nowhere else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks. Raises ModuleNotFoundError for a module of Celery's that is not here."""
        if fullname.partition(".")[0] != REAL:
            return None
        try:
            found = importlib.util.find_spec(_ours(fullname))
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise ModuleNotFoundError(
                f"{fullname} is not in workrow.celery, which stands for celery in this process: docs/from-celery.md "
                "says of every name what there is instead",
                name=fullname,
            )
        return ModuleSpec(fullname, self, origin=found.origin, is_package=found.submodule_search_locations is not None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of ours itself, not one more of it."""
        module = importlib.import_module(_ours(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It is there; it gets back what the import system has overwritten."""
        spec: Any = module.__spec__
        module.__spec__ = spec.loader_state


def _ours(name: str) -> str:
    return f"{OURS}{name.removeprefix(REAL)}"


def activate() -> None:
    """From here on ``celery`` is ours in this process, and in the children that it starts.

    Raises:
        ImproperlyConfigured: something has imported the real one.
    """
    if any(isinstance(finder, Alias) for finder in sys.meta_path):
        return
    if REAL in sys.modules:
        raise ImproperlyConfigured(
            "--as-celery: celery has been imported already: start the worker with python -m workrow.celery"
        )
    sys.meta_path.insert(0, Alias())
    os.environ[VARIABLE] = "1"
