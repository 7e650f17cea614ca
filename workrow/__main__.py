"""``python -m workrow``, and the command ``workrow``."""

import os
import signal
import sys


def run() -> None:
    """Run the command line."""
    if "worker" in sys.argv:
        # what it imports may take seconds, and until it has handlers of its own it has no job: a stop is in order
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))
    from workrow.cli import main

    main(prog_name="workrow")


if __name__ == "__main__":
    run()
