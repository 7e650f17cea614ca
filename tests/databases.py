"""The suite on databases as other people have them: ``python -m tests.databases [VARIANT …] [15] [18] [-- OF PYTEST]``.

Each variant has a server of its own, for as long as its tests run: the embedded PostgreSQL, and Debian's 15 where it is
installed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import psycopg

from tests import memory
from tests.chaos.cluster import Node, url_of
from workrow.embedded import pg_bin
from workrow.embedded.account import Account

ROOT = Path(__file__).parent.parent
SERVERS = {"18": pg_bin(), "15": Path("/usr/lib/postgresql/15/bin")}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": 200,
}
OWNER = (
    "CREATE ROLE app LOGIN CREATEDB",
    # the test kit looks away from triggers when it empties a database
    "GRANT SET ON PARAMETER session_replication_role TO app",
)
OWN_SCHEMA = ("CREATE SCHEMA AUTHORIZATION app",)


@dataclass(frozen=True)
class Variant:
    """One kind of database.

    Attributes:
        user: who runs the tests.
        encoding: of every database.
        server: statements on the database postgres, before the tests.
        template: statements on template0, which every database of a test is a copy of.
        environment: of pytest.
    """

    user: str = "postgres"
    encoding: str = "UTF8"
    server: tuple[str, ...] = ()
    template: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


VARIANTS = {
    "owner": Variant("app", server=OWNER),
    "worker": Variant(
        "app",
        # the tests look at what the worker's connections do, and end them
        server=(*OWNER, "CREATE ROLE worker LOGIN", "GRANT worker TO app"),
        environment={"TEST_WORKER_ROLE": "worker"},
    ),
    "latin1": Variant(encoding="LATIN1"),
    "habits": Variant(
        "app",
        server=(
            *OWNER,
            "ALTER ROLE app SET default_transaction_isolation = 'repeatable read'",
            "ALTER ROLE app SET DateStyle = 'German'",
            "ALTER ROLE app SET IntervalStyle = 'sql_standard'",
            "ALTER ROLE app SET TimeZone = 'Asia/Kathmandu'",
        ),
        # "$user" comes first in the search_path, so that the tables are in this schema
        template=OWN_SCHEMA,
    ),
}


@contextmanager
def server_of(variant: Variant, programs: Path) -> Iterator[str]:
    """A URL of a server of this kind."""
    with tempfile.TemporaryDirectory(prefix="workrow-", dir=memory.room(), ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        account = Account.of(directory)
        if account.owner:
            os.chown(directory, *account.owner)
        node = Node(directory, "data", directory, programs=programs)
        node.initialise(SETTINGS, variant.encoding)
        node.start()
        try:
            _run(url_of(node.port, "postgres"), ["ALTER DATABASE template0 ALLOW_CONNECTIONS true", *variant.server])
            _run(url_of(node.port, "template0"), variant.template)
            _run(url_of(node.port, "postgres"), ["ALTER DATABASE template0 ALLOW_CONNECTIONS false"])
            yield url_of(node.port, "postgres").replace("postgres@", f"{variant.user}@")
        finally:
            node.stop()


def main(arguments: list[str]) -> int:
    """Run the tests on each variant; the exit code is 0 if all have passed."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    failed = []
    named = arguments[:end]
    for name in [word for word in named if word not in SERVERS] or VARIANTS:
        for version in [word for word in named if word in SERVERS] or SERVERS:
            programs = SERVERS[version]
            if not (programs / "postgres").exists():
                click.echo(f"{name}: not on PostgreSQL {version}: there is none in {programs}")
                continue
            click.echo(f"{name}, PostgreSQL {version}")
            with server_of(VARIANTS[name], programs) as url:
                env = {**os.environ, **VARIANTS[name].environment, "WORKROW_TEST_DATABASE_URL": url}
                ended = subprocess.run(
                    [sys.executable, "-m", "pytest", *arguments[end + 1 :]], cwd=ROOT, env=env, check=False
                )
            if ended.returncode:
                failed.append(f"{name} on {version}")
    click.echo(f"failed: {', '.join(failed)}" if failed else "all passed")
    return len(failed) > 0


def _run(url: str, statements: list[str] | tuple[str, ...]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
