"""Install, remove and check the schema, through every kind of target."""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from procrastinate.schema import SchemaManager
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import create_async_engine

import workrow
from tests.catalog import engine_objects, objects
from workrow import schema
from workrow.cli import main
from workrow.database import session
from workrow.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    SchemaError,
    SchemaMissing,
    SchemaOutdated,
    SchemaTooNew,
    UpstreamMismatch,
)
from workrow.schema import migrate, targets, versions

Upgrade = Callable[[str], None]


def sqlalchemy_url(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)


def through_url(url: str) -> None:
    schema.upgrade(url)


def through_sqlalchemy_url(url: str) -> None:
    schema.upgrade(sqlalchemy_url(url, "asyncpg"))


def through_short_url(url: str) -> None:
    schema.upgrade(url.replace("postgresql://", "postgres://", 1))


def through_psycopg(url: str) -> None:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        schema.upgrade(connection)


def through_psycopg_autocommit(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        schema.upgrade(connection)


def through_sqlalchemy_psycopg(url: str) -> None:
    engine = sa.create_engine(sqlalchemy_url(url, "psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        schema.upgrade(connection)


def through_sqlalchemy_psycopg2(url: str) -> None:
    engine = sa.create_engine(sqlalchemy_url(url, "psycopg2"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        schema.upgrade(connection)


TARGETS: list[Upgrade] = [
    through_url,
    through_sqlalchemy_url,
    through_short_url,
    through_psycopg,
    through_psycopg_autocommit,
    through_sqlalchemy_psycopg,
    through_sqlalchemy_psycopg2,
]


def test_up_down_up_gives_the_same_and_down_leaves_nothing(empty_database_url: str) -> None:
    before = objects(empty_database_url)
    schema.upgrade(empty_database_url)
    installed = objects(empty_database_url)
    schema.downgrade(empty_database_url)
    assert objects(empty_database_url) == before
    schema.upgrade(empty_database_url)
    assert objects(empty_database_url) == installed
    assert ("view", "workrow.jobs") in installed
    assert any(kind == "relation r" and name.endswith(".procrastinate_jobs") for kind, name in installed)


def test_upgrade_twice_changes_nothing(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    once = objects(empty_database_url)
    schema.upgrade(empty_database_url)
    assert objects(empty_database_url) == once
    assert schema.check(empty_database_url) == schema.SchemaStatus(
        schema.LATEST, schema.LATEST, "3.10.0", adopted=False
    )


def test_downgrade_of_nothing_is_no_error(empty_database_url: str) -> None:
    schema.downgrade(empty_database_url)
    assert schema.status(empty_database_url).installed == 0


@pytest.mark.parametrize("upgrade", TARGETS)
def test_every_target_installs_the_same(upgrade: Upgrade, empty_database_url: str, migrated_database_url: str) -> None:
    upgrade(empty_database_url)
    assert engine_objects(empty_database_url) == engine_objects(migrated_database_url)
    assert schema.check(empty_database_url).installed == schema.LATEST


async def test_asyncpg_installs_the_same(empty_database_url: str, migrated_database_url: str) -> None:
    engine = create_async_engine(sqlalchemy_url(empty_database_url, "asyncpg"), poolclass=sa.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(schema.upgrade)
    assert engine_objects(empty_database_url) == engine_objects(migrated_database_url)
    async with engine.begin() as connection:
        await connection.run_sync(schema.downgrade)
    assert schema.status(empty_database_url).installed == 0


def test_a_callers_transaction_decides(empty_database_url: str) -> None:
    before = objects(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        schema.upgrade(connection)
        connection.rollback()
    engine = sa.create_engine(sqlalchemy_url(empty_database_url, "psycopg"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        schema.upgrade(connection)
    assert objects(empty_database_url) == before


@pytest.mark.parametrize("upgrade", TARGETS)
def test_an_upgrade_that_fails_leaves_nothing(upgrade: Upgrade, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE SCHEMA workrow CREATE TABLE jobs (mine text)")  # in the way of the view
    before = objects(empty_database_url)
    with pytest.raises((psycopg.errors.WrongObjectType, sa.exc.ProgrammingError)):
        upgrade(empty_database_url)
    assert objects(empty_database_url) == before


def test_a_sqlalchemy_connection_in_autocommit_is_refused(empty_database_url: str) -> None:
    engine = sa.create_engine(
        sqlalchemy_url(empty_database_url, "psycopg2"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection, pytest.raises(SchemaError, match=r"AUTOCOMMIT.*engine\.begin\(\)"):
        schema.upgrade(connection)
    assert schema.status(empty_database_url).installed == 0


async def test_what_is_no_target_is_refused_with_the_fix(aconn: psycopg.AsyncConnection, database_url: str) -> None:
    with pytest.raises(SchemaError, match=r"psycopg\.AsyncConnection is no target.*run_sync|URL"):
        schema.upgrade(aconn)  # type: ignore[arg-type]
    engine = create_async_engine(sqlalchemy_url(database_url, "psycopg"), poolclass=sa.NullPool)
    async with engine.connect() as connection:
        with pytest.raises(SchemaError, match="AsyncConnection is no target.*run_sync"):
            schema.upgrade(connection)  # type: ignore[arg-type]


def test_unknown_versions_are_refused(empty_database_url: str) -> None:
    for version in (0, -1, schema.LATEST + 1):
        with pytest.raises(SchemaError, match=rf"no version {version} .* knows 1 to {schema.LATEST}"):
            schema.upgrade(empty_database_url, to=version)
    with pytest.raises(SchemaError, match=f"no version {schema.LATEST + 1}"):
        schema.downgrade(empty_database_url, to=schema.LATEST + 1)
    with pytest.raises(SchemaError, match=r"at version 0, below 1.*upgrade\(to=1\)"):
        schema.downgrade(empty_database_url, to=1)


def test_upgrade_does_not_go_back(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with pytest.raises(SchemaError, match=rf"at version {schema.LATEST}, above 1.*downgrade\(to=1\)"):
        schema.upgrade(empty_database_url, to=1)


def test_a_newer_schema_is_refused_by_all(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (99, 'x', false)")
    for call in (schema.check, schema.upgrade, schema.downgrade):
        with pytest.raises(SchemaTooNew, match=f"version 99.* up to {schema.LATEST}: upgrade the workrow package"):
            call(empty_database_url)
    assert schema.status(empty_database_url).installed == 99
    told = CliRunner().invoke(main, ["--database-url", empty_database_url, "schema", "status"])
    assert told.exit_code == 1
    assert "version 99" in told.output
    assert "upgrade the workrow package" in told.output


def test_a_table_of_versions_without_rows_is_told(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("DELETE FROM workrow.schema_version")
    for call in (schema.check, schema.status, schema.upgrade, schema.downgrade):
        with pytest.raises(SchemaError, match=r"workrow\.schema_version is empty"):
            call(empty_database_url)


def test_what_an_upgrade_cannot_drop_is_told_with_what_stands_on_it(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE VIEW mine AS SELECT id, status FROM workrow.jobs")
        connection.execute("ALTER VIEW workrow.jobs RENAME COLUMN priority TO prio")
    told = CliRunner().invoke(main, ["--database-url", empty_database_url, "schema", "upgrade"])
    assert told.exit_code == 1
    assert "view mine depends on view workrow.jobs" in told.output


def test_check_names_what_is_missing(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SchemaMissing, match="alembic upgrade head"):
        schema.check(empty_database_url)
    schema.upgrade(empty_database_url)
    monkeypatch.setattr(migrate, "LATEST", schema.LATEST + 1)
    with pytest.raises(SchemaOutdated, match=r"version 8, .* needs 9: run `alembic upgrade head`"):
        schema.check(empty_database_url)


def test_another_procrastinate_is_refused(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SchemaManager, "get_schema", staticmethod(lambda: "CREATE TABLE procrastinate_jobs ()"))
    with pytest.raises(
        UpstreamMismatch, match=r"procrastinate 3\.10\.\d+ .* sha256 [0-9a-f]{64}.* install procrastinate 3\.10\.0"
    ):
        schema.upgrade(empty_database_url)
    assert schema.status(empty_database_url).installed == 0


def test_bad_urls_are_named_without_their_password() -> None:
    with pytest.raises(ConfigurationError, match="mysql.*does not start with postgresql://") as malformed:
        schema.status("mysql://me:secret@localhost/x")
    with pytest.raises(ConfigurationError, match="port"):
        schema.status("postgresql://me:sec/ret@localhost/x")
    with pytest.raises(DatabaseUnavailable, match="127.0.0.1:1") as down:
        schema.status("postgresql://me:secret@127.0.0.1:1/x")
    for error in (malformed, down):
        assert "secret" not in str(error.value)
        assert "\n" not in str(error.value)


def test_a_connection_lost_meanwhile_is_a_database_that_is_away(empty_database_url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="terminating connection"), targets.opened(empty_database_url) as run:
        run("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_connection_lost_as_soon_as_it_is_made_is_a_database_that_is_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PIN", "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(DatabaseUnavailable, match=r"cannot connect to .*terminating connection"):
        schema.check(database_url)


def test_the_second_of_two_upgraders_waits_and_finds_it_done(empty_database_url: str) -> None:
    with (
        psycopg.connect(empty_database_url) as first,
        psycopg.connect(empty_database_url, autocommit=True) as watcher,
    ):
        schema.upgrade(first)
        errors: list[BaseException] = []

        def second() -> None:
            try:
                schema.upgrade(empty_database_url)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        waiting = """SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                     WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"""
        deadline = time.monotonic() + 20
        while (found := watcher.execute(waiting).fetchone()) == (0,) and time.monotonic() < deadline:
            pass
        assert found == (1,), errors
        first.commit()
        thread.join()
    assert errors == []
    assert schema.check(empty_database_url).installed == schema.LATEST


def test_what_others_keep_in_the_schema_stops_the_downgrade(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE workrow.theirs (id integer)")
    before = objects(empty_database_url)
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        schema.downgrade(empty_database_url)
    assert objects(empty_database_url) == before


def test_every_file_is_one_statement(empty_database_url: str) -> None:
    with closing(psycopg.connect(empty_database_url)) as connection:
        numbers = range(1, schema.LATEST + 1)
        up = [statement for number in numbers for statement in versions.up(number)]
        down = [statement for number in reversed(numbers) for statement in versions.down(number)]
        for statement in up + down:
            # the extended protocol takes a single statement
            connection.execute(statement.replace("%", "%%").encode(), {}, prepare=True, binary=True)
    assert workrow.schema.status(empty_database_url).installed == 0


def test_autogenerate_does_not_see_it(empty_database_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    schema.upgrade(empty_database_url)
    engine = sa.create_engine(sqlalchemy_url(empty_database_url, "psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE theirs (id integer)"))
        options = {"include_schemas": True, "include_object": schema.include_object}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), sa.MetaData())
    assert [(kind, table.name) for kind, table in differences] == [("remove_table", "theirs")]
