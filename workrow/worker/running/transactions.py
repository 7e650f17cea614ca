"""Transactional tasks: the task's writes, the jobs it enqueues, its result and the job's end commit together or not at
all."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import JobAborted
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session

from workrow.arguments.secrets import concealed
from workrow.configuration import AsyncSessions, SyncSessions
from workrow.database.given import pool_of, sync_pool_of, tells_url
from workrow.database.held import Held
from workrow.database.outage import told
from workrow.declare.execution import TransactionKind
from workrow.declare.loud import Loud
from workrow.enqueue import transaction
from workrow.errors import ConfigurationError, LeaseLost, TransactionError
from workrow.logs import get_logger
from workrow.worker.outcome import Claimed, Outcome, unwritten
from workrow.worker.running.outcomes import Ends, without_results
from workrow.worker.running.transaction_watch import CAUSE_MAX, Watch, conflicts, original, state

logger = get_logger(__name__)

FINISH, SUSPEND, REPLACE = "finish_transactional_job", "suspend_transactional_job", "replace_job"
CONFLICT_TRIES = 3
CONFLICT_PAUSE = 0.1
"""A serialization failure or a deadlock is nobody's fault: the attempt is repeated so often, after up to so many
seconds times the try."""
HELD_SECONDS = 10.0
"""So long a task that is done waits for who holds its job's row (an uncommitted cancel). Others wait meanwhile for what
it has locked itself, perhaps that very one, which no deadlock detector sees."""
HELD_PAUSE = 0.1
REFUSED = ("22", "54")
"""SQLSTATE classes of a value that the database cannot hold: data exceptions, program limits."""
GONE = ("08", "57P", "53", "25P03", "25P04")
"""SQLSTATE prefixes of a connection that is lost: connection exception, operator intervention, insufficient
resources, idle in the transaction for too long, a transaction that takes too long."""
NOBODYS = ("53", "57P02", "57P03")
"""Of these, what no task does to itself: insufficient resources, a server that crashed or starts."""


class Transactions:
    """Opens the transactions of transactional tasks, and ends them with the fenced finish of the job.

    Args:
        connector: the app's, for tasks that take a psycopg connection.
        sessions: makes an SQLAlchemy ``AsyncSession``.
        sync_sessions: makes an SQLAlchemy ``Session``.
        worker: the worker's name, for the history.
        deletes: whether a job that ended with this status is deleted instead of kept.
    """

    def __init__(
        self,
        connector: BaseConnector,
        sessions: AsyncSessions | None,
        sync_sessions: SyncSessions | None,
        worker: str | None,
        deletes: Callable[[str], bool],
    ) -> None:
        self._connector = connector
        self._sessions = sessions
        self._sync_sessions = sync_sessions
        self._worker = worker
        self._deletes = deletes

    async def run_async(
        self,
        claimed: Any,
        kind: TransactionKind,
        call: Callable[[Any], Awaitable[Any]],
        finish: Callable[[Any], Ends],
    ) -> Ends:
        """Await ``call(session)`` in a transaction that ends with the job.

        Args:
            claimed: the job, or the jobs of a batch: what is said of them together is said of each.
            kind: what ``call`` takes.
            call: the task with its other arguments.
            finish: from what it returns to the outcome.

        Raises:
            LeaseLost: the job is no longer ours; everything was rolled back.
            Exception: what the task raised; everything was rolled back.
        """
        for repetition in range(1, CONFLICT_TRIES + 2):
            watch, outcome = Watch(), None
            try:
                async with self.open_async(kind, watch) as on:
                    outcome = finish(await call(on))
                    watch.check()
                    for each in outcome.each:
                        await self._end_async(on, each, watch)
                for each in outcome.each:
                    each.written = True
                return outcome
            except Exception as error:
                if why := self._refusal(outcome, error):
                    finish = partial(without_results, finish, why)
                    continue
                pause = self._pause(claimed, error, repetition)
                if pause is None:
                    return self._interrupted(claimed, error, began=watch.connected)
                await asyncio.sleep(pause)
        raise AssertionError("the last repetition raises")

    def run_sync(
        self, claimed: Any, kind: TransactionKind, call: Callable[[Any], Any], finish: Callable[[Any], Ends]
    ) -> Ends:
        """The same, in this thread."""
        for repetition in range(1, CONFLICT_TRIES + 2):
            watch, outcome = Watch(), None
            try:
                with self.open_sync(kind, watch) as on:
                    outcome = finish(call(on))
                    watch.check()
                    for each in outcome.each:
                        self._end_sync(on, each, watch)
                for each in outcome.each:
                    each.written = True
                return outcome
            except Exception as error:
                if why := self._refusal(outcome, error):
                    finish = partial(without_results, finish, why)
                    continue
                pause = self._pause(claimed, error, repetition)
                if pause is None:
                    return self._interrupted(claimed, error, began=watch.connected)
                time.sleep(pause)
        raise AssertionError("the last repetition raises")

    def check(self, task: str, kind: TransactionKind) -> None:
        """Raise ConfigurationError if there is nothing to open such a transaction with."""
        needed: tuple[object, str] = {
            "AsyncSession": (self._sessions, "App(…, sessions=async_sessionmaker(engine))"),
            "Session": (self._sync_sessions, "App(…, sync_sessions=sessionmaker(engine))"),
            "AsyncConnection": (tells_url(self._connector) or None, "App('postgresql://…')"),
            "Connection": (tells_url(self._connector) or None, "App('postgresql://…')"),
        }[kind]
        if needed[0] is None:
            raise ConfigurationError(f"task {task} is transactional and takes a {kind}: make the app with {needed[1]}")

    def _params(self, outcome: Outcome) -> dict[str, Any]:
        claimed = outcome.claimed
        return {
            **(outcome.flow or {}),
            "id": claimed.id,
            "worker_id": claimed.owner,
            "token": claimed.token,
            "worker": self._worker,
            "waited": claimed.started_at - claimed.claimed_at,
            "result": outcome.result,
            "error": outcome.error,
            "progress": unwritten(claimed),
            "keep": not self._deletes("succeeded"),
            "waits": outcome.waits,
        }

    async def _end_async(self, on: Any, outcome: Outcome, watch: Watch) -> None:
        """Write the end, as soon as nobody else's open transaction holds the job's row."""
        params, until = self._params(outcome), time.monotonic() + HELD_SECONDS
        statement = SUSPEND if outcome.waits else REPLACE if outcome.flow else FINISH
        while not (rows := await transaction.run_async(on, statement, params, watch.explained)):
            ours = {name: params[name] for name in ("id", "worker_id", "token")}
            self._fence(outcome.claimed, await transaction.run_async(on, "check_claim", ours, watch.explained), until)
            await asyncio.sleep(HELD_PAUSE)
        self._check_suspension(outcome, rows)

    def _end_sync(self, on: Any, outcome: Outcome, watch: Watch) -> None:
        """The same, in this thread."""
        params, until = self._params(outcome), time.monotonic() + HELD_SECONDS
        statement = SUSPEND if outcome.waits else REPLACE if outcome.flow else FINISH
        while not (rows := transaction.run(on, statement, params, watch.explained)):
            ours = {name: params[name] for name in ("id", "worker_id", "token")}
            self._fence(outcome.claimed, transaction.run(on, "check_claim", ours, watch.explained), until)
            time.sleep(HELD_PAUSE)
        self._check_suspension(outcome, rows)

    @staticmethod
    def _check_suspension(outcome: Outcome, rows: list[Any]) -> None:
        """Raise what keeps a job from giving its slot away."""
        if outcome.waits is None or rows[0][0] == "waits":
            return
        if rows[0][0] == "aborting":
            raise JobAborted("it was asked to abort, and would wait")
        raise Held("a newer job waits under its queueing lock")

    @staticmethod
    def _fence(claimed: Claimed, rows: list[Any], until: float) -> None:
        """The end was not written; ``rows``: of ``check_claim.sql``."""
        ((is_ours, is_filtered),) = rows
        if not is_ours and is_filtered:
            raise TransactionError(
                "the end of the job cannot be written, for a row level security policy hides procrastinate_jobs from "
                "the role of the task's transaction: RESET ROLE before the task ends if it has set one, or CREATE "
                "POLICY … ON procrastinate_jobs TO that role USING (true) WITH CHECK (true)"
            )
        if not is_ours:
            raise LeaseLost(f"{claimed}: the job is no longer ours; what it did was rolled back", claimed.id)
        if time.monotonic() >= until:
            raise Held("an open transaction holds its row")

    @staticmethod
    def _refusal(outcome: Ends | None, error: Exception) -> str | None:
        """Why the database does not take the result of a task that has succeeded, if that may be what it refuses.

        Its refusal has ended the transaction, so that the attempt has to be repeated; a savepoint before each end would
        save that, and cost every job two round trips.
        """
        code = state(error)
        if outcome is None or outcome.result is None or not code or not code.startswith(REFUSED):
            return None
        why = f"the database does not take it: {told(original(error))[:CAUSE_MAX]}"
        logger.warning("%s: its result is not kept, and it runs again without one: %s", outcome.claimed, why)
        return why

    @staticmethod
    def _pause(claimed: Any, error: Exception, repetition: int) -> float | None:
        """Seconds until the attempt is repeated; None if it is not."""
        if not conflicts(error) or repetition >= CONFLICT_TRIES:
            return None
        claimed.hold_progress()  # at some isolation levels, writing its progress is a conflict by itself
        logger.info("%s: conflict with another transaction, again: %s", claimed, concealed(str(error)))
        return random.uniform(0, CONFLICT_PAUSE * repetition)

    @staticmethod
    def _interrupted(claimed: Any, error: Exception, *, began: bool) -> Outcome:
        """A lost connection ended the transaction, or it is not known whether the commit arrived: the fence knows.

        ``began``: the task had its connection, and may itself be why that was lost.
        """
        if isinstance(error, Held):
            logger.warning("%s: what it did was rolled back, it goes back to the queue: %s", claimed, error)
            return Outcome(claimed, "todo")
        if not connection_lost(error):
            raise error
        code, words = state(error), concealed(told(original(error)))[:CAUSE_MAX]
        logger.warning("%s: its connection was lost, it goes back to the queue: %s", claimed, words)
        own = began and not (code or "").startswith(NOBODYS)
        return Outcome(claimed, "parted", cause=f"lost its connection: {words}" if own else None)

    def open_async(self, kind: TransactionKind, watch: Watch) -> AbstractAsyncContextManager[Any]:
        """A transaction of this kind, watched; it commits where the block ends without an error."""
        return Loud(self._async_session(watch) if kind == "AsyncSession" else self._async_connection(watch))

    def open_sync(self, kind: TransactionKind, watch: Watch) -> AbstractContextManager[Any]:
        """The same that blocks."""
        return Loud(self._session(watch) if kind == "Session" else self._connection(watch))

    @asynccontextmanager
    async def _async_session(self, watch: Watch) -> AsyncIterator[Any]:
        assert self._sessions is not None
        async with self._sessions() as session, session.begin():
            with watch.over_session(session.sync_session):
                yield session

    @contextmanager
    def _session(self, watch: Watch) -> Iterator[Session]:
        assert self._sync_sessions is not None
        with self._sync_sessions() as session, session.begin(), watch.over_session(session):
            yield session

    @asynccontextmanager
    async def _async_connection(self, watch: Watch) -> AsyncIterator[psycopg.AsyncConnection]:
        async with (await pool_of(self._connector)).connection() as connection, connection.transaction():
            with watch.over_connection(connection):
                yield connection

    @contextmanager
    def _connection(self, watch: Watch) -> Iterator[psycopg.Connection]:
        pool = sync_pool_of(self._connector)
        with pool.connection() as connection, connection.transaction(), watch.over_connection(connection):
            yield connection


def connection_lost(error: BaseException) -> bool:
    """Whether an error of psycopg or SQLAlchemy says that the connection is gone."""
    if isinstance(error, sa_exc.DBAPIError) and error.connection_invalidated:
        return True
    if not isinstance(error, psycopg.Error | sa_exc.DBAPIError):
        return False
    code = state(error)
    if code is not None:
        return code.startswith(GONE)
    return isinstance(original(error), psycopg.OperationalError | psycopg.InterfaceError)
