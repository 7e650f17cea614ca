"""The fixtures of Celery's plugin for pytest: ``pytest_plugins = ("workrow.celery.contrib.pytest",)``.

An app whose ``celery_config`` names no database has one of its own, by workrow's plugin.
"""

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from workrow.celery.app import Celery
from workrow.celery.conf import Settings, is_database

if TYPE_CHECKING:
    from workrow.celery.contrib.testing.worker import TestWorkController

NO_WORKER = os.environ.get("NO_WORKER", "")
"""Set: `celery_worker` and `celery_session_worker` start none; one that runs elsewhere is used."""


def pytest_configure(config: pytest.Config) -> None:
    """The mark, and the plugin that gives databases, where it was not loaded by itself."""
    config.addinivalue_line("markers", "celery(**overrides): override celery configuration for a test case")
    if not config.pluginmanager.has_plugin("workrow"):
        config.pluginmanager.import_plugin("workrow.testing.plugin")


def _app(
    request: pytest.FixtureRequest, trap: bool, database: Callable[[], str]
) -> tuple[Celery, AbstractContextManager[None]]:
    """An app as the fixtures describe it, and what is to be entered for as long as it is used."""
    from workrow.celery.contrib.testing.app import TestApp, setup_default_app

    mark = request.node.get_closest_marker("celery")
    config = {**request.getfixturevalue("celery_config"), **(mark.kwargs if mark else {})}
    parameters: dict[str, Any] = {**(request.getfixturevalue("celery_parameters") or {})}
    told_of = Settings()
    told_of.add_defaults(config)
    told = [parameters.get("broker"), parameters.get("backend"), told_of.broker_url, told_of.result_backend]
    if not any(url and is_database(url) for url in told):
        parameters["database"] = database()
    logging = request.getfixturevalue("celery_enable_logging")
    app = TestApp(set_as_current=False, enable_logging=logging, config=config, **parameters)
    return app, setup_default_app(app, use_trap=trap)


@pytest.fixture(scope="session")
def use_celery_app_trap() -> bool:
    """Override it to return True: who uses the current app then, and not that of the test, gets an error."""
    return False


@pytest.fixture(scope="session")
def celery_enable_logging() -> bool:
    """Override it to return True: workers then set up logs as they do outside of tests."""
    return False


@pytest.fixture(scope="session")
def celery_includes() -> Sequence[str]:
    """Override it to name modules that are imported before a worker starts."""
    return ()


@pytest.fixture(scope="session")
def celery_worker_pool() -> Any:
    """Override it to name the pool of workers; see `workrow.celery.contrib.testing.worker.start_worker`."""
    return "solo"


@pytest.fixture(scope="session")
def celery_config() -> Mapping[str, Any]:
    """Override it to set settings of the apps."""
    return {}


@pytest.fixture(scope="session")
def celery_parameters() -> Mapping[str, Any]:
    """Override it to name parameters that apps are made with."""
    return {}


@pytest.fixture(scope="session")
def celery_worker_parameters() -> Mapping[str, Any]:
    """Override it to name parameters that workers are made with."""
    return {}


@pytest.fixture(scope="session")
def celery_class_tasks() -> Sequence[Any]:
    """Override it to name tasks that are classes, which the app of the session is to have."""
    return []


@pytest.fixture(scope="session")
def _celery_session_database(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.getfixturevalue("workrow_databases").copy() as url:
        yield url


@pytest.fixture(scope="session")
def celery_session_app(
    request: pytest.FixtureRequest,
    celery_config: Any,
    celery_parameters: Any,
    celery_enable_logging: bool,
    use_celery_app_trap: bool,
) -> Iterator[Celery]:
    """The app of all tests; it is the current one."""
    app, used = _app(request, use_celery_app_trap, lambda: request.getfixturevalue("_celery_session_database"))
    with used:
        if not use_celery_app_trap:
            app.set_default()
        yield app


@pytest.fixture(scope="session")
def celery_session_worker(
    request: pytest.FixtureRequest,
    celery_session_app: Celery,
    celery_includes: Sequence[str],
    celery_class_tasks: Sequence[Any],
    celery_worker_pool: Any,
    celery_worker_parameters: Mapping[str, Any],
) -> Iterator["TestWorkController | None"]:
    """A worker that runs until the last test has ended."""
    if NO_WORKER:
        yield None
        return
    from workrow.celery.contrib.testing.worker import start_worker

    for module in celery_includes:
        importlib.import_module(module)
    for task in celery_class_tasks:
        celery_session_app.register_task(task)
    with start_worker(celery_session_app, pool=celery_worker_pool, **celery_worker_parameters) as worker:
        yield worker


@pytest.fixture
def celery_app(
    request: pytest.FixtureRequest,
    celery_config: Any,
    celery_parameters: Any,
    celery_enable_logging: bool,
    use_celery_app_trap: bool,
) -> Iterator[Celery]:
    """The app of one test. Where that has the session's app too, they have one database."""
    of_session = "celery_session_app" in request.fixturenames
    database = "_celery_session_database" if of_session else "workrow_database"
    app, used = _app(request, use_celery_app_trap, lambda: request.getfixturevalue(database))
    with used:
        yield app


@pytest.fixture
def celery_worker(
    request: pytest.FixtureRequest,
    celery_app: Celery,
    celery_includes: Sequence[str],
    celery_worker_pool: Any,
    celery_worker_parameters: Mapping[str, Any],
) -> Iterator["TestWorkController | None"]:
    """A worker that runs until the test has ended."""
    if NO_WORKER:
        yield None
        return
    from workrow.celery.contrib.testing.worker import start_worker

    for module in celery_includes:
        importlib.import_module(module)
    with start_worker(celery_app, pool=celery_worker_pool, **celery_worker_parameters) as worker:
        yield worker


@pytest.fixture
def depends_on_current_app(celery_app: Celery) -> None:
    """The app of the test is the current one."""
    celery_app.set_current()
