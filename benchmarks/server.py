"""The PostgreSQL server of a run, and a database for each peer and case."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from benchmarks.processes import ROOT

HOME = ROOT / ".workrow" / "bench"


class Server:
    """A server that everybody in the run shares.

    Args:
        url: of a server; None starts the embedded one of ``.workrow/bench``, with fsync.
    """

    def __init__(self, url: str | None = None) -> None:
        if url is None:
            from workrow import embedded

            url = embedded.ensure(HOME, "postgres")
        self._url = url

    def describe(self) -> str:
        """What it is, for the report."""
        with self.connect() as connection:
            version = connection.execute("SHOW server_version").fetchone()
            fsync = connection.execute(
                "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
            ).fetchone()
        return (
            f"PostgreSQL {version and version[0]}, fsync {fsync and fsync[0]}, synchronous_commit {fsync and fsync[1]}"
        )

    def url(self, database: str) -> str:
        """The URL of a database of it."""
        return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", lambda found: f"{found[1]}/{database}", self._url)

    def connect(self, database: str | None = None) -> psycopg.Connection:
        """A connection in autocommit mode."""
        return psycopg.connect(self.url(database) if database else self._url, autocommit=True)

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """An empty database for as long as the block runs, and its name."""
        self._drop(name)
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            # what the case before left to write is not this one's business
            connection.execute("CHECKPOINT")
        try:
            yield name
        finally:
            self._drop(name)

    def _drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
