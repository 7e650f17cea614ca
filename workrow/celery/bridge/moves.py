"""Calls are written here once, or it is certain that they are not."""

import json
import time
from typing import Any
from uuid import uuid4

from workrow.celery.bridge.dials import PATIENCE_SECONDS
from workrow.celery.exceptions import OperationalError
from workrow.celery.store import Store
from workrow.database.given import sync_pool_of
from workrow.enqueue import transaction
from workrow.logs import get_logger

logger = get_logger(__name__)

SETTLE_SECONDS = 10.0
"""So long the database is asked whether it has a call, when the connection was lost in the instant of its commit."""
PAUSE_SECONDS = 0.2


class NotMoved(Exception):
    """Nothing was written, and nothing will be."""


class Moves:
    """Writes what comes over the bridge.

    Args:
        store: the database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def dials(self) -> list[tuple[Any, ...]]:
        """What the database says of them, or an error soon."""
        with sync_pool_of(self._store.connector).connection(timeout=PATIENCE_SECONDS) as connection:
            return transaction.run(connection, "celery_dials", {})

    def write(self, task: str, effects: dict[str, Any]) -> None:
        """Write effects, see `workrow.celery.outbox.Outbox`, in one transaction.

        Args:
            task: whose call it is, for the row that says that it came.
            effects: what is written.

        Raises:
            NotMoved: nothing was written. Whoever sends it elsewhere does not send it twice.
            OperationalError: it is not known, since the database has gone in the instant of the commit, and did not
                come back in time.
        """
        key = str(uuid4())
        given = {"moves": json.dumps([{"key": key, "task": task, "effects": effects}]), "came": "dial"}
        is_written = False
        try:
            pool = sync_pool_of(self._store.connector)
            with pool.connection(timeout=PATIENCE_SECONDS) as connection, connection.transaction():
                transaction.run(connection, "celery_move", given)
                is_written = True
        except Exception as error:
            if not is_written:
                raise NotMoved(str(error)) from error
            self._settle(key, task, error)

    def _settle(self, key: str, task: str, error: Exception) -> None:
        """Write the call off, which only works if it is not there: a commit that is still on its way is waited for."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                rows = self._store.run("celery_move", moves=json.dumps([{"key": key, "task": task}]), came="old")
            except Exception as worse:
                if time.monotonic() > until:
                    raise OperationalError(
                        f"whether a call of {task} was written is not known, as the connection was lost when it was "
                        f"committed, and the database is still not there: {worse}"
                    ) from error
                time.sleep(PAUSE_SECONDS)
                continue
            if rows[0][0]:
                raise NotMoved(str(error)) from error
            logger.info("the connection was lost when a call of %s was committed; it is there", task)
            return
