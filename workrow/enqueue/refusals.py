"""Our words for errors of the caller's transaction that the caller can mend."""

import re
import sys
from collections.abc import Mapping

import psycopg
from psycopg import errors as pg

from workrow.database.outage import told
from workrow.errors import ArgumentError, InsufficientPrivilege, SchemaMissing, TransactionError, WorkrowError

MISSING = (pg.UndefinedTable, pg.UndefinedObject, pg.UndefinedFunction, pg.InvalidSchemaName)
DENIED = re.compile(r"permission denied for (\w+) (\S+)")
ROW_SECURITY = re.compile(r'row-level security policy.* for table "(\w+)"')
PRIVILEGES = {"schema": "USAGE", "sequence": "USAGE", "function": "EXECUTE"}
WRITTEN = {
    "procrastinate_jobs": "SELECT, INSERT",
    "line_arrivals": "SELECT, INSERT",
    "hidden_arguments": "SELECT, INSERT",
    "throttles": "SELECT, INSERT, UPDATE",
}
"""What who enqueues needs of tables that it does not only read."""


def translated(error: Exception, on: object) -> WorkrowError | None:
    """Our word for what the caller can mend; None for what only the driver's own error describes."""
    what = type(on).__name__
    if isinstance(error, UnicodeEncodeError):
        character = error.object[error.start]
        return TransactionError(
            f"cannot enqueue {character!r}: the {what}'s client_encoding is not UTF8 ({error.encoding}); connect with "
            "client_encoding=utf8, which a setting of the role or the database does not change then"
        )
    if "sqlalchemy" in sys.modules and _is_over(error):
        return TransactionError(f"cannot enqueue: the {what}'s transaction has failed or is closed; roll it back first")
    original = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state == pg.InFailedSqlTransaction.sqlstate:
        return TransactionError(f"cannot enqueue: the {what}'s transaction has failed already; roll it back first")
    if state == pg.UntranslatableCharacter.sqlstate:
        return ArgumentError(f"cannot enqueue what the database's encoding cannot hold: {told(original)}")
    if state == pg.ReadOnlySqlTransaction.sqlstate:
        return TransactionError(f"cannot enqueue: the {what}'s transaction is read-only; use one that may write")
    if state in [each.sqlstate for each in MISSING] and re.search("procrastinate|workrow", str(original)):
        return SchemaMissing(
            "the database has no table procrastinate_jobs where search_path looks; run `alembic upgrade head` "
            "(or workrow.schema.upgrade) on it first, or set the search_path to the schema that it is in"
        )
    if state == pg.InsufficientPrivilege.sqlstate:
        return InsufficientPrivilege(f"cannot enqueue: {denied(original, f'the role of this {what}', WRITTEN)}")
    if state is None and isinstance(original, psycopg.OperationalError) and "the connection is closed" in str(original):
        return TransactionError(f"cannot enqueue: the {what} is closed; open a new one")
    return None


def denied(error: BaseException, role: str, written: Mapping[str, str]) -> str:
    """What the server refuses to a role, and the grant that is missing.

    Args:
        error: of the driver.
        role: how it may be named.
        written: the privileges that are needed on tables which are not only read.
    """
    words = first_line(error)
    if found := DENIED.search(words):
        kind, name = found.groups()
        full = name if kind == "schema" or name.startswith("procrastinate") else f"workrow.{name}"
        what = f"{kind.upper()} {full}" if kind in PRIVILEGES else full
        mend = f"GRANT {PRIVILEGES.get(kind) or written.get(name, 'SELECT')} ON {what} TO {role}"
    elif found := ROW_SECURITY.search(words):
        mend = f"CREATE POLICY … ON {found[1]} TO {role} USING (true) WITH CHECK (true)"
    else:  # of a server that speaks another language
        mend = f"grant that to {role}"
    return f"{words}: {mend}; or RESET ROLE before, if it was set"


def first_line(error: BaseException) -> str:
    """What the server said, without the statement and the class that SQLAlchemy writes before asyncpg's words."""
    return re.sub(r"^<class '[^']*'>: ", "", str(error).partition("\n")[0])


def _is_over(error: Exception) -> bool:
    from sqlalchemy.exc import PendingRollbackError, ResourceClosedError

    return isinstance(error, PendingRollbackError | ResourceClosedError)
