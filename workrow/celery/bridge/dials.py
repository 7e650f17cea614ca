"""Which calls come here: what the database says, kept for a moment."""

import threading
import time
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from workrow.logs import get_logger

logger = get_logger(__name__)

OLD_SECONDS = 2.0
"""A dial that was turned is heeded by every process after so long, and the time of one small query."""
PATIENCE_SECONDS = 2.0
"""So long a call waits for a connection to the database at most."""
OUTAGE_SECONDS = 30.0
"""So long nothing comes here, and nobody waits for the database once more, after it could not be asked."""
EVERY = "*"


class Dial(NamedTuple):
    """Of one task.

    Attributes:
        percent: of 100 calls so many come here.
        sticky_by: the argument that decides.
        shadow: of 100 calls that do not, so many are run here too.
    """

    percent: float = 0.0
    sticky_by: str | None = None
    shadow: float = 0.0


class Dials:
    """All dials, as of a moment ago.

    Args:
        read: the rows of ``celery_dials``.
    """

    def __init__(self, read: Callable[[], Iterable[tuple[Any, ...]]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float | None, str | None, float | None]] | None = None
        self._is_on = True
        self._until = 0.0
        self._told = False

    def of(self, task: str) -> Dial:
        """Of this task, or of all that are not named."""
        if time.monotonic() >= self._until and self._lock.acquire(blocking=self._known is None):
            try:
                if time.monotonic() >= self._until:
                    self._look()
            finally:
                self._lock.release()
        known = self._known or {}
        percent, sticky_by, shadow = known.get(task, (None, None, None))
        of_all = known.get(EVERY, (None, None, None))
        percent = of_all[0] if percent is None else percent
        shadow = of_all[2] if shadow is None else shadow
        return Dial((percent or 0.0) if self._is_on else 0.0, sticky_by or of_all[1], shadow or 0.0)

    def unreachable(self, error: BaseException) -> None:
        """Let nothing come here for a while; said once, until it goes again."""
        self._known, self._until = {}, time.monotonic() + OUTAGE_SECONDS
        if not self._told:
            logger.warning("the dials of the bridge cannot be read, and all calls go to the old broker: %s", error)
        self._told = True

    def _look(self) -> None:
        try:
            rows = list(self._read())
        except Exception as error:
            self.unreachable(error)
            return
        self._known = {task: (percent, sticky_by, shadow) for task, percent, sticky_by, shadow, *_ in rows}
        self._is_on = all(row[4] for row in rows)
        self._until = time.monotonic() + OLD_SECONDS
        self._told = False


def place(key: Any) -> float:
    """Where a key stands, from 0 to 100: it comes here when the percentage is above. The same in every process."""
    number = int.from_bytes(blake2b(repr(key).encode("utf-8", "replace"), digest_size=8).digest())
    return 100 * number / 2**64
