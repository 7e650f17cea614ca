"""What SIGTERM and SIGINT mean to a worker: the first asks it to stop, the second to hurry."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from workrow.logs import get_logger

logger = get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def on_stop(stop: Callable[[], None], hurry: Callable[[], None], *, at_once: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first signal and ``hurry`` at every later one; the handlers of before are put back.

    Args:
        stop: called in the event loop.
        hurry: the same.
        at_once: called at every signal before either, also while a task blocks the loop; in the main thread, between
            any two steps of what it does.
    """
    if threading.current_thread() is not threading.main_thread():
        logger.warning("no signal handlers: this is not the main thread")
        yield
        return
    loop = asyncio.get_running_loop()
    signalled = False

    def handle() -> None:
        nonlocal signalled
        (hurry if signalled else stop)()
        signalled = True

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, handle)
        # in place of the loop's own, which does nothing: what wakes the loop is the signal's number in its pipe
        signal.signal(number, lambda *_: at_once())
        signal.siginterrupt(number, False)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
