"""The tasks of a project of Django's: what ``celery.contrib.django.task`` has."""

from functools import partial
from typing import Any

import psycopg
from django.db import connection, transaction

from workrow.celery.store import address_of, using
from workrow.celery.task import Task


class DjangoTask(Task):
    """A task whose calls can wait for the end of Django's transaction.

    They are rows of that transaction where Django's default database is the app's: there with its commit, and not there
    without it. Where it is another one, they are sent after the commit, and lost if the process dies in between.
    """

    abstract = True

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """`delay`, when the transaction commits; at once where there is none."""
        self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """`apply_async`, when the transaction commits; at once where there is none."""
        if not self.app.conf.task_always_eager and self._is_here():
            with using(connection):
                self.apply_async(*args, **kwargs)
        else:
            transaction.on_commit(partial(self.apply_async, *args, **kwargs))

    def _is_here(self) -> bool:
        """Whether Django's connection is one to the app's database."""
        if connection.vendor != "postgresql":
            return False
        connection.ensure_connection()
        there = connection.connection
        return isinstance(there, psycopg.Connection) and bool(address_of(there) == self.app.store.address)
