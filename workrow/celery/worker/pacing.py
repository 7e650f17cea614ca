"""A rate limit of one worker."""

import time

EARLY_SECONDS = 0.05
"""A call that comes back so much before its turn starts: the database wakes it, by another clock."""


class Pace:
    """Gives each call its turn.

    Args:
        seconds: from one turn to the next.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._turns: dict[int, float] = {}

    def wait(self, job_id: int) -> float:
        """Seconds until a call may start; 0.0: now. It keeps its turn when it asks again."""
        now = time.monotonic()
        turn = self._turns.pop(job_id, None)
        if turn is None:
            turn = max(self._next, now)
            self._next = turn + self._seconds
        if turn <= now + EARLY_SECONDS:
            return 0.0
        self._turns[job_id] = turn
        return turn - now
