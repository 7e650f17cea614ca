"""A stop that comes while a worker's process starts: it has no job yet, and ends in order."""

import atexit
import os
import signal


def end_at_signals() -> None:
    """Until a worker has handlers of its own: what it imports and connects to may take seconds."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(*_: object) -> None:
    atexit._run_exitfuncs()
    os._exit(0)  # an exception could be caught by what is being imported
