"""Which calls are not to start."""

import json
from typing import Any


class Revoked:
    """What was revoked, as of the last look.

    Args:
        app: the app of the door.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._ids: set[str] = set()
        self._stamps: set[tuple[str, str]] = set()

    @property
    def ids(self) -> list[str]:
        """Ids of calls."""
        return sorted(self._ids)

    def __call__(self, told: dict[str, Any]) -> bool:
        """Whether a call is, from what its job carries."""
        if told.get("revoked") or told["id"] in self._ids:
            return True
        if not self._stamps:
            return False
        stamps = told.get("stamps") or {}
        return any(
            (name, json.dumps(value, sort_keys=True)) in self._stamps
            for name, given in stamps.items()
            for value in (given if isinstance(given, list) else [given])
        )

    def look(self) -> None:
        """Read what was revoked."""
        rows = self._app.store.run("celery_revoked")
        self._ids = {task_id for task_id, header, _ in rows if header is None}
        self._stamps = {(header, json.dumps(value, sort_keys=True)) for _, header, value in rows if header is not None}
