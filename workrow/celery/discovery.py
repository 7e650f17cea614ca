"""Modules that declare tasks."""

import importlib
import importlib.util
import os
import sys
from functools import cached_property
from typing import Any

from workrow.celery.contrib.django import project


class Discovers:
    """The part of an app that finds them."""

    conf: Any

    def finalize(self, auto: bool = False) -> None:
        """Complete the app."""
        raise NotImplementedError

    def autodiscover_tasks(self, packages: Any = None, related_name: str | None = "tasks", force: bool = False) -> None:
        """Import ``tasks`` of these packages; without any, of Django's installed apps.

        Args:
            packages: names, or a function that returns them.
            related_name: of the module; None: the package itself is imported.
            force: now, and not when the worker starts.
        """
        self._discoveries.append((packages, related_name))
        if force:
            self._discover()

    @cached_property
    def _discoveries(self) -> list[tuple[Any, str | None]]:
        return []

    def _discover(self) -> None:
        while self._discoveries:
            packages, related_name = self._discoveries.pop(0)
            names = packages() if callable(packages) else packages
            if names is None:
                from django.apps import apps

                names = [config.name for config in apps.get_app_configs()]
            for name in names:
                _import_related(name, related_name)

    def load(self) -> None:
        """What a worker does first: import all modules that declare tasks."""
        sys.path[:0] = [] if os.getcwd() in sys.path else [os.getcwd()]
        if project.is_named():
            project.set_up()
        for name in (*self.conf.imports, *self.conf.include):
            importlib.import_module(name)
        self._discover()
        self.finalize()


def _import_related(package: str, related_name: str | None) -> None:
    name = package if related_name is None else f"{package}.{related_name}"
    importlib.import_module(package)
    if related_name is not None and importlib.util.find_spec(name) is None:
        return
    importlib.import_module(name)
