"""A database for each test, copied from one that was migrated once."""

import contextlib
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
from psycopg import sql

from workrow.database.urls import libpq_url
from workrow.errors import WorkrowError
from workrow.testing.sql import load

CLOCK = (
    "clock_1_schema",
    "clock_2_frozen",
    "clock_3_moved",
    "clock_4_now",
    "clock_5_transaction_timestamp",
    "clock_6_statement_timestamp",
    "clock_7_clock_timestamp",
    "clock_8_usage",
    "clock_9_read",
)


class TestingError(WorkrowError):
    """The test kit cannot do what it was asked to do."""

    __test__ = False  # pytest takes classes named Test… for tests


class Databases:
    """Copies of one migrated database, on one server.

    While a test runs, the copy for the next one is made.

    Args:
        server: a URL of the server; its user may create databases.
        migrate: brings the empty database at a URL to where the tests expect it.

    Raises:
        psycopg.Error: the user may not create databases, or the migration fails.
    """

    def __init__(self, server: str, migrate: Callable[[str], None]) -> None:
        self._server = libpq_url(server)
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="workrow-testing")
        self._connection = psycopg.connect(self._server, autocommit=True)
        self._strategy = strategy(self._connection)
        self._template = _new_name()
        self._spare: Future[str] | None = None
        self._create(self._template, "template0")
        try:
            self.template = self._url(self._template)
            install_clock(self.template)
            migrate(self.template)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def copy(self) -> Iterator[str]:
        """A URL of a database that exists for as long as the block runs.

        Raises:
            AssertionError: at the end, when a transaction was left open.
        """
        name = (self._spare or self._maker.submit(self._copy)).result()
        self._spare = self._maker.submit(self._copy)
        try:
            yield self._url(name)
            self._refuse_leaks(name)
        finally:
            self._maker.submit(self._drop, name)

    def close(self) -> None:
        """Drop all of them."""
        if self._spare is not None:
            self._maker.submit(self._drop, self._spare.result())
        self._maker.submit(self._drop, self._template)
        self._maker.shutdown()
        self._connection.close()

    def _copy(self) -> str:
        name = _new_name()
        self._create(name, self._template)
        return name

    def _create(self, name: str, template: str) -> None:
        names = [sql.Identifier(name), sql.Identifier(template)]
        self._connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names) + self._strategy)
        # a database's settings are not copied with it
        self._connection.execute(sql.SQL(load("use_clock")).format(database=names[0]))

    def _drop(self, name: str) -> None:
        drop(self._connection, name)

    def _refuse_leaks(self, name: str) -> None:
        idle = self._connection.execute(load("find_idle_transactions"), {"database": name}).fetchall()
        assert not idle, f"the test left a transaction open: {'; '.join(query for (query,) in idle)}"

    def _url(self, name: str) -> str:
        return re.sub(r"^(\w+://[^/?]*)[^?]*", rf"\1/{name}", self._server)


def install_clock(url: str) -> None:
    """Give the empty database at a URL a clock that tests can set. To be called before its schema is installed.

    PostgreSQL then resolves ``now()`` and its kin to functions of the schema ``workrow_testing``, in every session that
    begins later.
    """
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        with connection.transaction():
            for statement in CLOCK:
                connection.execute(load(statement))
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL(load("use_clock")).format(database=database))


def strategy(connection: psycopg.Connection) -> sql.SQL:
    """How ``CREATE DATABASE`` copies a template fastest: file by file, if the checkpoints of that wait for no disk.

    It takes 40 to 55 ms then, and 75 to 105 through the WAL. PostgreSQL 14 knows only this way, and no word for it.
    """
    (fsync,) = connection.execute("SHOW fsync").fetchone() or ("on",)
    return sql.SQL(" STRATEGY FILE_COPY" if fsync == "off" and connection.info.server_version >= 150000 else "")


def drop(connection: psycopg.Connection, name: str) -> None:
    """Drop the database, whoever is still on it."""
    statement = sql.SQL("DROP DATABASE {}").format(sql.Identifier(name))
    try:
        connection.execute(statement + sql.SQL(" WITH (FORCE)"))
    except psycopg.errors.InsufficientPrivilege:
        # an autovacuum worker, which is no role's: FORCE refuses it, and DROP DATABASE alone ends it
        connection.execute(load("end_sessions"), {"database": name})
        connection.execute(statement)


def _new_name() -> str:
    return f"workrow_test_{uuid.uuid4().hex[:12]}"
