"""The names that we take from procrastinate's worker. Every use of its private ones by the worker goes through here."""

import math
from collections.abc import Mapping
from typing import Any

import psycopg
from procrastinate import PsycopgConnector
from procrastinate.worker import Worker
from psycopg.conninfo import conninfo_to_dict

from workrow.errors import OptionError

__all__ = ["UpstreamWorker", "check_slots", "check_worker", "connect"]


class UpstreamWorker(Worker):
    """procrastinate's worker: its options, their checks, ``stop()`` and what middleware is given; not its loops."""

    def __init__(self, app: Any, **options: Any) -> None:
        check_worker(options)
        super().__init__(app, **options)

    async def _periodic_deferrer(self) -> None:
        """The loop that serves ``@app.periodic``; returns at once when there is none."""
        await super()._periodic_deferrer()  # type: ignore[no-untyped-call]

    def _resolve_task_middlewares(self, task: Any, task_is_async: bool) -> list[Any]:
        """The middleware around one task, outermost first."""
        return super()._resolve_task_middlewares(task, task_is_async)


def check_slots(name: str, slots: object) -> None:
    """Raise OptionError unless so many jobs can run at the same time."""
    if not isinstance(slots, int) or slots < 1:
        raise OptionError(f"{name}={slots!r}: must be a whole number of slots, at least 1")


def check_worker(options: Mapping[str, Any]) -> None:
    """Raise OptionError for values with which the worker would hang, or do nothing."""
    check_slots("concurrency", options.get("concurrency", 1))
    queues = options.get("queues")
    if isinstance(queues, str):
        raise OptionError(f"queues={queues!r}: must be a list of names, such as {[queues]!r}")
    for name in SECONDS:
        value = options.get(name)
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            hint = ", or None for as long as it takes" if name == "shutdown_graceful_timeout" else ""
            raise OptionError(f"{name}={value!r}: must be a number of seconds, 0 or more{hint}")


SECONDS = (
    *("fetch_job_polling_interval", "abort_job_polling_interval", "shutdown_graceful_timeout"),
    *("update_heartbeat_interval", "stalled_worker_timeout"),
)

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
