"""An app for tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from workrow.celery import current
from workrow.celery.app import Celery
from workrow.celery.conf import is_database
from workrow.celery.registry import shared_tasks

DEFAULT_TEST_CONFIG = {
    "worker_hijack_root_logger": False,
    "accept_content": {"json"},
    "enable_utc": True,
    "timezone": "UTC",
}
"""Settings of an app that tests make, where nothing else is said."""


class Trap:
    """Stands for the app of whoever names none, and is none."""

    def __getattr__(self, name: str) -> Any:
        if name in ("_is_coroutine", "__func__"):  # unittest.mock asks for these of everything
            return None
        raise RuntimeError("Test depends on current_app")


_told_before: list[tuple[str, str]] = []
"""What settings mean nothing here is told once, and not for the app of each test."""


class _Tested(Celery):
    """An app whose logs are pytest's, unless it is told to write them, and with a database to fall back on."""

    writes_logs = False
    spare_database: str | None = None
    _told: list[tuple[str, str]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._told = _told_before

    def database_url(self) -> str:
        told = any(url and is_database(url) for url in (self.conf.broker_url, self.conf.result_backend))
        return self.spare_database if self.spare_database and not told else super().database_url()


def TestApp(
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    enable_logging: bool = False,
    set_as_current: bool = False,
    log: Any = None,
    backend: str | None = None,
    broker: str | None = None,
    database: str | None = None,
    **kwargs: Any,
) -> Celery:
    """An app for tests.

    Args:
        name: None: ``celery.tests``.
        config: settings, which go before `DEFAULT_TEST_CONFIG`.
        enable_logging: its worker writes logs as other workers do.
        set_as_current: it is the app of whoever names none.
        log: of Celery's; logs are the standard library's here.
        backend, broker: as for `Celery`; ``config`` has nothing to say of what is given here.
        database: URL of the database, where neither of these is one; None: ``$DATABASE_URL``. Not of Celery's.
        **kwargs: of `Celery`.
    """
    from workrow.celery.contrib.testing import tasks  # noqa: F401  # a worker is asked whether it runs

    settings = {**DEFAULT_TEST_CONFIG, **(config or {})}
    for given, setting in ((broker, "broker_url"), (backend, "result_backend")):
        if given is not None:
            settings.pop(setting, None)
    app = _Tested(name or "celery.tests", set_as_current=set_as_current, broker=broker, backend=backend, **kwargs)
    app.writes_logs = enable_logging
    app.spare_database = database
    app.add_defaults(settings)
    return app


@contextmanager
def set_trap(app: Any) -> Iterator[None]:
    """Inside, whoever uses the app of whoever names none gets a RuntimeError."""
    before = [*current._default]
    current._default[:] = [Trap()]
    try:
        yield
    finally:
        current._default[:] = before


@contextmanager
def setup_default_app(app: Celery, use_trap: bool = False) -> Iterator[None]:
    """Inside, a test has this app; then the current app is the one of before, and the app is closed.

    A shared task that is declared inside a function is gone then; one of a module stays, since the module is imported
    once only.

    Args:
        app: of the test.
        use_trap: see `set_trap`.
    """
    current_before, tasks_before = [*current._default], [*shared_tasks]
    try:
        if use_trap:
            with set_trap(app):
                yield
        else:
            yield
    finally:
        current._default[:] = current_before
        shared_tasks[:] = [each for each in shared_tasks if each in tasks_before or not is_local(each)]
        if app not in current_before:
            current.apps.discard(app)
            app.close()


def is_local(declare: Any) -> bool:
    """Whether a shared task was declared inside a function."""
    return "<locals>" in getattr(declare.task_function, "__qualname__", "")
