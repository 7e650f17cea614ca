"""What async tasks say of themselves while they run: written in a thread, for the event loop is not to wait."""

import asyncio
from collections.abc import Callable
from typing import Any

from workrow.job import at_work
from workrow.logs import get_logger

logger = get_logger(__name__)


class Said:
    """Writes states that are told on a worker's event loop: those of many calls together, as they came.

    Args:
        write: writes effects, and waits for the database.

    Attributes:
        due: by the ids of jobs, what ends when all that they have said so far is written, or cannot be.
    """

    def __init__(self, write: Callable[[dict[str, Any]], object]) -> None:
        self._write = write
        self._next: list[dict[str, Any]] = []
        self._written: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self.due: dict[int, asyncio.Future[None]] = {}

    def say(self, effect: dict[str, Any]) -> None:
        """Have it written; on the loop."""
        loop = asyncio.get_running_loop()
        self._next.append(effect)
        if self._written is None:
            self._written = loop.create_future()
        if (claimed := at_work.get()) is not None:
            self.due[claimed.id] = self._written  # type: ignore[attr-defined]
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())

    async def heard(self, job_id: int) -> None:
        """Wait until all that a job has said is written: its end comes after that."""
        if (written := self.due.pop(job_id, None)) is not None:
            await asyncio.shield(written)

    async def _write_all(self) -> None:
        while self._next:
            effects, self._next = self._next, []
            written, self._written = self._written, None
            try:
                await asyncio.to_thread(self._write, {"results": effects})
            except Exception as error:
                ids = ", ".join(sorted({effect["task_id"] for effect in effects}))
                logger.warning("states that these calls have told are not written: %s: %s", ids, error)
            if written is not None:
                written.set_result(None)
        self._writing = None
