"""A module that `-A` names, and that is not the one in which the app is made."""

from multiprocessing import parent_process
from typing import Any

import workrow
from tests.celery.worker_app import app
from workrow.celery.signals import task_prerun, worker_ready

seen: list[str] = []


@app.task(name="entered")
def entered() -> list[str]:
    return seen


@task_prerun.connect(weak=False)
def note(sender: Any = None, **_: Any) -> None:
    seen.append(sender.name)


@worker_ready.connect(weak=False)
def ready(sender: Any = None, **_: Any) -> None:
    assert sender.app is app
    app.send_task("from_ready", (sender.hostname,))


@app.task(name="from_ready", limits=[workrow.Limit(2, key="hostname")])
def from_ready(hostname: str) -> str:
    return hostname


if parent_process() is None:

    @app.task(name="only_here")
    def only_here() -> None:
        """A child process has no such task."""
