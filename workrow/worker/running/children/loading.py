"""From a row's arguments to what a task is called with."""

from collections.abc import Callable
from typing import Any

import procrastinate

from workrow.arguments.codec import Codec
from workrow.arguments.results import Coded, Kind
from workrow.tasks import Task
from workrow.worker.outcome import Claimed


def loader(
    task: procrastinate.tasks.Task[Any, Any, Any], codec: Codec | None
) -> Callable[[Claimed], dict[str, Any]] | None:
    """What makes the arguments of a job; None where they are the row's, and nothing is to be checked.

    Args:
        task: the task, which may belong to another app than the worker's.
        codec: what the worker's app has read the row with.
    """
    if not isinstance(task, Task) or not (task.parameters.checked or task.payload.upcast):
        return None
    if task.execution.run_in:
        # the child makes the values: what JSON holds can always be sent there
        return lambda claimed: task.payload.upcasted(claimed.args, claimed.version)
    if task.payload.upcast:
        return lambda claimed: task.load(claimed.args, claimed.version, codec)
    load = task.loads(codec)
    return lambda claimed: load(claimed.args)


def result_of(task: procrastinate.tasks.Task[Any, Any, Any], codec: Codec | None) -> Kind | None:
    """What the task returns, if that is more than plain JSON; ``codec`` is of the worker's app."""
    own = task.returns if isinstance(task, Task) and task.returns.converted else None
    return own if codec is None else Coded(codec, own)
