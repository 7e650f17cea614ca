"""The project's tasks: of ``tasks`` modules, of procrastinate's app, and those of ``django.tasks``."""

from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string, module_has_submodule
from procrastinate.blueprints import Blueprint
from procrastinate.contrib.django import procrastinate_app
from procrastinate.contrib.django.settings import settings as upstream

from workrow.django import configuration, declared
from workrow.django.own_app import App, the_app

UPSTREAM = "procrastinate.contrib.django"


def discover() -> None:
    """Import the modules that declare tasks and register on the app what they declare for no other one."""
    app = the_app()
    for module in _modules():
        for value in list(vars(module).values()):
            if isinstance(value, Blueprint) and not _is_app(value):
                _include(app, value)
            elif declared.is_task(value):
                declared.remember(value)
    _take_over(app)
    declared.attach(app)


def _modules() -> Iterator[ModuleType]:
    told = configuration.read()
    for config in apps.get_app_configs():
        here = config.name != "workrow.django" and config.module is not None
        if told.tasks_module and here and module_has_submodule(config.module, told.tasks_module):
            yield import_module(f"{config.name}.{told.tasks_module}")
    for name in told.imports:
        yield import_module(name)


def _is_app(blueprint: Any) -> bool:
    return hasattr(blueprint, "job_manager") or isinstance(blueprint, procrastinate_app.FutureApp)


def _include(app: App, blueprint: Any) -> None:
    """Register its tasks, if nobody has: the project may have done so itself, and modules import from each other."""
    if all(task.blueprint is blueprint for task in blueprint.tasks.values()):
        app.include(blueprint)


def _take_over(app: App) -> None:
    """Be what ``from procrastinate.contrib.django import app`` gives."""
    before: Any = procrastinate_app.current_app
    installed = apps.is_installed(UPSTREAM)
    if installed and isinstance(before, procrastinate_app.FutureApp):
        raise ImproperlyConfigured(f"INSTALLED_APPS: {UPSTREAM!r} must stand before 'workrow.django'")
    names = {name for name in before.tasks if name not in app.tasks}
    before.tasks = {name: task for name, task in before.tasks.items() if name in names}
    app.add_tasks_from(before, namespace="")
    procrastinate_app.current_app = app
    if upstream.ON_APP_READY and not installed:
        import_string(upstream.ON_APP_READY)(app)
