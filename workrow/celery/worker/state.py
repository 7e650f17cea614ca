"""A worker, as commands and the receivers of its signals know it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from workrow.app import App
from workrow.celery.worker.door import Door
from workrow.celery.worker.revoked import Revoked

T = TypeVar("T")


class State:
    """What there is to know of a worker; the sender of ``worker_init``, ``worker_ready`` and ``worker_shutdown``.

    Args:
        app: the app of the door.
        hostname: the worker's name.
        pool: the kind of its pool.

    Attributes:
        engine: workrow's app.
        door: what calls pass.
        revoked: what was revoked.
        loop: the event loop that it runs in.
        command_id: the last command that it has read.
    """

    engine: App
    door: Door
    revoked: Revoked
    loop: asyncio.AbstractEventLoop

    def __init__(self, app: Any, hostname: str, pool: str) -> None:
        self.app = app
        self.hostname = hostname
        self.pool = pool
        self.command_id = 0

    def __str__(self) -> str:
        return self.hostname

    def limits_of(self, task_name: str) -> list[str]:
        """The names of the limits that a task declares, which count over all workers."""
        line = getattr(self.engine.tasks.get(task_name), "line", None)
        return [rule.name for rule in line.rules] if line else []

    @property
    def worker(self) -> Any:
        """workrow's worker; None: it has not begun, or has ended."""
        return next(iter(self.engine.running_workers()), None)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something in the worker's event loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call something in the worker's event loop."""
        self.loop.call_soon_threadsafe(function, *args)
