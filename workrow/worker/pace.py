"""How much to claim ahead."""

import time

PREFETCH_SECONDS = 0.1
"""So much work, at the pace of the last moments, is claimed ahead: enough to hide the round trip of a claim."""
PREFETCH_MAX = 1000
PACE_SECONDS = 0.005
SLOWER_SECONDS = 0.05
"""Seconds: the least to measure a pace over, and the least before it may go down."""


class Pace:
    """Measures how fast jobs end.

    Attributes:
        ended: how many have.
        prefetch: how many jobs to claim ahead.
    """

    def __init__(self) -> None:
        self.ended = 0
        self.prefetch = 0
        self._paced_at, self._paced_ended = time.monotonic(), 0

    def measure(self) -> int:
        """Look how many jobs to claim ahead."""
        now = time.monotonic()
        elapsed = now - self._paced_at
        if elapsed >= PACE_SECONDS:
            goal = int((self.ended - self._paced_ended) / elapsed * PREFETCH_SECONDS)
            # up at once, down only after a longer time: waiting for a claim is no slower pace
            if goal >= self.prefetch or elapsed >= SLOWER_SECONDS:
                self.prefetch = min(goal, PREFETCH_MAX, self.prefetch * 2 + 8)
                self._paced_at, self._paced_ended = now, self.ended
        return self.prefetch
