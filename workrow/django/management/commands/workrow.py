"""``manage.py workrow …``: the command ``workrow``, of the project's app."""

import argparse
import atexit
import os
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.autoreload import run_with_reloader

APP = "workrow.django.standalone.app"
RELOAD = "--autoreload"
PATIENCE = 10.0
"""Seconds that running jobs are given to end when code has changed."""


class Command(BaseCommand):
    """Hands on everything that follows."""

    help = "The command line of workrow: worker, status, job, retry …; `manage.py workrow -- --help` has all."

    def add_arguments(self, parser: Any) -> None:
        """See Django."""
        words = f"such as `worker --queues mail`; `worker {RELOAD}` starts anew when code changes"
        parser.add_argument("arguments", nargs=argparse.REMAINDER, help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it; what ends with 0 returns."""
        given = list(options["arguments"])
        if given[:1] == ["--"]:
            del given[0]
        # what `--processes` and `--autoreload` start is started anywhere, and has no manage.py
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (sys.path[0], os.environ.get("PYTHONPATH"))))
        if given[:1] == ["worker"] and RELOAD in given:
            given.remove(RELOAD)
            run_with_reloader(_work_aside, [sys.executable, "-m", "workrow", "--app", APP, *given])
            return
        from workrow.__main__ import run

        before, sys.argv = sys.argv, ["workrow", "--app", APP, *given]
        try:
            run()
        except SystemExit as end:
            if end.code:
                raise
        finally:
            sys.argv = before


def _work_aside(command: list[str]) -> None:
    """A worker in a process of its own, for it wants the main thread, which the reloader has."""
    worker = subprocess.Popen(command)
    atexit.register(_end, worker)
    worker.wait()


def _end(worker: "subprocess.Popen[bytes]") -> None:
    worker.terminate()
    try:
        worker.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        worker.terminate()  # a second signal ends it at once
        worker.wait()
