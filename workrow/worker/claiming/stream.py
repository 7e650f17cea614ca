"""Whether jobs come one after the other, faster than it pays to be notified of each."""

import time

BURST_SECONDS, BURST_JOBS = 0.1, 5
"""So many jobs in so short a time are a stream. A notification for each would serialise the commits of its producers:
8 of them made 400 jobs/s, and 2,000 without. So the worker asks for none, and looks every few milliseconds."""
QUIET_SECONDS = 0.2
"""After a stream, how long it looks so often before it asks to be notified again."""


class Stream:
    """Counts the jobs that are claimed."""

    def __init__(self) -> None:
        self._jobs, self._at = 0, 0.0

    def count(self, got: int) -> bool:
        """So many were claimed; whether that is a stream."""
        now = time.monotonic()
        if self._jobs < BURST_JOBS and now - self._at > BURST_SECONDS:
            self._jobs, self._at = 0, now
        self._jobs += got
        if self._jobs < BURST_JOBS:
            return False
        self._at = now  # it goes on
        return True

    def flows(self) -> bool:
        """Whether the last one was a moment ago."""
        if time.monotonic() - self._at > QUIET_SECONDS:
            self._jobs = 0
        return self._jobs >= BURST_JOBS
