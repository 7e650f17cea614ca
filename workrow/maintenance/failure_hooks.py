"""Tell the database which task is called when a job of another one has ended badly."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pydantic_core

from workrow.database.held import AGAIN_SECONDS, Held
from workrow.database.link import Link
from workrow.declare.failure import Failure
from workrow.enqueue.failure_hook import row_of
from workrow.errors import ConfigurationError
from workrow.logs import get_logger
from workrow.tasks import Task

logger = get_logger(__name__)

EXAMPLE = Failure(
    job_id=1,
    task="a task",
    queue="a queue",
    args={},
    status="failed",
    reason="failed",
    error_type="ValueError",
    error_message="a message",
    traceback="a traceback",
    attempts=1,
    crashes=0,
    failed_at=datetime(2026, 1, 1, tzinfo=UTC),
)
"""What a hook is told, to see that it can be."""
Run = Callable[..., Awaitable[list[tuple[Any, ...]]]]


class FailureHooks:
    """Declares the hooks of one app; the trigger ``workrow_call_failure_hook`` enqueues their jobs.

    Args:
        tasks: the app's, by name and alias.
        default: the hook of those that do not say.
        link: where they are written down.

    Raises:
        ConfigurationError: a hook is no task of the app, or cannot be one.
    """

    def __init__(
        self,
        tasks: Mapping[str, Any],
        default: Task[..., Any] | str | None,
        link: Link,
    ) -> None:
        self._link = link
        self._next_at = 0.0
        own = {name: task for name, task in tasks.items() if isinstance(task, Task)}
        hooks = {name: _found(task, default, own) for name, task in own.items()}
        called = {hook.name for hook in hooks.values() if hook}
        # a hook calls no hook: its failure would call itself
        self._rows = {
            name: {"task_name": name, **row_of(hook, hook.declared)}
            for name, hook in hooks.items()
            if hook is not None and own[name].name not in called
        }
        self._undeclared = sorted(own)

    @property
    def declared(self) -> bool:
        """All are."""
        return not self._undeclared

    async def declare(self) -> None:
        """Write down those that are not; what a transaction holds is left alone and tried again later."""
        if self.declared or time.monotonic() < self._next_at:
            return
        try:
            await self._write_down(self._undeclared, self._link.run)
        except Held:
            self._next_at = time.monotonic() + AGAIN_SECONDS
        else:
            self._undeclared = []
            return
        held = []
        for name in self._undeclared:
            try:
                await self._write_down([name], self._link.run_briefly)
            except Held:
                held.append(name)
                logger.warning("%s: its failure hook is declared later: an open transaction holds the row", name)
        self._undeclared = held

    async def _write_down(self, names: list[str], run: Run) -> None:
        rows = [self._rows[name] for name in names if name in self._rows]
        await run("declare_failure_hooks", tasks=names, hooks=json.dumps(rows))


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
    _check_takes_failure(task.name, tasks[name])
    return tasks[name]


def _check_takes_failure(task: str, hook: Task[..., Any]) -> None:
    """Raise ConfigurationError for a hook of this task whose annotation refuses what it is told."""
    argument = row_of(hook, hook.declared)["argument"]
    try:
        hook.parameters.load({argument: pydantic_core.to_jsonable_python(EXAMPLE)})
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"on_failure of task {task}: {hook.name}{hook.signature} does not take a workrow.Failure: annotate "
            f"{argument!r} so, or with dict ({error})"
        ) from None
