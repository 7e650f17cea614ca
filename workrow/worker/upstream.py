"""The names that we take from procrastinate's worker. Every use of its private ones by the worker goes through here."""

from typing import Any

import psycopg
from procrastinate import PsycopgConnector
from procrastinate.worker import Worker
from psycopg.conninfo import conninfo_to_dict

__all__ = ["UpstreamWorker", "connect"]


class UpstreamWorker(Worker):
    """procrastinate's worker: its options, their checks, ``stop()`` and what middleware is given; not its loops."""

    async def _periodic_deferrer(self) -> None:
        """The loop that serves ``@app.periodic``; returns at once when there is none."""
        await super()._periodic_deferrer()  # type: ignore[no-untyped-call]

    def _resolve_task_middlewares(self, task: Any, task_is_async: bool) -> list[Any]:
        """The middleware around one task, outermost first."""
        return super()._resolve_task_middlewares(task, task_is_async)


PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A server that vanished is noticed after 20 s (s, s, probes, ms), and not after the kernel's two hours. What the URL
says about any of these wins. https://www.postgresql.org/docs/current/libpq-connect.html"""


async def connect(connector: PsycopgConnector, url: str | None = None) -> psycopg.AsyncConnection:
    """A connection beside the connector's pool, made as the pool makes its own, in autocommit mode; or one to
    ``url``."""
    pool = connector.pool
    conninfo = url or await pool._resolve_conninfo()
    given = {**conninfo_to_dict(conninfo), **await pool._resolve_kwargs()}
    kwargs = {**PATIENCE, **given, "autocommit": True}
    connection: psycopg.AsyncConnection = await pool.connection_class.connect("", **kwargs)
    if configure := connector._pool_args.get("configure"):
        try:
            await configure(connection)
        except BaseException:
            await connection.close()
            raise
    return connection
