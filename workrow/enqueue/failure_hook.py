"""The row of a job that is enqueued where there is no Python: of a failure hook."""

from inspect import Parameter
from typing import Any

from workrow.declare.limits import HELD
from workrow.declare.options import Options
from workrow.enqueue.target import Target
from workrow.errors import OptionError

DROPPING = ("queueing_lock", "unique", "debounce", "throttle", "expires", "delay", "at")
"""Options with which a job may not come to be, or not run."""


def row_of(hook: Target, options: Options) -> dict[str, Any]:
    """What a job of this hook has, but for the failure.

    Args:
        hook: the task that is called.
        options: what its jobs start from.

    Raises:
        OptionError: it cannot be enqueued for each failure.
    """
    for name in DROPPING:
        if getattr(options, name) is not None:
            raise OptionError(
                f"on_failure={hook.name}: its {name}={getattr(options, name)!r} could keep a failure from it; drop it"
            )
    if hook.line is not None and hook.line.has_keys:
        raise OptionError(f"on_failure={hook.name}: a limit of its own must have no key")
    needed = [
        name
        for name, each in hook.signature.parameters.items()
        if each.default is Parameter.empty and each.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    ]
    if len(needed) != 1:
        takes = ", ".join(needed) or "none"
        raise OptionError(f"on_failure={hook.name}: must take one argument, the workrow.Failure, and takes {takes}")
    version = hook.payload.stored_version
    return {
        "hook_name": hook.name,
        "argument": needed[0],
        "queue_name": options.queue,
        "priority": options.priority,
        "lock": options.lock,
        "line": None if hook.line is None else hook.line.of(options.queue, {}, version),
        "scheduled_at": None if hook.line is None else HELD.isoformat(),
        "version": version,
    }
