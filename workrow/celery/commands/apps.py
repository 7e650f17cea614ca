"""Which app is meant."""

import importlib
import os
import sys
from types import ModuleType
from typing import Any

import click

from workrow.celery.app import Celery
from workrow.celery.exceptions import CeleryError
from workrow.celery.foreign_errors import KombuError
from workrow.celery.worker.calls import MODULES
from workrow.errors import WorkrowError

QUIET = "workrow.celery.quiet"
WORDS = "workrow.celery.words"
WITHOUT_APP = ("multi",)
"""Commands that need none: the workers that they start do."""


class AppGroup(click.Group):
    """Errors that tell what to do are one line."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        context.meta[WORDS] = [*args]  # for who starts itself again in the background
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (CeleryError, KombuError, WorkrowError) as error:
            raise click.ClickException(str(error)) from error

    @staticmethod
    def set_up(context: click.Context, path: str | None, url: str | None, workdir: str | None) -> None:
        """Find the app, for ``@click.pass_obj``."""
        if workdir:
            os.chdir(workdir)
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        if context.invoked_subcommand in WITHOUT_APP:
            return
        if context.obj is not None:  # app.start()
            return
        if path is None and context.invoked_subcommand in ("report", "shell", "bridge", "drain"):
            context.obj = Celery("default", broker=url, set_as_current=False)
            return
        if path is None:
            raise click.UsageError("no app is named: give -A module, or set APP in the environment")
        app = find_app(path)
        module = path.partition(":")[0]
        # child processes import what this one has imported, and use the database that this one uses
        os.environ[MODULES] = module if module in sys.modules else module.rpartition(".")[0]
        if url:
            app.conf.broker_url = os.environ["CELERY_BROKER_URL"] = url
        context.obj = app


def say(text: str) -> None:
    """Tell what was done, unless ``--quiet`` was said."""
    if not click.get_current_context().meta.get(QUIET):
        click.echo(text)


def find_app(path: str) -> Any:
    """The app at ``module``, ``module:attribute`` or ``module.attribute``; of a package also in ``package.celery``.

    Raises:
        click.UsageError: there is none.
    """
    module_name, _, attribute = path.partition(":")
    try:
        found: Any = _imported(module_name)
    except ModuleNotFoundError as error:
        raise click.UsageError(f"-A {path}: {error}") from error
    if attribute:
        found = getattr(found, attribute, None)
    if isinstance(found, ModuleType):
        found = _in_module(found)
    if not isinstance(found, Celery):
        raise click.UsageError(f"-A {path}: there is no workrow.celery.Celery; name it, -A module:attribute")
    return found


def _imported(name: str) -> Any:
    """A module, or an attribute of one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        parent, _, attribute = name.rpartition(".")
        if not parent or error.name not in (name, parent):
            raise
        module = importlib.import_module(parent)
        if not hasattr(module, attribute):
            raise
        return getattr(module, attribute)


def _in_module(module: ModuleType) -> Any:
    for name in ("app", "celery"):
        found = getattr(module, name, None)
        if isinstance(found, Celery):
            return found
        if isinstance(found, ModuleType) and (inner := _in_module(found)) is not None:
            return inner
    if hasattr(module, "__path__"):
        try:
            return _in_module(importlib.import_module(f"{module.__name__}.celery"))
        except ModuleNotFoundError:
            pass
    return next((value for value in vars(module).values() if isinstance(value, Celery)), None)
