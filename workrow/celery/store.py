"""The database behind an app of the door: what is sent goes in, results come out."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import psycopg
import psycopg_pool

from workrow.celery.exceptions import OperationalError, TimeoutError
from workrow.database.connector import CONNECT_TIMEOUT, Connector
from workrow.database.given import sync_pool_of
from workrow.database.held import bound_transaction
from workrow.enqueue import transaction
from workrow.errors import DatabaseUnavailable

Run = Callable[..., list[tuple[Any, ...]]]

LONGEST_PAUSE = 0.05
"""Seconds between two looks for a result, once it has been waited for as long."""

_using: ContextVar[Any] = ContextVar("using", default=None)


@contextmanager
def using(on: Any) -> Iterator[None]:
    """Inside, calls are sent in this transaction: they are there when it commits, and not if it is rolled back.

    Args:
        on: a sync SQLAlchemy session or connection, or a psycopg connection.

    Raises:
        TransactionError: it is none of these, or is async.
    """
    transaction.check_sync(on)
    token = _using.set(on)
    try:
        yield
    finally:
        _using.reset(token)


def address_of(connection: Any) -> tuple[str, int, str]:
    """Host, port and name of the database of a connection of psycopg's."""
    info = connection.info
    return info.host, info.port, info.dbname


class Store:
    """Runs statements, each in a transaction of its own unless `using` says otherwise.

    Args:
        url: of the database; asked when it is first needed.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self.connector = Connector(url, lazy=True)

    @property
    def url(self) -> str:
        return self.connector.url

    def write(self, effects: dict[str, Any]) -> None:
        """Write what an `Outbox` has collected. Results are seen at once, whatever becomes of the transaction."""
        on = _using.get()
        if on is not None:
            results = {kind: effects.pop(kind) for kind in ("results",) if kind in effects}
            if effects:
                transaction.run(on, *_statement(effects))
            effects = results
        if effects:
            statement, params = _statement(effects)
            self.run(statement, **params)

    def run(self, statement: str, **params: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement, in a transaction of its own.

        Raises:
            OperationalError: the database cannot be reached.
        """
        try:
            with sync_pool_of(self.connector).connection() as connection:
                return transaction.run(connection, statement, params)
        except (DatabaseUnavailable, psycopg_pool.PoolTimeout, psycopg.OperationalError) as error:
            raise OperationalError(f"the database cannot be reached: {error}") from error

    @contextmanager
    def bounded(self, patience: int) -> Iterator[Run]:
        """A transaction, as a function that runs a statement in it and gives its rows.

        Args:
            patience: milliseconds for which a statement waits at most for what somebody's open transaction holds.

        Raises:
            psycopg.Error: one of `workrow.database.held.ERRORS` if that holds it for longer.
        """
        pool = sync_pool_of(self.connector)
        with pool.connection(timeout=CONNECT_TIMEOUT) as connection, connection.transaction():
            connection.execute(bound_transaction(patience), prepare=False)
            yield lambda statement, **params: transaction.run(connection, statement, params)

    def wait(self, task_ids: list[str], timeout: float | None, interval: float) -> None:
        """Until all these have ended.

        Args:
            timeout: seconds; None: without end.
            interval: seconds between two looks, at most.

        Raises:
            TimeoutError: not in time.
        """
        until = None if timeout is None else time.monotonic() + timeout
        pause = 0.002
        left = [*task_ids]
        while left := [row[0] for row in self.run("celery_pending", ids=left)]:
            now = time.monotonic()
            if until is not None and now >= until:
                raise TimeoutError("The operation timed out.")
            time.sleep(min(pause, interval, max(0.0, until - now) if until else pause))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    @cached_property
    def address(self) -> tuple[str, int, str]:
        """Host, port and name of the database, as its connections have them."""
        with sync_pool_of(self.connector).connection() as connection:
            return address_of(connection)

    def close(self) -> None:
        """The next use opens connections again."""
        self.connector.get_sync_connector().close()


def _statement(effects: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The statement that writes them, and its parameters. A single call, which most are, has a quicker one."""
    if len(effects) == 1 and "calls" in effects and len(effects["calls"]) == 1:
        (call,) = effects["calls"]
        if "line" not in call:
            told = {"at": None, "delay": None, **call, "args": json.dumps(call["args"]), "id": call["args"]["id"]}
            return "celery_call", told
    return "celery_write", {"effects": json.dumps(effects)}
