"""What every connection of ours relies on, whatever the database, the role or the URL set for others."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader

PIN = """
SELECT
    pg_backend_pid() = %(pid)s,
    set_config('DateStyle', 'ISO', false),
    set_config('TimeZone', 'UTC', false),
    CASE
        WHEN pg_backend_pid() = %(pid)s THEN set_config('default_transaction_isolation', 'read committed', false)
        ELSE current_setting('default_transaction_isolation')
    END
"""
"""Whether no pooler stands between, and the isolation that statements run in. PgBouncer follows the DateStyle and the
zone of each client through its transactions. Of an isolation it knows nothing, nor before 1.20 of an IntervalStyle: the
next client would inherit ours, so no statement of ours reads an interval."""


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
    pinned(connection, connection.execute(PIN, pin_params(connection), prepare=False).fetchone())


def needs_isolation(row: tuple[Any, ...] | None) -> bool:
    """Whether statements would run in another isolation than READ COMMITTED, which only a pooler can bring about."""
    return row is not None and row[3] != "read committed"


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
