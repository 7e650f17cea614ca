"""The application on a database of each test's own."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import workrow

from $package import database, settings
from $package.bootstrap import create_app


@pytest.fixture(scope="session")
def workrow_migrate() -> Callable[[str], None]:
    """What brings an empty database to where the tests expect it."""
    $migrate


@pytest_asyncio.fixture
async def workrow_app(workrow_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[workrow.App]:
    """The app, and the sessions of `$package.database`, on this test's database."""
    monkeypatch.setenv("DATABASE_URL", workrow_database)
    for cached in (settings.database_url, database.engine):
        cached.cache_clear()
    yield create_app()
    await database.engine().dispose()
