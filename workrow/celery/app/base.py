"""The app: tasks and settings."""

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from workrow.celery import canvas, codec, current, result
from workrow.celery.annotations import annotate
from workrow.celery.app.running import Runs
from workrow.celery.backend import Backend
from workrow.celery.builtins import add_builtins
from workrow.celery.conf import Settings, is_database
from workrow.celery.contrib.django import project
from workrow.celery.control import Control
from workrow.celery.discovery import Discovers
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.periodic import Periodic
from workrow.celery.registry import Registry, shared_tasks, task_name
from workrow.celery.report import bugreport
from workrow.celery.routes import Router
from workrow.celery.sending import Sends
from workrow.celery.store import Store
from workrow.celery.task import Task as CeleryTask
from workrow.celery.tasks import made_of
from workrow.logs import get_logger

logger = get_logger(__name__)


class Celery(Sends, Discovers, Periodic, Runs):
    """An application: what ``celery.Celery`` is, on the database.

    Args:
        main: the name of the module that runs as ``__main__``, for the names of its tasks.
        broker, backend: URLs. ``postgresql://…`` is the database; another one is not used, which is logged once.
        include: modules that workers import.
        changes: settings.
        config_source: what `config_from_object` takes.
        task_cls: the class of tasks.
        set_as_current: it is the app of whoever names none.
        tasks: those that it has from the beginning, by their names.
        autofinalize: complete it when it is first needed; otherwise that is an error until `finalize` was called.
        config_source_silent: it is no error that the module of `config_source` is not there.
        **settings: more settings by their lower-case names.
    """

    task_cls: type[CeleryTask] = CeleryTask
    conf: Settings

    def __init__(
        self,
        main: str | None = None,
        loader: Any = None,
        backend: str | None = None,
        amqp: Any = None,
        events: Any = None,
        log: Any = None,
        control: Any = None,
        set_as_current: bool = True,
        tasks: Any = None,
        broker: str | None = None,
        include: Iterable[str] | None = None,
        changes: dict[str, Any] | None = None,
        config_source: Any = None,
        fixups: Any = None,
        task_cls: type[CeleryTask] | None = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        strict_typing: bool = True,
        config_source_silent: bool = False,
        **settings: Any,
    ) -> None:
        self.main = main
        self._told: list[tuple[str, str]] = []
        self.strict_typing = strict_typing
        given = {"broker_url": broker, "result_backend": backend, "include": include and [*include]}
        told = {**(changes or {}), **{k: v for k, v in given.items() if v is not None}, **settings}
        self.conf = Settings(told, namespace=namespace, on_read=self._configured)
        if config_source is not None:
            self.conf.config_from_object(config_source, silent=config_source_silent)
        if task_cls is not None:
            self.task_cls = task_cls
        self._tasks = tasks if isinstance(tasks, Registry) else Registry(tasks or {})
        self.autofinalize = autofinalize
        self.finalized = False
        self.store = Store(self.database_url)
        if set_as_current:
            current.set_default(self)
        current.apps.add(self)
        add_builtins(self)
        self.on_init()

    def on_init(self) -> None:
        """It has been made; for subclasses."""

    # ---------------------------------------------------------------- settings

    def database_url(self) -> str:
        """Of the database: ``broker_url`` or ``result_backend`` if one is ``postgresql://…``, else ``$DATABASE_URL``.

        Raises:
            ImproperlyConfigured: there is none.
        """
        for url in (self.conf.broker_url, self.conf.result_backend):
            if url and is_database(url):
                return str(url).removeprefix("db+")
        if url := os.environ.get("DATABASE_URL"):
            return url
        raise ImproperlyConfigured(
            "no database: give Celery(broker='postgresql://…'), or set DATABASE_URL in the environment"
        )

    def _tell_notices(self) -> None:
        """Log once what was set and means nothing here; a child of a worker leaves that to the worker."""
        given = [each for task in self._tasks.values() for each in task.meaningless()]
        notices = [each for each in (*self.conf.notices(), *given) if each not in self._told]
        self._told += notices
        if not notices:
            return
        from multiprocessing import parent_process  # takes 16 ms, and few apps have anything to tell

        if parent_process() is None:
            told = "; ".join(f"{name} ({why})" for name, why in notices)
            logger.warning("what was set and means nothing here: %s", told)

    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> Settings | None:
        """Read settings from an object, or from a module by its name; see `Settings.config_from_object`."""
        return self.conf.config_from_object(obj, silent=silent, force=force, namespace=namespace)

    def config_from_envvar(self, variable_name: str, silent: bool = False, force: bool = False) -> Any:
        """The same, of the module that a variable of the environment names."""
        return self.conf.config_from_envvar(variable_name, silent=silent, force=force)

    def config_from_cmdline(self, argv: Iterable[str], namespace: str = "celery") -> None:
        """The same, of words such as ``worker.concurrency=4``."""
        self.conf.config_from_cmdline(argv, namespace)

    @property
    def configured(self) -> bool:
        """Whether its settings have been read."""
        return self.conf.configured

    def add_defaults(self, fun: Any) -> None:
        """Settings that hold where nothing else is said; a dict, or a function that returns one."""
        self.conf.add_defaults(fun)

    @cached_property
    def router(self) -> Router:
        return Router(self.conf)

    @cached_property
    def backend(self) -> Backend:
        return Backend(self, self.store)

    @cached_property
    def control(self) -> Control:
        return Control(self)

    # ---------------------------------------------------------------- tasks

    @cached_property
    def Task(self) -> type[CeleryTask]:
        """The class of this app's tasks, to be subclassed; in a project of Django's a `DjangoTask`."""
        kind = self.task_cls
        if kind is CeleryTask and project.is_named():
            from workrow.celery.contrib.django.task import DjangoTask as kind  # noqa: N813 - which needs Django
        return type("Task", (kind,), {"app": self, "__module__": __name__})

    def task(self, *args: Any, **options: Any) -> Any:
        """Make a task of a function: ``@app.task``, or ``@app.task(bind=True, …)`` with attributes of `Task`."""

        def made(function: Callable[..., Any]) -> CeleryTask:
            return self._task_of(function, **options)

        if len(args) == 1 and callable(args[0]):
            return made(args[0])
        if args:
            raise TypeError("argument 1 to @task() must be a callable")
        return made

    def _task_of(self, function: Callable[..., Any], name: str | None = None, **options: Any) -> CeleryTask:
        name = name or self.gen_task_name(function.__name__, function.__module__)
        if name in self._tasks:
            known: CeleryTask = self._tasks[name]
            return known
        task = made_of(function, name, options.pop("base", None) or self.Task, self.strict_typing, options)
        return self._add(task)

    def register_task(self, task: Any, **options: Any) -> CeleryTask:
        """Add a task whose class has a ``run`` of its own; the instance, or the class."""
        one = task() if isinstance(task, type) else task
        vars(one).update(options)
        if not one.name:
            one.name = self.gen_task_name(type(one).__name__, type(one).__module__)
        return self._add(one)

    def gen_task_name(self, name: str, module: str) -> str:
        """The name of a task that is given none, of its function and its module; subclasses may have their own way."""
        return task_name(self, name, module)

    def _add(self, task: CeleryTask) -> CeleryTask:
        task.bind_to(self)
        self._tasks[task.name] = task
        if self.finalized:
            annotate(task, self.conf.task_annotations)
        return task

    @property
    def tasks(self) -> Registry:
        """Its tasks by their names; it is complete from here on, with those of `shared_task`."""
        if not self.finalized:
            self.finalize(auto=True)
        return self._tasks

    def finalize(self, auto: bool = False) -> None:
        """Complete it: shared tasks, annotations, what settings mean nothing here.

        Raises:
            RuntimeError: nobody asked for it (`auto`), and it was made with ``autofinalize=False``.
        """
        if self.finalized:
            return
        if auto and not self.autofinalize:
            raise RuntimeError("Contract breach: app not finalized")
        self.finalized = True
        for declare in list(shared_tasks):
            declare(self)
        for task in list(self._tasks.values()):
            annotate(task, self.conf.task_annotations)
        self._tell_notices()
        self.on_after_finalize.send(self)

    # ---------------------------------------------------------------- results

    def encoded(self, value: Any) -> Any:
        """A value as whoever reads the result will have it. Raises EncodeError."""
        return codec.encoded(value)

    def signature(self, *args: Any, **options: Any) -> Any:
        options["app"] = self
        return canvas.signature(*args, **options)

    subtask = signature

    @cached_property
    def AsyncResult(self) -> type[result.AsyncResult]:
        """The class, of this app."""
        return result.of_app(self, result.AsyncResult)

    @cached_property
    def GroupResult(self) -> type[result.GroupResult]:
        """The class, of this app."""
        return result.of_app(self, result.GroupResult)

    @cached_property
    def ResultSet(self) -> type[result.ResultSet]:
        """The class, of this app."""
        return result.of_app(self, result.ResultSet)

    # ---------------------------------------------------------------- the rest

    @property
    def current_task(self) -> Any:
        return current.current_worker_task()

    current_worker_task = current_task

    def set_current(self) -> None:
        current.set_default(self)

    set_default = set_current

    def bugreport(self) -> str:
        """Versions, platform and settings, without secrets: what to tell with the report of a fault."""
        return bugreport(self)

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self.store.close()

    def __enter__(self) -> "Celery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.main or '__main__'}>"
