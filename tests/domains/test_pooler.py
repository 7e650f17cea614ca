"""The application's own connections behind a real PgBouncer in transaction mode, which must be installed."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from jobs import database
from tests.chaos.bouncer import Missing, bounced

OFTEN = 8
"""psycopg prepares a statement that it has seen five times."""


@pytest.fixture
def behind_pgbouncer(monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> Iterator[None]:
    try:
        with bounced() as (_, url):
            monkeypatch.setenv("DATABASE_URL", url)
            yield
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.usefixtures("behind_pgbouncer")
async def test_sessions_share_the_servers_connections() -> None:
    async with database.engine().connect() as one, database.engine().connect() as other:
        for _ in range(OFTEN):
            for connection, answer in ((one, 1), (other, 2)):
                assert await connection.scalar(text(f"SELECT {answer}")) == answer
                await connection.commit()
    await database.engine().dispose()


@pytest.mark.usefixtures("behind_pgbouncer")
def test_sessions_of_child_processes_share_them_too() -> None:
    for answer in (1, 2):
        with database.blocking_session() as session:
            for _ in range(OFTEN):
                assert session.scalar(text(f"SELECT {answer}")) == answer
            session.commit()
