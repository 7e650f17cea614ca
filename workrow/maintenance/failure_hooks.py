"""Tell the database which task is called when a job of another one has ended badly."""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from workrow.database.held import Held
from workrow.enqueue.failure_hook import row_of
from workrow.errors import ConfigurationError
from workrow.tasks import Task

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
"""After a row was held by somebody's open transaction."""


class FailureHooks:
    """Declares the hooks of one app; the trigger ``workrow_call_failure_hook`` enqueues their jobs.

    Args:
        tasks: the app's, by name and alias.
        default: the hook of those that do not say.
        run: runs a statement of ``workrow/sql`` and returns its rows.

    Raises:
        ConfigurationError: a hook is no task of the app, or cannot be one.

    Attributes:
        declared: it is done.
    """

    def __init__(
        self,
        tasks: Mapping[str, Any],
        default: Task[..., Any] | str | None,
        run: Callable[..., Awaitable[list[tuple[Any, ...]]]],
    ) -> None:
        self._run = run
        self._next_at = 0.0
        self.declared = False
        own = {name: task for name, task in tasks.items() if isinstance(task, Task)}
        hooks = {name: _found(task, default, own) for name, task in own.items()}
        called = {hook.name for hook in hooks.values() if hook}
        # a hook calls no hook: its failure would call itself
        self._rows = [
            {"task_name": name, **row_of(hook, hook.declared)}
            for name, hook in hooks.items()
            if hook is not None and own[name].name not in called
        ]
        self._names = sorted(own)

    async def declare(self) -> None:
        """Write them down, if that was not done; what a transaction holds is tried again later."""
        if self.declared or time.monotonic() < self._next_at:
            return
        try:
            await self._run("declare_failure_hooks", tasks=self._names, hooks=json.dumps(self._rows))
        except Held:
            logger.warning("failure hooks are declared later: an open transaction holds one of them")
            self._next_at = time.monotonic() + AGAIN_SECONDS
        else:
            self.declared = True


def _found(
    task: Task[..., Any], default: Task[..., Any] | str | None, tasks: Mapping[str, Task[..., Any]]
) -> Task[..., Any] | None:
    hook = default if task.on_failure is ... else task.on_failure
    if hook is None:
        return None
    name = hook if isinstance(hook, str) else hook.name
    if name not in tasks:
        raise ConfigurationError(
            f"on_failure of task {task.name}: no task is named {name!r} in this app; is its blueprint included?"
        )
    return tasks[name]
