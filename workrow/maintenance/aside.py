"""Say what this worker has set aside because an open transaction holds it: the view ``workrow.held`` shows it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from workrow.database.held import AGAIN_SECONDS, Held

Thing = tuple[str, str, int | None]
"""What kind of thing, which one, and the session that holds it, as far as that is known."""


class Aside:
    """Each worker runs one; while nothing is set aside, it writes nothing.

    Args:
        run: runs a statement of ``workrow/sql`` and returns its rows.
        worker_id: who says so.
        sources: each returns what is set aside there.
    """

    def __init__(
        self,
        run: Callable[..., Awaitable[list[tuple[Any, ...]]]],
        worker_id: Callable[[], int],
        sources: Iterable[Callable[[], Iterable[Thing]]],
    ) -> None:
        self._run = run
        self._worker_id = worker_id
        self._sources = [*sources]
        self._said = False

    async def run(self) -> None:
        """Say it until cancelled."""
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            await self.run_once()

    async def run_once(self) -> None:
        """Say it once."""
        things = {(kind, name): pid for source in self._sources for kind, name, pid in source()}
        if not things and not self._said:
            return
        params = {
            "kinds": [kind for kind, _ in things],
            "names": [name for _, name in things],
            "pids": [*things.values()],
        }
        try:
            await self._run("note_held", worker_id=self._worker_id(), **params)
        except Held:
            return  # even these
        self._said = bool(things)
