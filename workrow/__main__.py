"""``python -m workrow``, and the command ``workrow``."""

import sys

from workrow.enqueue.stops import end_at_signals


def run() -> None:
    """Run the command line."""
    if "worker" in sys.argv:
        end_at_signals()
    from workrow.cli import main

    main(prog_name="workrow")


if __name__ == "__main__":
    run()
