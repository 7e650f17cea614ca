"""A real PostgreSQL for every test: the embedded one, or any other that WORKROW_TEST_DATABASE_URL names.

Each xdist worker migrates one database of its own; its tables are emptied after every test that used it.
"""

import os
import re
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql

import workrow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def cluster_url() -> str:
    """A URL of the server, on a database that is only there to connect to."""
    if url := os.environ.get("WORKROW_TEST_DATABASE_URL"):
        return url
    from workrow import embedded

    return embedded.ensure(ROOT / ".workrow", "postgres")


@contextmanager
def new_database(cluster_url: str, template: str = "template0") -> Iterator[str]:
    """A database that exists for as long as the block runs."""
    name = f"workrow_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        try:
            yield re.sub(r"^(\w+://[^/?]*)[^?]*", rf"\1/{name}", cluster_url)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def migrated_database_url(cluster_url: str) -> Iterator[str]:
    """This xdist worker's database, at the newest revision of engine and application."""
    with new_database(cluster_url) as url:
        config = Config(ROOT / "alembic.ini")
        config.cmd_opts = Namespace(x=[f"url={url}"])
        command.upgrade(config, "head")
        yield url


@pytest.fixture
def database_url(migrated_database_url: str) -> Iterator[str]:
    """The migrated database, empty."""
    yield migrated_database_url
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        empty(connection)


def empty(connection: psycopg.Connection) -> None:
    """Delete all rows of all tables but the bookkeeping of migrations, and say so if a connection was left open."""
    idle = connection.execute(
        """SELECT query FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"""
    ).fetchall()
    assert not idle, f"a test left a transaction open: {idle}"
    tables = connection.execute(
        """SELECT schemaname, tablename FROM pg_tables
           WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
             AND tablename NOT IN ('alembic_version', 'schema_version')"""
    ).fetchall()
    with connection.transaction():
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        connection.execute("SET LOCAL session_replication_role = replica")
        for schema, table in tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(schema, table)))


@pytest.fixture
def empty_database_url(cluster_url: str) -> Iterator[str]:
    """A new database with nothing in it."""
    with new_database(cluster_url) as url:
        yield url


@pytest.fixture
def app(database_url: str) -> workrow.App:
    """An app without tasks on the migrated database, not opened."""
    return workrow.App(database_url)


@pytest.fixture
async def open_app(app: workrow.App) -> AsyncIterator[workrow.App]:
    """The same app, opened."""
    async with app.open_async():
        yield app


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    """A psycopg connection in autocommit mode, to look at what is committed."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def aconn(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An async psycopg connection."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        yield connection
