"""What a shadow run writes is rolled back: what goes through these, and nothing else."""

import multiprocessing
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from workrow.celery.exceptions import ImproperlyConfigured

_through: WeakKeyDictionary[Any, tuple[Any, ...]] = WeakKeyDictionary()


class NotRolledBack(Exception):
    """A shadow must not run, as what it writes would stay; its text says why."""


def roll_back_with(app: Any, through: Iterable[Any] | None) -> None:
    """Say what the writes of an app's tasks go through.

    Args:
        app: the app of the door.
        through: SQLAlchemy's ``sessionmaker`` or ``scoped_session``, of version 2, whose sessions the tasks use; or
            functions that return a context manager of your own, which begins a transaction that your tasks then use
            and rolls it back. Django's connections are always rolled back. None says nothing.

    Raises:
        ImproperlyConfigured: it is none of these.
    """
    if through is None:
        return
    given = tuple(through)
    for each in given:
        if not callable(each) or (_is_factory(each) and _is_async(each)):
            raise ImproperlyConfigured(
                f"roll_back={each!r:.80}: must be a sessionmaker or scoped_session that is not async, or a function "
                "that returns a context manager which rolls back"
            )
    _through[app] = given


@contextmanager
def rolled_back(app: Any) -> Iterator[None]:
    """What is written inside is rolled back at the end.

    Raises:
        NotRolledBack: nobody has said what the writes go through, or they could be those of another call.
    """
    given = _through.get(app)
    if given is None and not _has_django():
        raise NotRolledBack("nobody has said what its writes go through: bridge.install(app, roll_back=[Session])")
    with ExitStack() as stack:
        if _has_django():
            stack.enter_context(_django())
        for each in given or ():
            stack.enter_context(_sessions(each) if _is_factory(each) else each())
        yield


def _is_factory(given: Any) -> bool:
    return hasattr(given, "configure") and (hasattr(given, "kw") or hasattr(given, "session_factory"))


def _is_async(factory: Any) -> bool:
    return type(factory).__name__.startswith("async_")


@contextmanager
def _sessions(given: Any) -> Iterator[None]:
    """Sessions of a factory share a connection, and their commits are ends of savepoints on it."""
    if multiprocessing.parent_process() is None:
        raise NotRolledBack("its sessions are those of other calls too in -P threads: shadows need -P prefork")
    scoped = hasattr(given, "session_factory")
    factory = given.session_factory if scoped else given
    before = dict(factory.kw)
    if scoped:
        given.remove()
    with before["bind"].connect() as connection:
        transaction = connection.begin()
        factory.configure(bind=connection, join_transaction_mode="create_savepoint")
        try:
            yield
        finally:
            if scoped:
                given.remove()
            factory.kw.clear()
            factory.kw.update(before)
            transaction.rollback()


def _has_django() -> bool:
    if "django" not in sys.modules:
        return False
    from django.conf import settings

    return bool(settings.configured and settings.DATABASES)


@contextmanager
def _django() -> Iterator[None]:
    from django.db import connections, transaction

    with ExitStack() as stack:
        names = [connection.alias for connection in connections.all()]
        for name in names:
            stack.enter_context(transaction.atomic(using=name))
        try:
            yield
        finally:
            for name in names:
                transaction.set_rollback(True, using=name)
