"""The names that we take from procrastinate's worker. Every use of its private ones by the worker goes through here."""

from typing import Any

import psycopg
from procrastinate import PsycopgConnector
from procrastinate.worker import Worker

__all__ = ["UpstreamWorker", "connect"]


class UpstreamWorker(Worker):
    """procrastinate's worker: its options, their checks, ``stop()`` and what middleware is given; not its loops."""

    async def _periodic_deferrer(self) -> None:
        """The loop that serves ``@app.periodic``; returns at once when there is none."""
        await super()._periodic_deferrer()  # type: ignore[no-untyped-call]

    def _resolve_task_middlewares(self, task: Any, task_is_async: bool) -> list[Any]:
        """The middleware around one task, outermost first."""
        return super()._resolve_task_middlewares(task, task_is_async)


async def connect(connector: PsycopgConnector) -> psycopg.AsyncConnection:
    """A connection beside the connector's pool, made as the pool makes its own, in autocommit mode."""
    pool = connector.pool
    kwargs = {**await pool._resolve_kwargs(), "autocommit": True}
    connection: psycopg.AsyncConnection = await pool.connection_class.connect(await pool._resolve_conninfo(), **kwargs)
    if configure := connector._pool_args.get("configure"):
        await configure(connection)
    return connection
