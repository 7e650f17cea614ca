"""The part of an app that runs commands, and tells of itself."""

import sys
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from workrow.celery.report import bugreport
from workrow.celery.signals import Signal


class Runs:
    """What an app does as a program."""

    @cached_property
    def on_after_fork(self) -> Signal:
        """Sent in each child process of a worker, before its first call."""
        return Signal("app.on_after_fork")

    def start(self, argv: Sequence[str] | None = None) -> Any:
        """Run a command of this app: ``app.start(["worker", "-Q", "mail"])``.

        Args:
            argv: its words; None: those of this program.

        Raises:
            click.ClickException: they are not understood, or the command cannot do it.
        """
        from workrow.celery.commands import main  # which is not needed to send calls

        words = sys.argv[1:] if argv is None else [*argv]
        return main.main(args=words, standalone_mode=False, obj=self)

    def worker_main(self, argv: Sequence[str] | None = None) -> Any:
        """`start`, of a worker.

        Raises:
            ValueError: ``worker`` is not among the words.
        """
        words = sys.argv[1:] if argv is None else [*argv]
        if "worker" not in words:
            raise ValueError(
                "The worker sub-command must be specified in argv.\n"
                "Use app.start() to programmatically start other commands."
            )
        return self.start(words)

    def bugreport(self) -> str:
        """See `workrow.celery.report.bugreport`."""
        return bugreport(self)
