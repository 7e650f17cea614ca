"""What ties worker processes to the parent that supervises them: a pipe whose other end closes with it."""

import logging
import os
import signal
import threading

logger = logging.getLogger(__name__)


def follow(descriptor: int) -> None:
    """Stop this process in order, as SIGTERM does, when the other end of the pipe has closed. Returns at once.

    Args:
        descriptor: the end of a pipe that is read from; nothing is ever written into it.
    """
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_wait, args=(descriptor,), name="workrow-lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    try:
        os.read(descriptor, 1)
    except OSError:
        logger.exception("descriptor %d is no pipe to a parent", descriptor)
        return
    logger.warning("the parent of this worker is gone: it stops, as at a SIGTERM")
    os.kill(os.getpid(), signal.SIGTERM)
