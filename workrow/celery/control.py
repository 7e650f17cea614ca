"""``app.control``: calls that are not to run, or are to end."""

import json
from collections.abc import Iterable
from typing import Any

from workrow.celery import codec
from workrow.celery.backend import packed
from workrow.celery.exceptions import TaskRevokedError
from workrow.celery.states import REVOKED


class Control:
    """What is told of calls after they were sent.

    What waits ends at once, worker or none; what is still to be sent under a revoked id does not start, for as long as
    results are kept. No worker replies: the database has done it when these return.

    Args:
        app: the app.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def revoke(self, task_id: str | Iterable[str], terminate: bool = False, **_: Any) -> None:
        """Let calls not run.

        Args:
            task_id: of one call, or of several.
            terminate: end those that run. Without it, what runs goes on.
        """
        ids = [task_id] if isinstance(task_id, str) else [*task_id]
        self._revoke(terminate, ids=ids)

    def terminate(self, task_id: str | Iterable[str], **_: Any) -> None:
        """`revoke`, and end what runs."""
        self.revoke(task_id, terminate=True)

    def revoke_by_stamped_headers(self, headers: dict[str, Any], terminate: bool = False, **_: Any) -> None:
        """Let calls not run that are stamped with one of these values.

        Args:
            headers: by the name of the stamp, a value or a list of them.
            terminate: as for `revoke`.
        """
        for header, given in headers.items():
            values = codec.pack([*given] if isinstance(given, list | tuple | set) else [given])
            self._revoke(terminate, header=header, values=json.dumps(values))

    def purge(self, queues: Iterable[str] | None = None) -> int:
        """Delete the calls that wait in these queues, by default those that a worker serves; returns how many.

        What becomes of their results is as in Celery: nothing.
        """
        wanted = self._app.router.queues() if queues is None else [*queues]
        rows = self._app.store.run("celery_purge", queues=wanted)
        return int(rows[0][0])

    discard_all = purge

    def _revoke(
        self, terminate: bool, ids: list[str] | None = None, header: str | None = None, values: str | None = None
    ) -> None:
        error = json.dumps(packed(REVOKED, TaskRevokedError("revoked")))
        lasts = self._app.backend.lasts
        given = {"ids": ids, "header": header, "values": values, "exception": error, "lasts": lasts}
        self._app.store.run("celery_revoke", terminate=terminate, **given)
