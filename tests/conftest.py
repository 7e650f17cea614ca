"""A real PostgreSQL for every test: the embedded one, or any other that WORKROW_TEST_DATABASE_URL names.

Each xdist worker migrates one database of its own; every test that asks for it gets a copy.
"""

import os
import re
import signal
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import settings
from psycopg import sql

import workrow
import workrow.schema
from tests import memory
from workrow import embedded
from workrow.testing.databases import drop, strategy

settings.register_profile("suite", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("suite")

for _stop, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(_stop) is signal.SIG_IGN:
        # a shell starts what it puts in the background so, and every process of a test would inherit it
        signal.signal(_stop, _default)

ROOT = Path(__file__).parent.parent
READABLE = "-c DateStyle=ISO -c IntervalStyle=postgres -c jit=off"
"""For connections that tests look with: psycopg reads times in no other styles, and the JIT of Debian's PostgreSQL
takes seconds for our functions, which workers run without it."""
COMMITTED = rf"{READABLE} -c default_transaction_isolation=read\ committed"
"""For those that do a worker's work by hand, and for what is promised of producers under READ COMMITTED alone."""

HASTY = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "1GB", "checkpoint_timeout": "30min"}
"""For the suite's own server, whose data need not outlive the machine: a test's database is made and dropped three to
five times as fast."""
SERVER = "TEST_SERVER_DIRECTORY"


def pytest_configure(config: pytest.Config) -> None:
    """The test kit, where no installed package brings it as a plugin; and where the server is, for all processes."""
    if not config.pluginmanager.has_plugin("workrow"):
        config.pluginmanager.import_plugin("workrow.testing.plugin")
    if not hasattr(config, "workerinput"):
        os.environ[SERVER] = str(memory.directory(ROOT / ".workrow" / "tests"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Those that xdist has started are gone by now."""
    if not hasattr(config, "workerinput"):
        embedded.release(os.environ[SERVER])
        memory.forget(Path(os.environ[SERVER]))


@pytest.fixture(scope="session")
def workrow_server() -> str:
    """A URL of the PostgreSQL server: ``WORKROW_TEST_DATABASE_URL``, or an embedded one of the suite's own."""
    if url := os.environ.get("WORKROW_TEST_DATABASE_URL"):
        return url
    url = embedded.ensure(os.environ[SERVER], "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in HASTY.items():
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        connection.execute("SELECT pg_reload_conf()")
    return url


@pytest.fixture(scope="session")
def cluster_url(workrow_server: str) -> str:
    """A URL of the server, on a database that is only there to connect to."""
    return workrow_server


@contextmanager
def new_database(cluster_url: str, template: str = "template0", encoding: str | None = None) -> Iterator[str]:
    """A database that exists for as long as the block runs."""
    name = f"workrow_test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    if encoding is not None:
        create += sql.SQL(" ENCODING {} LOCALE 'C'").format(sql.Literal(encoding))
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(create + strategy(connection))
        try:
            yield re.sub(r"^(\w+://[^/?]*)[^?]*", rf"\1/{name}", cluster_url)
        finally:
            drop(connection, name)


@pytest.fixture(scope="session")
def workrow_migrate() -> Callable[[str], None]:
    """The newest revision of engine and application."""

    def migrate(url: str) -> None:
        config = Config(ROOT / "alembic.ini")
        config.cmd_opts = Namespace(x=[f"url={url}"])
        command.upgrade(config, "head")
        if role := os.environ.get("TEST_WORKER_ROLE"):
            for kind in ("producer", "worker", "operator", "viewer"):
                workrow.schema.grant(url, role, kind)
            with psycopg.connect(url) as connection:
                for what in ("TABLES", "SEQUENCES"):  # that tests make beside ours, of which none is in this schema
                    given = f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {what} TO {{}}"
                    connection.execute(sql.SQL(given).format(sql.Identifier(role)))  # type: ignore[arg-type]

    return migrate


@pytest.fixture(scope="session")
def migrated_database_url(cluster_url: str, workrow_migrate: Callable[[str], None]) -> Iterator[str]:
    """A migrated database as production has it, without the test kit's clock; not to be written to."""
    with new_database(cluster_url) as url:
        workrow_migrate(url)
        yield url


@pytest.fixture
def database_url(workrow_database: str) -> str:
    """The migrated database, empty: this test's own."""
    return workrow_database


@pytest.fixture
def empty_database_url(cluster_url: str) -> Iterator[str]:
    """A new database with nothing in it."""
    with new_database(cluster_url) as url:
        yield url


@pytest.fixture
def app(database_url: str) -> workrow.App:
    """An app without tasks on the migrated database, not opened.

    With TEST_WORKER_ROLE it connects as this role, which owns nothing and has been granted what ours have.
    """
    role = os.environ.get("TEST_WORKER_ROLE")
    return workrow.App(re.sub(r"//\w+@", f"//{role}@", database_url) if role else database_url)


@pytest.fixture
async def open_app(app: workrow.App) -> AsyncIterator[workrow.App]:
    """The same app, opened."""
    async with app.open_async():
        yield app


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    """A psycopg connection in autocommit mode, to look at what is committed."""
    with psycopg.connect(database_url, autocommit=True, options=READABLE) as connection:
        yield connection


@pytest.fixture
def all_of_unicode(conn: psycopg.Connection) -> None:
    """For tests that write what only some encodings hold."""
    if (encoding := conn.execute("SHOW server_encoding").fetchall()[0][0]) != "UTF8":
        pytest.skip(f"needs a database that holds all of Unicode, this one is {encoding}")


@pytest.fixture
def new_role(database_url: str) -> Iterator[str]:
    """A role without any rights, for as long as the test runs."""
    name = f"workrow_{uuid.uuid4().hex[:12]}"
    role = sql.Identifier(name)
    with psycopg.connect(database_url, autocommit=True) as connection:
        try:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        except psycopg.errors.InsufficientPrivilege:
            pytest.skip("needs a role that may create roles")
        yield name
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture
async def aconn(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An async psycopg connection."""
    async with await psycopg.AsyncConnection.connect(database_url, options=READABLE) as connection:
        yield connection
