"""Says which job blocks the event loop, and where: all others wait meanwhile, and nothing else would tell."""

import asyncio
import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextvars import Context
from types import FrameType

from workrow.job import at_work
from workrow.logs import TRACEBACK, get_logger
from workrow.worker.job_logs import cut

logger = get_logger(__name__)

LOOKS = 4
"""How often the loop is looked at in the time after which it counts as blocked."""


class Watchdog:
    """A beat on the event loop, and a thread that misses it. What a job costs does not grow by it.

    Args:
        seconds: so long without a beat is a blocked loop; None: nobody looks.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._interval = (seconds or 0) / LOOKS
        self._beats = 0
        self._timer: asyncio.TimerHandle | None = None
        self._over = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look after the event loop that runs here, while the block runs."""
        if self._seconds is None:
            yield
            return
        loop = asyncio.get_running_loop()
        self._over.clear()
        self._beat(loop)
        thread = threading.Thread(
            target=self._watch, args=(loop, threading.get_ident(), self._seconds), name="workrow-watchdog", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            if self._timer:
                self._timer.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beats += 1
        self._timer = loop.call_later(self._interval, self._beat, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int, seconds: float) -> None:
        """In the thread."""
        heard, silent, seen = 0, 0.0, set[object]()
        looked_at, used = time.monotonic(), time.process_time()
        while not self._over.wait(self._interval):
            now, using = time.monotonic(), time.process_time()
            # a process that was suspended wakes up with a gap in which it has not run
            passed = min(now - looked_at, max(2 * self._interval, using - used))
            looked_at, used = now, using
            if self._beats != heard:
                heard, silent, seen = self._beats, 0.0, set()
                continue
            before, silent = silent, silent + passed
            frame = sys._current_frames().get(thread)
            job = _job(frame, loop)
            seen.add(job)
            if before < seconds <= silent:  # once
                _tell(frame, silent, job, len(seen))


def _tell(frame: FrameType | None, seconds: float, job: object, jobs: int) -> None:
    if jobs > 1:
        what = f"{jobs} jobs or more have kept the event loop busy for {seconds:.1f} s, the last one"
    else:
        what = f"{job or 'something'} has blocked the event loop for {seconds:.1f} s"
    stack = cut("".join(traceback.format_stack(frame, len(list(_below_loop(frame)))))) if frame else "(nowhere)"
    logger.warning(
        "%s, here; no other job of this worker goes on meanwhile. What blocks belongs in a thread: a task with def "
        "instead of async def, or asyncio.to_thread().",
        what,
        extra={TRACEBACK: stack},
    )


def _below_loop(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of what the loop runs now, from the innermost one."""
    while frame is not None and frame.f_code is not _RUN:
        yield frame
        frame = frame.f_back


def _job(frame: FrameType | None, loop: asyncio.AbstractEventLoop) -> object:
    """The job in whose context the loop is; None: in none that can be seen."""
    while frame is not None and frame.f_code is not _RUN:
        frame = frame.f_back
    context: Context | None = getattr(frame.f_locals.get("self"), "_context", None) if frame else None
    if context is None:  # another loop than asyncio's; from Python 3.12 on its task can tell
        found = getattr(asyncio.current_task(loop), "get_context", None)
        context = found() if found else None
    return context.get(at_work) if context else None


_RUN = asyncio.Handle._run.__code__
