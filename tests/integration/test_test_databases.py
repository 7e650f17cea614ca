"""The copies that tests work in."""

import psycopg
import pytest

import workrow
from workrow import testing


def names(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def database(url: str) -> str:
    return psycopg.conninfo.conninfo_to_dict(url)["dbname"]  # type: ignore[return-value]


def test_each_copy_is_as_the_migration_left_it(cluster_url: str) -> None:
    def migrate(url: str) -> None:
        workrow.schema.upgrade(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE roles (id int GENERATED ALWAYS AS IDENTITY, name text)")
            connection.execute("INSERT INTO roles (name) VALUES ('admin')")

    databases = testing.Databases(cluster_url, migrate)
    seen = []
    for _ in range(2):
        with databases.copy() as url, psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO roles (name) VALUES ('guest')")
            seen.append(connection.execute("SELECT * FROM roles ORDER BY id").fetchall())
            # as the server's search_path says: "$user", public
            assert connection.execute("SELECT current_schema() IN (current_user, 'public')").fetchone() == (True,)
    copies = {database(url), database(databases.template)}
    databases.close()
    assert seen == [[(1, "admin"), (2, "guest")]] * 2
    assert not copies & names(cluster_url)


def test_a_transaction_left_open_is_told(workrow_databases: testing.Databases) -> None:
    opened: list[psycopg.Connection] = []

    def leave_open() -> None:
        with workrow_databases.copy() as url:
            opened.append(psycopg.connect(url))
            opened[0].execute("SELECT 1 AS leak")

    with pytest.raises(AssertionError, match="left a transaction open: SELECT 1 AS leak"):
        leave_open()
    opened[0].close()


def test_a_migration_that_fails_leaves_no_database(cluster_url: str) -> None:
    made: list[str] = []

    def migrate(url: str) -> None:
        made.append(database(url))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        testing.Databases(cluster_url, migrate)
    assert made
    assert made[0] not in names(cluster_url)
