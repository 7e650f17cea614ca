"""What a transactional task does to the transaction that it was given: what it may not do is refused before it is done,
and what went wrong in it is known at its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg import errors as pg
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy import exc as sa_exc
from sqlalchemy.engine import Connection as SAConnection
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from workrow.database.outage import is_conflict, told
from workrow.enqueue.refusals import denied
from workrow.errors import TransactionError
from workrow.worker.running.endings import ends_transaction

CAUSE_MAX = 500
WRITTEN = {"procrastinate_jobs": "SELECT, UPDATE, DELETE", "history": "SELECT, INSERT"}
"""What the end of a job needs of tables that it does not only read."""
PARTS = "session.begin_nested() (with psycopg: connection.transaction()) is for a part that may fail"


class Watch:
    """One attempt of a transactional task, as its transaction sees it.

    Attributes:
        connected: the task had a connection: SQLAlchemy makes one when it is needed.
        ending: what comes now is the worker's.
    """

    def __init__(self) -> None:
        self.connected = self.ending = False
        self._sent = self._path = False
        self._error: BaseException | None = None
        self._refused: TransactionError | None = None
        self._driver: Any = None
        self._watched: list[tuple[Any, type | None]] = []

    @contextmanager
    def over_session(self, session: Session) -> Iterator[None]:
        """Watch an SQLAlchemy session while the block runs; before its connection goes back to a pool."""
        event.listen(session, "before_commit", self._before_commit)
        event.listen(session, "after_begin", self._after_begin)
        try:
            yield
        finally:
            self._let_go()

    @contextmanager
    def over_connection(self, connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> Iterator[None]:
        """Watch a psycopg connection, on which a transaction has begun, while the block runs."""
        self.connected, self._driver = True, connection
        self._watch_driver(connection)
        try:
            yield
        finally:
            self._let_go()

    def _watch_driver(self, driver: Any) -> None:
        """psycopg's connections: what is sent on them, past a session too."""
        if isinstance(driver, psycopg.Connection | psycopg.AsyncConnection):
            _watches[driver] = self
            self._watched.append((driver, driver.cursor_factory))
            untyped: Any = driver
            untyped.cursor_factory = _watching(driver.cursor_factory)

    def _let_go(self) -> None:
        for connection, factory in self._watched:
            _watches.pop(connection, None)
            if factory is not None:
                connection.cursor_factory = factory

    def sees(self, statement: str) -> None:
        """A statement is about to be sent.

        Raises:
            TransactionError: it would end the transaction.
        """
        if self.ending:
            return
        self._sent = True
        if "search_path" in statement:
            self._path = True
        if found := ends_transaction(statement):
            self.refuse(f"{found!r} was refused before it ran")

    def refuse(self, what: str) -> None:
        """Raise TransactionError, now and, if the task does not let it out, at its end."""
        self._refused = TransactionError(
            f"a transactional task neither commits nor rolls back: {what}, and nothing of this attempt stays; the "
            f"worker commits, together with the end of the job; {PARTS}"
        )
        raise self._refused

    def rolled_back(self) -> None:
        """It is; at the end of the task it is too late for that."""
        if not self.ending:
            self._refused = TransactionError(
                "the task has rolled its transaction back, by session.rollback(), close() or the like: nothing of this "
                f"attempt stays; raise an error for that, or workrow.Discard; {PARTS}"
            )

    def fails(self, error: BaseException) -> None:
        """The database has answered with an error, whether the task lets it out or not."""
        if state(error) not in (None, pg.InFailedSqlTransaction.sqlstate):
            self._error = error

    def check(self) -> None:
        """Before the end of the job is written: whether this is the transaction still that it began with.

        Raises:
            TransactionError: it is not.
        """
        self.ending = True
        if self._refused is not None:
            raise self._refused
        if self._sent and self._driver is not None and _idle(self._driver):
            raise TransactionError(
                "the task's transaction had ended before the task did, by something past its session, such as a COMMIT "
                "or ROLLBACK on the driver's connection: what was committed stays, without the end of the job; let the "
                "worker commit"
            )

    def explained(self, error: Exception, on: object) -> Exception | None:
        """In place of an error of writing the job's end: what the task has done to make it so; None if nothing."""
        code, failed = state(error), self._error
        if code == pg.InFailedSqlTransaction.sqlstate or isinstance(error, sa_exc.PendingRollbackError):
            if isinstance(failed, Exception) and conflicts(failed):
                return failed
            words = f": {told(original(failed))[:CAUSE_MAX]}" if failed else ""
            return TransactionError(
                f"the task caught an error of the database, after which its transaction can only roll back{words}; let "
                f"such an error out of the task; {PARTS}"
            )
        if code == pg.ReadOnlySqlTransaction.sqlstate:
            return TransactionError(
                "the task's transaction is read only, and the end of the job is to be written in it: leave SET "
                "TRANSACTION READ ONLY away, or transactional=True"
            )
        if code == pg.InsufficientPrivilege.sqlstate:
            told_by_server = denied(original(error), "the role of the task's transaction", WRITTEN)
            return TransactionError(f"the end of the job cannot be written: {told_by_server}")
        if code == pg.UndefinedTable.sqlstate and "procrastinate" in str(error):
            return TransactionError(
                "the end of the job cannot be written, for the task's transaction does not see procrastinate_jobs: "
                + (
                    "the task has set search_path; set it back before it ends, or write the schema before the names"
                    if self._path
                    else f"is the {type(on).__name__} bound to another database than the app, or to a user with "
                    "another search_path?"
                )
            )
        return None

    def _before_commit(self, session: Session) -> None:
        if not self.ending and not session.in_nested_transaction():
            self.refuse("session.commit() was refused")

    def _after_begin(self, session: Session, transaction: object, connection: SAConnection) -> None:
        self.connected = True
        if connection.engine not in _engines:
            for name, listener in _LISTENERS.items():
                event.listen(connection.engine, name, listener)
            _engines.add(connection.engine)
        if _watches.get(connection) is not self:
            _watches[connection] = self
            self._watched.append((connection, None))
            self._driver = connection.connection.driver_connection
            self._watch_driver(self._driver)
            # SQLAlchemy has it since 2.0.43
            autocommits = getattr(connection.dialect, "detect_autocommit_setting", lambda _: False)
            if autocommits(connection.connection.dbapi_connection):
                self._refused = TransactionError(
                    "a transactional task's connection is in AUTOCOMMIT, where each statement is a transaction of its "
                    "own: nothing was sent; leave isolation_level='AUTOCOMMIT' away"
                )
                raise self._refused


