"""An upgrade waits for a lock a short time only, for all others queue behind it; at a URL it tries again."""

from collections.abc import Iterator
from io import StringIO

import psycopg
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from workrow import schema
from workrow.errors import SchemaError
from workrow.schema import migrate


@pytest.fixture
def holder(empty_database_url: str) -> Iterator[psycopg.Connection]:
    """A service's open transaction, which the index of version 5 has to wait for."""
    schema.upgrade(empty_database_url, to=4)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')")
        yield connection


def test_at_a_url_it_is_tried_again(
    holder: psycopg.Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            holder.commit()

    monkeypatch.setattr(migrate, "sleep", pause)
    schema.upgrade(empty_database_url, lock_timeout=0.01)
    assert pauses == [0.1, 0.2, 0.4]
    assert schema.check(empty_database_url).installed == schema.LATEST


def test_what_is_held_for_ever_is_told_and_nothing_is_changed(
    holder: psycopg.Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(migrate, "sleep", pauses.append)
    with pytest.raises(SchemaError, match=r"held for 0\.01 s, 10 times, and changed nothing: end the transaction"):
        schema.upgrade(empty_database_url, lock_timeout=0.01)
    assert (len(pauses), schema.status(empty_database_url).installed) == (10, 4)


def test_on_a_connection_nothing_is_tried_again_and_its_own_setting_comes_back(
    holder: psycopg.Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "sleep", lambda _: pytest.fail("it was tried again"))
    with psycopg.connect(empty_database_url) as connection, pytest.raises(psycopg.errors.LockNotAvailable):
        schema.upgrade(connection, lock_timeout=0.01)
    engine = sa.create_engine(empty_database_url.replace("://", "+psycopg://", 1), poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET LOCAL lock_timeout = 10")
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            schema.upgrade(connection)
    holder.commit()
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("SET lock_timeout = '7s'")
        schema.upgrade(connection, lock_timeout=1)
        assert connection.execute("SHOW lock_timeout").fetchone() == ("7s",)


@pytest.mark.parametrize("seconds", [0, -1, 1e9, float("nan"), float("inf")])
def test_no_time_is_refused(seconds: float, empty_database_url: str) -> None:
    with pytest.raises(SchemaError, match=r"lock_timeout=.* is no time to wait for a lock: give seconds"):
        schema.upgrade(empty_database_url, lock_timeout=seconds)


def test_offline_it_is_printed() -> None:
    printed = StringIO()
    options = {"as_sql": True, "output_buffer": printed, "starting_rev": "0001"}
    op = Operations(MigrationContext.configure(dialect_name="postgresql", opts=options))
    schema.upgrade(op, to=2, lock_timeout=2.5)
    assert printed.getvalue().startswith("SET LOCAL lock_timeout = 2500;\n")
