"""The time limits of one call in a thread."""

import asyncio
from collections.abc import Callable
from functools import partial

from workrow.errors import SoftTimeLimitExceeded, TimeLimitExceeded

STUCK_SECONDS = 1.0
"""A thread that has not ended so long after its interruption is in code that does not return to Python."""


class Interrupted(BaseException):
    """Raised inside a thread to end it; no ``Exception``, so that a task's own ``except Exception`` does not stop
    it."""


class TimeLimits:
    """The timers of one call; they start with it.

    Args:
        loop: where whoever awaits the call is.
        interrupt: raises an exception of this type inside the thread; False if the call has ended.
        soft_limit: seconds after which ``soft_error`` is raised inside.
        time_limit: seconds after which `Interrupted` is raised inside.
        soft_error: its type.
        on_stuck: called if that has not ended it `STUCK_SECONDS` later.

    Attributes:
        exceeded: the call was still running at its time limit.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interrupt: Callable[[type[BaseException]], bool],
        soft_limit: float | None,
        time_limit: float | None,
        soft_error: type[BaseException],
        on_stuck: Callable[[], None] | None,
    ) -> None:
        self._loop = loop
        self._interrupt = interrupt
        self._soft_limit = soft_limit
        self._time_limit = time_limit
        self._soft_error = soft_error
        self._on_stuck = on_stuck
        self._timers: list[asyncio.TimerHandle] = []
        self._over = False
        self.exceeded = False

    def start(self) -> None:
        """Called in the thread."""
        self._loop.call_soon_threadsafe(self._set, self._loop.time())

    def stop(self) -> None:
        """The call has ended: no timer counts any more."""
        self._over = True
        for timer in self._timers:
            timer.cancel()

    def error(self) -> TimeLimitExceeded:
        """What the task's end is when it ran into its time limit."""
        return TimeLimitExceeded(f"the task ran into its time_limit of {self._time_limit:g} s")

    def translated(self, error: BaseException) -> BaseException:
        """What to raise instead of how it ended."""
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
            return error  # who waited is cancelled, and is not to be held up by a limit
        if self.exceeded:
            return self.error()
        if isinstance(error, SoftTimeLimitExceeded) and not error.args:
            # a thread is sent a type, which has no message
            error.args = (f"the task ran into its soft_time_limit of {self._soft_limit:g} s",)
        return error

    def _set(self, began: float) -> None:
        if self._over:
            return
        if self._soft_limit is not None:
            self._at(began + self._soft_limit, partial(self._interrupt, self._soft_error))
        if self._time_limit is not None:
            self._at(began + self._time_limit, self._end)

    def _at(self, when: float, call: Callable[[], object]) -> None:
        self._timers.append(self._loop.call_at(when, call))

    def _end(self) -> None:
        # if it has ended just now, it has ended in time: its end may be on the way to us
        self.exceeded = self._interrupt(Interrupted)
        if self.exceeded and self._on_stuck:
            self._at(self._loop.time() + STUCK_SECONDS, self._on_stuck)
