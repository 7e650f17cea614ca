"""Watch the server's queue of notifications: while it is too full, nobody is notified and workers poll."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from workrow.logs import get_logger

logger = get_logger(__name__)

PAUSE_SECONDS, FULL_PAUSE_SECONDS = 15.0, 2.0
"""Between two looks, and from half full on (4 GB, as PostgreSQL comes): so late notifications come back."""


class NotifyQueue:
    """Each worker runs one. Asking how full it is also drops what everybody has read, which a full one needs.

    Args:
        run: runs a statement of ``workrow/sql`` and returns its rows.
        on_change: called when notifications stop (False), and when they come again (True).

    Attributes:
        warning: what is wrong with it, in words; None: nothing is.
    """

    def __init__(self, run: Callable[..., Awaitable[list[tuple[Any, ...]]]], on_change: Callable[[bool], None]) -> None:
        self._run = run
        self._on_change = on_change
        self._notifying = True
        self.warning: str | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            pause = await self.run_once()
            await asyncio.sleep(pause)

    async def run_once(self) -> float:
        """Look once; the seconds until the next look."""
        rows = await self._run("read_notifications")
        before, self.warning = self.warning, _told(*rows[0]) if rows else None
        notifying = not rows or rows[0][1]
        if self.warning and (before is None or notifying != self._notifying):
            logger.warning("%s", self.warning)
        elif before and not self.warning:
            logger.warning("the server's queue of notifications has room again")
        if notifying != self._notifying:
            self._notifying = notifying
            self._on_change(notifying)
        return FULL_PAUSE_SECONDS if self.warning else PAUSE_SECONDS


def _told(used: float, notifying: bool, pid: int | None, *of: Any) -> str:
    said = f"the server's queue of notifications is {used:.0%} full"
    if not notifying:
        said += ": nobody is notified, workers poll"
    if pid is None:
        return said
    database, application, state, since = of
    return (
        f"{said}; the session with the oldest transaction, which keeps it if it listens: pid {pid} "
        f"({application or 'no name'}) on {database}, {state}, since {since:%Y-%m-%d %H:%M:%S%z}"
    )
