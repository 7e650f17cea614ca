"""From a row's arguments to what a task is called with."""

from collections.abc import Callable
from typing import Any

import procrastinate

from workrow.arguments.results import Coded, Kind
from workrow.tasks import Task
from workrow.worker.outcome import Claimed


def loader(task: procrastinate.tasks.Task[Any, Any, Any]) -> Callable[[Claimed], dict[str, Any]] | None:
    """What makes the arguments of a job; None where they are the row's, and nothing is to be checked."""
    if not isinstance(task, Task) or not (task.parameters.checked or task.payload.upcast):
        return None
    if task.execution.run_in:
        # the child makes the values: what JSON holds can always be sent there
        return lambda claimed: task.payload.upcasted(claimed.args, claimed.version)
    if task.payload.upcast:
        return lambda claimed: task.load(claimed.args, claimed.version)
    load = task.loads
    return lambda claimed: load(claimed.args)


def result_of(task: procrastinate.tasks.Task[Any, Any, Any]) -> Kind | None:
    """What the task returns, if that is more than plain JSON."""
    own = task.returns if isinstance(task, Task) and task.returns.converted else None
    codec = getattr(task.blueprint, "codec", None)
    return own if codec is None else Coded(codec, own)