def original(error: BaseException) -> BaseException:
    """The driver's error in SQLAlchemy's."""
    return error.orig if isinstance(error, sa_exc.DBAPIError) and error.orig else error


def conflicts(error: BaseException) -> bool:
    """Whether the transaction, and with it the attempt, is to be repeated."""
    code = state(error)  # only a driver's error has one: the text of any other may raise
    return code is not None and is_conflict(code, str(original(error)))


def state(error: BaseException) -> str | None:
    """The SQLSTATE of a driver's or SQLAlchemy's error."""
    of_driver = original(error)
    found = getattr(of_driver, "sqlstate", None) or getattr(of_driver, "pgcode", None)
    return found if isinstance(found, str) else None


_engines: WeakSet[Engine] = WeakSet()
"""Those that tell what is sent."""
_watches: "WeakKeyDictionary[Any, Watch]" = WeakKeyDictionary()
"""By connection, SQLAlchemy's or psycopg's; others pay for the look."""


def _before_execute(connection: SAConnection, _cursor: object, statement: str, *_: object) -> None:
    if watch := _watches.get(connection):
        watch.sees(statement)


def _on_error(context: Any) -> None:
    if context.connection is not None and not context.is_disconnect and (watch := _watches.get(context.connection)):
        watch.fails(context.sqlalchemy_exception or context.original_exception)


def _on_rollback(connection: SAConnection) -> None:
    if watch := _watches.get(connection):
        watch.rolled_back()


def _on_commit(connection: SAConnection) -> None:
    if (watch := _watches.get(connection)) and not watch.ending:
        watch.refuse("connection.commit() was refused")


_LISTENERS: dict[str, Any] = {
    "before_cursor_execute": _before_execute,
    "handle_error": _on_error,
    "commit": _on_commit,
    "rollback": _on_rollback,
}


def _idle(driver: Any) -> bool:
    """Whether no transaction is open, as far as the driver tells."""
    if isinstance(driver, psycopg.Connection | psycopg.AsyncConnection):
        return driver.info.transaction_status is TransactionStatus.IDLE
    if hasattr(driver, "is_in_transaction"):  # asyncpg's
        return not driver.is_in_transaction()
    if hasattr(driver, "get_transaction_status"):  # psycopg2's
        return bool(driver.get_transaction_status() == TransactionStatus.IDLE)
    return False


_factories: dict[type, type] = {}


def _watching(factory: type) -> type:
    """The same class of cursors, which tell what they send."""
    if factory not in _factories:
        mixin = _AsyncCursor if issubclass(factory, psycopg.AsyncCursor) else _Cursor
        _factories[factory] = type(f"Watched{factory.__name__}", (mixin, factory), {})
    return _factories[factory]


class _Cursor:
    connection: Any

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with _heard(self.connection, query):
            return super().execute(query, *args, **kwargs)  # type: ignore[misc]

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with _heard(self.connection, query):
            return super().executemany(query, *args, **kwargs)  # type: ignore[misc]


class _AsyncCursor:
    connection: Any

    async def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with _heard(self.connection, query):
            return await super().execute(query, *args, **kwargs)  # type: ignore[misc]

    async def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        with _heard(self.connection, query):
            return await super().executemany(query, *args, **kwargs)  # type: ignore[misc]


@contextmanager
def _heard(connection: Any, query: Any) -> Iterator[None]:
    """Tell the connection's watch, if it has one, what is sent, and the error that comes back."""
    watch = _watches.get(connection)
    if watch is not None and not watch.ending:
        if isinstance(query, bytes):
            query = query.decode(errors="replace")
        elif hasattr(query, "as_string"):  # of psycopg.sql
            query = query.as_string(connection)
        watch.sees(query if isinstance(query, str) else "")
    try:
        yield
    except psycopg.Error as error:
        if watch:
            watch.fails(error)
        raise
