"""What every connection of ours relies on, whatever the database, the role or the URL set for others."""

import os
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader

FOLLOWED = {"DateStyle": "ISO", "TimeZone": "UTC", "client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""PgBouncer follows these of each client through its transactions; so each connection has them, pooled or not."""
MODES = {"default_transaction_isolation": "read committed", "default_transaction_read_only": "off"}
"""Of the session where it is ours; behind a pooler, of each transaction that begins (`needs_modes`)."""
STATEMENTS = {
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "array_nulls": "on",
    "extra_float_digits": "1",
    "jit": "off",
}
"""What a statement relies on: that it may end (`Link` bounds it), that NULL in an array is none, that seconds come with
all their digits, and that nothing is compiled: with the JIT of Debian's PostgreSQL 15 a claim under limits took
4.9 s, and 20 ms without it. Behind a pooler it is set with each transaction, in the same round trip."""
SESSION = {
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "quote_all_identifiers": "off",
}
"""Of the session alone: what a role's sessions may wait and idle for would end ours, and ``schema status`` reads how
functions are written down. How long a statement of a worker waits for a lock says `workrow.database.held`."""


NAME_BYTES = 63
"""What the server keeps of an application_name."""


def application_name(conninfo: str, purpose: str) -> str:
    """Whose connection this is, and for what: ``workrow claiming worker-1``. What the URL or PGAPPNAME says comes
    before that, instead of ``workrow``."""
    owner = conninfo_to_dict(conninfo).get("application_name") or os.environ.get("PGAPPNAME") or "workrow"
    return f"{owner} {purpose}".strip().encode("ascii", "replace")[:NAME_BYTES].decode()


def _set(name: str, value: str, local: str) -> str:
    """NULL where the server knows no such setting: transaction_timeout is new in version 17."""
    return f"CASE WHEN current_setting('{name}', true) IS NOT NULL THEN set_config('{name}', '{value}', {local}) END"


def _of_session(name: str, value: str) -> str:
    direct = f"CASE WHEN pg_backend_pid() = %(pid)s THEN {_set(name, value, 'false')}"
    return f"{direct} ELSE current_setting('{name}', true) END"


PIN = f"""
SELECT
    pg_backend_pid() = %(pid)s,
    {", ".join(_of_session(name, value) for name, value in MODES.items())},
    {", ".join(f"set_config('{name}', '{value}', false)" for name, value in FOLLOWED.items())},
    {", ".join(_of_session(name, value) for name, value in {**STATEMENTS, **SESSION}.items())}
"""
"""Whether no pooler stands between, and the `MODES` that transactions begin in. Where one does, the next client would
inherit what is set of the session; before PgBouncer 1.20 an IntervalStyle too, and no statement of ours reads an
interval."""
LOCAL = ", ".join(_set(name, value, "true") for name, value in STATEMENTS.items())
"""Columns of a SELECT that sets `STATEMENTS` for one transaction."""


def pin_params(connection: psycopg.Connection | psycopg.AsyncConnection) -> dict[str, Any]:
    """What `PIN` asks for."""
    return {"pid": connection.info.backend_pid}


def pinned(connection: psycopg.Connection | psycopg.AsyncConnection, row: tuple[Any, ...] | None) -> bool:
    """Read the answer to `PIN`, and let the connection read any time; whether a pooler stands between.

    Behind one, neither settings of the session nor prepared statements nor LISTEN last.
    """
    connection.adapters.register_loader("timestamptz", Time)
    connection.adapters.register_loader("timestamptz", BinaryTime)
    pooled = row is not None and not row[0]
    if pooled:
        connection.prepare_threshold = None
    return pooled


def pin(connection: psycopg.Connection) -> None:
    """Pin the settings of a connection in autocommit mode."""
    row = connection.execute(PIN, pin_params(connection), prepare=False).fetchone()
    if needs_modes(row):
        connection.isolation_level, connection.read_only = psycopg.IsolationLevel.READ_COMMITTED, False
    pinned(connection, row)


def needs_modes(row: tuple[Any, ...] | None) -> bool:
    """Whether a transaction would begin in other `MODES` than ours, which only a pooler can bring about."""
    return row is not None and tuple(row[1:3]) != tuple(MODES.values())


class Time(TimestamptzLoader):
    """Reads a time; one that Python cannot hold (infinity, BC, the year 294276) as the first or last that it can.

    An answer that cannot be read would lose the whole claim, which the server has committed.
    """

    def load(self, data: Any) -> datetime:
        """See psycopg."""
        try:
            return super().load(data)
        except psycopg.DataError:
            text = bytes(data)
            return _nearest(past=text.startswith(b"-") or text.endswith(b"BC"))


class BinaryTime(TimestamptzBinaryLoader):
    """The same of the binary form: microseconds since 2000."""

    def load(self, data: Any) -> datetime:
        """See psycopg."""
        try:
            return super().load(data)
        except psycopg.DataError:
            return _nearest(past=bool(bytes(data)[0] & 0x80))


def _nearest(*, past: bool) -> datetime:
    return (datetime.min if past else datetime.max).replace(tzinfo=UTC)
