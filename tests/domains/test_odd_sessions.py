"""The application's own connections where the database, the role or the URL have other habits than ours."""

from datetime import UTC, timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import func, select, text

from jobs import database

HABITS = "-c DateStyle=German -c TimeZone=Asia/Kathmandu -c default_transaction_isolation=serializable"
NOW = select(func.now(), func.current_setting("transaction_isolation"))


@pytest.fixture(autouse=True)
def odd(database_url: str, monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{database_url}{'&' if '?' in database_url else '?'}options={quote(HABITS)}")


async def test_times_can_be_read_and_transactions_are_read_committed() -> None:
    for _ in range(2):  # the second time, the connection comes from the pool
        async with database.session() as session:
            now, isolation = (await session.execute(NOW)).one()
            assert (now.utcoffset(), isolation) == (timedelta(0), "read committed")
            await session.rollback()
            assert (await database.now(session)).tzinfo is not None
    async with database.autocommit() as session:
        assert (await session.execute(NOW)).one()[1] == "read committed"
    await database.engine().dispose()


def test_those_of_child_processes_too() -> None:
    with database.blocking_session() as session:
        now, isolation = session.execute(NOW).one()
        assert (now.astimezone(UTC).isoformat(), isolation) == (now.isoformat(), "read committed")
        session.rollback()
        assert session.scalar(text("SHOW DateStyle")) == "ISO, DMY"
