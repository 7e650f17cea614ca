"""What a worker says of the tasks that it knows."""

from collections.abc import Mapping
from typing import Any

from workrow.tasks import Task


def hidden_arguments(tasks: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names of the arguments that are not to be shown, by the task's name or alias."""
    return {name: sorted(task.hidden) for name, task in tasks.items() if isinstance(task, Task) and task.hidden}


def known_versions(tasks: Mapping[str, Any]) -> list[str]:
    """``"name:version"`` of all versions above 1 that a worker can run: what their jobs are claimed by."""
    return [
        f"{name}:{version}"
        for name, task in tasks.items()
        if isinstance(task, Task)
        for version in range(2, task.payload.version + 1)
    ]
