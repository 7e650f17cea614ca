"""Attributes of tasks that the settings change."""

from typing import Any


def annotate(task: Any, annotations: Any) -> None:
    """Change the attributes of a task as ``task_annotations`` says."""
    if isinstance(annotations, dict):
        for name in ("*", task.name):
            vars(task).update(annotations.get(name, {}))
