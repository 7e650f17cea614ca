"""``python -m workrow``, and the command ``workrow``."""

import atexit
import os
import signal
import sys


def run() -> None:
    """Run the command line."""
    if "worker" in sys.argv:
        # what it imports may take seconds, and until it has handlers of its own it has no job: a stop is in order
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)
    from workrow.cli import main

    main(prog_name="workrow")


def _end(*_: object) -> None:
    atexit._run_exitfuncs()
    os._exit(0)  # an exception could be caught by what is being imported


if __name__ == "__main__":
    run()
