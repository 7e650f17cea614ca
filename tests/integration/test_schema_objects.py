"""Functions, triggers and views: each text once, made by every upgrade, and told when somebody changed it."""

import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from procrastinate.schema import SchemaManager
from psycopg import sql

from tests.catalog import objects
from tests.conftest import READABLE
from workrow import schema
from workrow.cli import main
from workrow.errors import SchemaError
from workrow.schema import versions

SCHEMA = Path(versions.__file__).parents[1]
BY_HAND = [
    ("functions/end_job_v2", "DROP FUNCTION workrow.end_job_v2", False),
    ("functions/others_v1", "ALTER FUNCTION workrow.others_v1 VOLATILE COST 7", True),
    ("views/quarantine", "DROP VIEW workrow.quarantine", False),
    ("triggers/workrow_notify_ended", "DROP TRIGGER workrow_notify_ended ON workrow.history", False),
    (
        "triggers/workrow_notify_inserted",
        "ALTER TABLE procrastinate_jobs DISABLE TRIGGER workrow_notify_inserted",
        True,
    ),
    # what CREATE OR REPLACE refuses to change back
    ("views/jobs", None, True),
    (
        "functions/others_v1",
        """DROP FUNCTION workrow.others_v1;
           CREATE FUNCTION workrow.others_v1(total integer, done integer[]) RETURNS text
           LANGUAGE sql AS $$ SELECT '' $$""",
        True,
    ),
    ("functions/others_v1", "CREATE FUNCTION workrow.others_v1() RETURNS text LANGUAGE sql AS $$ SELECT '' $$", True),
    ("views/limits", "ALTER VIEW workrow.limits SET (security_barrier)", True),
]


@pytest.mark.parametrize(("name", "change", "there"), BY_HAND)
def test_what_was_changed_by_hand_is_told_and_put_back(
    name: str, change: str | None, there: bool, empty_database_url: str
) -> None:
    schema.upgrade(empty_database_url)
    before = objects(empty_database_url)
    assert schema.status(empty_database_url).changed == ()
    with psycopg.connect(empty_database_url, autocommit=True, options=READABLE) as connection:
        connection.execute((change or one_column_more(connection, "workrow.jobs")).encode())
    [changed] = schema.status(empty_database_url).changed
    assert (changed.name, changed.found is not None) == (name, there)
    assert changed.expected != changed.found
    told = CliRunner().invoke(main, ["--database-url", empty_database_url, "schema", "status"])
    assert told.exit_code == 1
    assert name in told.output
    assert changed.expected in told.output or not there
    schema.upgrade(empty_database_url)
    found = objects(empty_database_url)
    # another function of that name is somebody's own
    assert {key: each for key, each in found.items() if key != ("function", "workrow.others_v1()")} == before
    assert schema.status(empty_database_url).changed == ()


def one_column_more(connection: psycopg.Connection, view: str) -> str:
    (definition,) = connection.execute("SELECT pg_get_viewdef(CAST(%s AS regclass))", [view]).fetchone()  # type: ignore[misc]
    return f"CREATE OR REPLACE VIEW {view} AS SELECT *, 1 AS more FROM ({definition.rstrip(';')}) AS before"


def test_hashes_hold_for_any_search_path_and_another_servers_views_are_not_compared(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute('SET search_path = workrow, "$user", public')
        assert schema.status(connection).changed == ()
        connection.execute(
            "UPDATE workrow.installed_objects SET found_hash = '14-' || md5(name) WHERE name LIKE 'views/%'"
        )
        assert schema.status(connection).changed == ()
        connection.execute("UPDATE workrow.installed_objects SET found_hash = 'x' WHERE name = 'functions/end_job_v2'")
        assert [each.name for each in schema.status(connection).changed] == ["functions/end_job_v2"]
        schema.upgrade(connection)
        assert connection.execute(
            "SELECT count(*) FROM workrow.installed_objects WHERE found_hash LIKE '14-%'"
        ).fetchone() == (0,)


HABITS = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "quote_all_identifiers": "on",
}


