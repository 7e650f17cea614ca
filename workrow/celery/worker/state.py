"""A worker, as commands and the receivers of its signals know it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from workrow.app import App
from workrow.celery.worker.door import Door
from workrow.celery.worker.revoked import Revoked
from workrow.declare.limits import Rule

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
        rates: the rate limits that it was told, by the names of tasks.
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
        self.rates: dict[str, Any] = {}

    def __str__(self) -> str:
        return self.hostname

    def rate_rule(self, task: Any) -> Rule | None:
        """The limit over all workers that holds the ``rate_limit`` of a task; None: it declares none."""
        line: Any = getattr(self.engine.tasks[task.name], "line", None)
        # its own is the one that is named after the task, see `workrow.declare.limits.Line`
        rules = [rule for rule in line.rules if rule.name == task.name.replace("=", "-")] if line else []
        return rules[0] if rules and task.rate_limit else None

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
