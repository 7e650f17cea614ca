"""Sessions that write to more than one database: which of their connections a job goes to."""

from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, SessionTransaction

from workrow.errors import TransactionError

JOBS = sa.Table("procrastinate_jobs", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True))
INSERT = sa.insert(JOBS)
"""What a session is asked for a connection for: ``get_bind(clause=…)`` may look at it."""
NAME_IT = (
    "name the connection: task.enqueue(session.connection(bind_arguments={'mapper': User}), …), "
    "with await before an AsyncSession's"
)

_enqueued: "WeakKeyDictionary[SessionTransaction, Connection]" = WeakKeyDictionary()


def connection_of(session: Session) -> Connection:
    """The connection on which the session writes jobs.

    Raises:
        TransactionError: there is none for them, or the session writes on another one already. If it does so later,
            its commit raises this, and nothing is committed.
    """
    bind = _bind(session)
    connection = session.connection(bind_arguments={"bind": bind})
    if _is_routing(session) and not session.twophase:  # which commits on all or on none
        _check_others(session, connection)
        transaction = session.get_transaction()
        assert transaction is not None
        _enqueued[transaction] = connection
        if not event.contains(session, "before_commit", _before_commit):
            event.listen(session, "before_commit", _before_commit)
    return connection


def _bind(session: Session) -> Any:
    # A get_bind() as in SQLAlchemy's documentation sends to the writer what a flush sends, and no INSERT by itself:
    # https://docs.sqlalchemy.org/en/20/orm/persistence_techniques.html#custom-vertical-partitioning
    flushing = session._flushing
    session._flushing = True
    try:
        return session.get_bind(clause=INSERT)
    except UnboundExecutionError:
        raise TransactionError(
            f"cannot enqueue: the {type(session).__name__} has no engine for procrastinate_jobs; {NAME_IT}"
        ) from None
    finally:
        session._flushing = flushing


def _is_routing(session: Session) -> bool:
    # the attribute has a name of its own since SQLAlchemy 2.1
    binds = getattr(session, "binds", None) or getattr(session, "_Session__binds", None)
    return bool(binds) or type(session).get_bind is not Session.get_bind


def _before_commit(session: Session) -> None:
    transaction = session.get_transaction()
    if transaction is not None and transaction in _enqueued:
        session.flush()
        _check_others(session, _enqueued[transaction])


def _check_others(session: Session, ours: Connection) -> None:
    """Raise TransactionError if the session's transaction has written on another connection than this one."""
    transaction: Any = session.get_transaction()
    for other in {each[0] for each in transaction._connections.values()} - {ours}:
        if _has_written(other):
            raise TransactionError(
                f"cannot enqueue: the {type(session).__name__} has written on {other.engine!r}, and its jobs go to "
                f"{ours.engine!r}: one may commit without the other; {NAME_IT}"
            )


def _has_written(connection: Connection) -> bool:
    """Whether the transaction is there for others to see, once it commits; of another system's that is not known."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(sa.text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")))