def test_hashes_hold_for_sessions_of_other_habits_and_leave_them_theirs(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        for name, value in HABITS.items():
            connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        schema.upgrade(connection)
        assert schema.status(connection).changed == ()
        for name, value in HABITS.items():
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
    assert schema.status(empty_database_url).changed == ()


def test_an_upgrade_with_nothing_to_do_writes_nothing(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        schema.upgrade(connection)
        assert connection.execute("SELECT pg_current_xact_id_if_assigned()").fetchone() == (None,)


@pytest.mark.parametrize("version", range(1, schema.LATEST))
def test_every_earlier_version_leads_to_the_same(version: int, empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    expected = objects(empty_database_url)
    schema.downgrade(empty_database_url)
    schema.upgrade(empty_database_url, to=version)
    schema.upgrade(empty_database_url)
    assert objects(empty_database_url) == expected
    schema.downgrade(empty_database_url, to=version)
    schema.upgrade(empty_database_url)
    assert objects(empty_database_url) == expected


@pytest.mark.parametrize("installed", [1, schema.LATEST])
@pytest.mark.parametrize("stock", [False, True])
def test_an_instance_that_the_search_path_misses_is_told(installed: int, stock: bool, empty_database_url: str) -> None:
    """Whether the path leads to nothing, or to tables of stock procrastinate, which stay as they are."""
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA elsewhere")
        connection.execute("SET search_path = elsewhere")
        schema.upgrade(connection, to=installed)
        connection.execute("SET search_path = public")
        if stock:
            connection.execute(SchemaManager.get_schema().encode())
        before = objects(empty_database_url)
        for call in (schema.upgrade, schema.check, schema.status, schema.downgrade):
            with pytest.raises(
                SchemaError, match=r"search_path is public, .* schema elsewhere: put elsewhere first on the search_path"
            ):
                call(connection)  # type: ignore[operator]
    assert objects(empty_database_url) == before


INDEXES = {
    "procrastinate_jobs_ready_idx_w2": "dropped by hand",
    "history_id_idx": "dropped by hand",
    "flows_open_idx": "changed by hand: expected valid, found invalid",
}


@pytest.mark.parametrize(("name", "what"), INDEXES.items())
def test_an_index_that_is_gone_or_invalid_is_told_and_put_back(name: str, what: str, empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    before = objects(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        path = "SELECT set_config('search_path', concat('workrow, ', current_setting('search_path')), false)"
        connection.execute(path.encode())
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        if "invalid" in what:
            # what is left of one that could not be built
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON workrow.schema_version ((1))".encode())
    told = CliRunner().invoke(main, ["--database-url", empty_database_url, "schema", "status"])
    assert told.exit_code == 1
    assert f"indexes/{name}: {what}" in told.output
    schema.upgrade(empty_database_url)
    assert schema.status(empty_database_url).changed == ()
    assert objects(empty_database_url) == before


def test_every_index_that_versions_make_is_looked_for(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(SchemaManager.get_schema().encode())
    stock = {name for kind, name in objects(empty_database_url) if kind == "index"}
    schema.upgrade(empty_database_url)
    found = {name for kind, name in objects(empty_database_url) if kind == "index"}
    keys_and_partitions = re.compile(r"_pkey$|_key$|\.history_(\d|default|past)")
    ours = {name.removeprefix("workrow.") for name in found - stock if not keys_and_partitions.search(name)}
    assert ours <= versions.indexes().keys()
    assert versions.indexes().keys() <= {name.removeprefix("workrow.") for name in found}


def test_each_text_has_a_place() -> None:
    listed = {line.split()[1] for path in SCHEMA.rglob("up/objects.txt") for line in path.read_text().splitlines()}
    kept = {str(path.relative_to(SCHEMA / "objects").with_suffix("")) for path in SCHEMA.glob("objects/*/*.sql")}
    replaced = {
        str(path.relative_to(path.parents[1]).with_suffix("")) for path in SCHEMA.glob("versions/*/before/*/*.sql")
    }
    assert kept == set(versions.objects())
    assert kept | replaced == listed


def test_what_a_version_drops_is_forgotten_and_changed_comments_are_noted(empty_database_url: str) -> None:
    schema.upgrade(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO workrow.installed_objects VALUES ('functions/dropped_v1', 'a', 'a')")
        connection.execute(
            """UPDATE workrow.installed_objects SET text_hash = 'older', found_hash = 'older'
               WHERE name = 'comments/limits'"""
        )
    schema.upgrade(empty_database_url)
    assert schema.status(empty_database_url).changed == ()
