"""The database of the demo: one of its own, new for each run."""

from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from examples.demo.errors import DemoError

DATABASE = "workrow_demo"
_QUERIES = Path(__file__).parent / "sql"


def query(name: str) -> sql.SQL:
    """The statement of `sql/<name>.sql`."""
    return sql.SQL((_QUERIES / f"{name}.sql").read_text())


def create_database(server_url: str, name: str) -> str:
    """Drop the database `name` if it is there, make it anew, and return its URL.

    Args:
        server_url: libpq URL of another database on the same server, for a role that may create databases.
        name: starts with `workrow_demo`, so that no database of anybody else is dropped.

    Raises:
        DemoError: the name is not one of the demo's, or the server refuses.
    """
    if not name.startswith(DATABASE):
        raise DemoError(f"the demo drops its database: {name!r} does not start with {DATABASE!r}; choose such a name")
    try:
        with psycopg.connect(server_url, autocommit=True) as connection:
            if connection.info.dbname == name:
                raise DemoError(
                    f"DATABASE_URL names {name!r}, which the demo makes anew; name another, such as postgres"
                )
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise DemoError(
            f"cannot create the demo's database {name!r}: {reason}; unset DATABASE_URL to use the embedded server"
        ) from error
    # every parameter of libpq fits into the query, so no form of URL loses one
    return "postgresql://?" + urlencode(conninfo_to_dict(server_url) | {"dbname": name}, quote_via=quote)
