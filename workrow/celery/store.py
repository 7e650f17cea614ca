"""The database behind an app of the door: what is sent goes in, results come out."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import psycopg
import psycopg_pool
from procrastinate.exceptions import AlreadyEnqueued

from workrow.celery.exceptions import OperationalError, TimeoutError
from workrow.database.connector import CONNECT_TIMEOUT, Connector
from workrow.database.given import sync_pool_of
from workrow.database.held import bound_transaction
from workrow.declare.unique import Unique
from workrow.enqueue import transaction
from workrow.enqueue.not_inserted import cap_params, refusal
from workrow.errors import DatabaseUnavailable, TransactionError

Run = Callable[..., list[tuple[Any, ...]]]

FIRST_PAUSE, LATER_PAUSE, LONGEST_PAUSE = 0.002, 0.05, 1.0
"""Seconds between two looks for a result: at first, soon, and at most."""
WAITED_SHARE = 0.02
"""Later a pause is so much of the time that was waited: of a minute that is 200 looks, and one second late."""

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

    def write(self, effects: dict[str, Any], follows: bool = False) -> None:
        """Write what an `Outbox` has collected. Results are seen at once, whatever becomes of the transaction.

        Args:
            effects: that.
            follows: from the end of a call: no queue is too full for it.

        Raises:
            QueueFull: a queue has no room for its calls; nothing was written.
        """
        results = {kind: effects.pop(kind) for kind in ("results",) if kind in effects and _using.get() is not None}
        if effects:
            statement, params = _statement(effects, follows)
            rows = self._send(statement, params)
            if full := params["queue"] if not rows else statement == "celery_write" and rows[0][0]:
                raise self._refusal(full, effects["calls"])
        if results:
            statement, params = _statement(results)
            self.run(statement, **params)

    def once(self, call: dict[str, Any], rule: Unique, key: str) -> tuple[str, bool]:
        """Write a call, unless there is one that counts as the same.

        Args:
            call: as it stands in ``calls`` of an `Outbox`.
            rule: what counts.
            key: which calls are the same.

        Returns:
            The id of the call that there is, and whether it was there before.

        Raises:
            AlreadyEnqueued: there is one, and the rule raises; nothing was written, and the transaction is usable.
            QueueFull, TransactionError: the queue has no room; others with the key come and go. The same.
        """
        job = {"queue_name": call["queue"], "task_name": call["task"], "priority": call["priority"]}
        params = {
            "job": json.dumps({**job, "scheduled_at": call.get("at")}), "delay": call.get("delay"),
            "rule": json.dumps(rule.as_json()), "args": json.dumps(call["args"]), "key": key, "line": call.get("line"),
        }  # fmt: skip
        ((verdict, task_id),) = self._send("celery_once", params)
        match verdict:
            case "conflict":
                raise AlreadyEnqueued(f"{call['task']}: call {task_id} is there already; nothing was sent")
            case "full":
                raise self._refusal(call["queue"], [call])
            case "busy":
                raise TransactionError(
                    f"{call['task']}: calls with its key come and go faster than one is found; nothing was sent; "
                    "try again"
                )
        return task_id, verdict == "found"

    def _send(self, statement: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement, in the transaction of `using`, or in one of its own."""
        on = _using.get()
        return self.run(statement, **params) if on is None else transaction.run(on, statement, params)

    def _refusal(self, queue: str, calls: list[dict[str, Any]]) -> Exception:
        """Why the calls of this queue among these were not written."""
        there = [call for call in calls if call["queue"] == queue]
        ready = [call for call in there if not call.keys() & {"at", "delay"}]
        told = {"task": there[0]["task"], "queue": queue, "at": None, "delay": None, "queueing_lock": None}
        cap = self._send("read_queue_cap", cap_params({**told, "args": ready}))
        return refusal({**told, "args": there}, cap)

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
        """A transaction, as a function that runs a statement in it and gives its rows; what is sent inside is in it.

        Args:
            patience: milliseconds for which a statement waits at most for what somebody's open transaction holds.

        Raises:
            psycopg.Error: one of `workrow.database.held.ERRORS` if that holds it for longer.
        """
        pool = sync_pool_of(self.connector)
        with pool.connection(timeout=CONNECT_TIMEOUT) as connection, connection.transaction():
            connection.execute(bound_transaction(patience), prepare=False)
            with using(connection):
                yield lambda statement, **params: transaction.run(connection, statement, params)

    def wait(self, task_ids: list[str], timeout: float | None, interval: float | None) -> None:
        """Until all these have ended.

        Args:
            timeout: seconds; None: without end.
            interval: seconds between two looks, at most; None: the more, the longer it was waited.

        Raises:
            TimeoutError: not in time.
        """
        began = time.monotonic()
        until = None if timeout is None else began + timeout
        pause = FIRST_PAUSE
        left = [*task_ids]
        while left := [row[0] for row in self.run("celery_pending", ids=left)]:
            now = time.monotonic()
            if until is not None and now >= until:
                raise TimeoutError("The operation timed out.")
            most = max(LATER_PAUSE, min(LONGEST_PAUSE, WAITED_SHARE * (now - began)))
            pause = min(pause * 1.5, most if interval is None else min(LATER_PAUSE, interval))
            time.sleep(pause if until is None else max(0.0, min(pause, until - now)))

    @cached_property
    def address(self) -> tuple[str, int, str]:
        """Host, port and name of the database, as its connections have them."""
        with sync_pool_of(self.connector).connection() as connection:
            return address_of(connection)

    def close(self) -> None:
        """The next use opens connections again."""
        self.connector.get_sync_connector().close()


def _statement(effects: dict[str, Any], follows: bool = False) -> tuple[str, dict[str, Any]]:
    """The statement that writes them, and its parameters. A single call, which most are, has a quicker one."""
    if len(effects) == 1 and "calls" in effects and len(effects["calls"]) == 1 and not follows:
        (call,) = effects["calls"]
        if "line" not in call:
            told = {"at": None, "delay": None, **call, "args": json.dumps(call["args"]), "id": call["args"]["id"]}
            return "celery_call", told
    return "celery_write", {"effects": json.dumps(effects), "capped": not follows}
