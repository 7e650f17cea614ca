"""Which calls are not to start."""

import asyncio
import json
from typing import Any

from workrow.logs import get_logger

logger = get_logger(__name__)

LOOK_SECONDS = 1.0
"""How often a worker reads what was revoked: what waited then has been ended by who revoked it."""


class Revoked:
    """What was revoked, as of the last look.

    Args:
        app: the app of the door.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._ids: set[str] = set()
        self._stamps: set[tuple[str, str]] = set()

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

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:
                logger.warning("what was revoked cannot be read, and is asked for again: %s", error)
            await asyncio.sleep(LOOK_SECONDS)
