"""Attributes of tasks that the setting ``task_annotations`` changes."""

from collections.abc import Callable, Iterable, Mapping
from inspect import getattr_static
from types import FunctionType, MethodType
from typing import Any

from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.named import named
from workrow.errors import brief


def annotate(task: Any, annotations: Any) -> None:
    """Change the attributes of a task as ``task_annotations`` says.

    The first annotation that names the task is applied, and over it the first that is for all. The value of ``@run`` is
    a function: it is given the task's ``run``, and returns the new one.

    Args:
        task: an instance or a class.
        annotations: a dict of task names, or ``"*"`` for all, and attributes; an object with ``annotate(task)``,
            ``annotate_any()`` or both; the path of one; or a list of these. None: nothing.

    Raises:
        ImproperlyConfigured: one is none of these.
    """
    if annotations is None:
        return
    told = [_annotation(each) for each in (annotations if isinstance(annotations, (list, tuple)) else [annotations])]
    _apply(task, next(filter(None, (_of_task(each, task) for each in told)), {}))
    _apply(task, next(filter(None, (_of_all(each) for each in told)), {}))


def _annotation(told: Any) -> Any:
    made = named(told) if isinstance(told, str) else told
    if isinstance(made, type):
        made = made()
    if not (isinstance(made, Mapping) or hasattr(made, "annotate") or hasattr(made, "annotate_any")):
        raise ImproperlyConfigured(
            f"task_annotations: {brief(told)}: a dict of task names and attributes, an object with annotate or "
            "annotate_any, or the path of one"
        )
    return made


def _of_task(annotation: Any, task: Any) -> Any:
    if isinstance(annotation, Mapping):
        return annotation.get(task.name)
    return annotation.annotate(task) if hasattr(annotation, "annotate") else None


def _of_all(annotation: Any) -> Any:
    if isinstance(annotation, Mapping):
        return annotation.get("*")
    return annotation.annotate_any() if hasattr(annotation, "annotate_any") else None


def _apply(task: Any, told: Any) -> None:
    try:
        attributes: Iterable[tuple[str, Any]] = dict(told).items()
    except (TypeError, ValueError):
        raise ImproperlyConfigured(f"task_annotations: {brief(told)}: a dict of attributes of {task.name}") from None
    for name, value in attributes:
        if not isinstance(name, str):
            raise ImproperlyConfigured(f"task_annotations: {brief(name)}: the name of an attribute of {task.name}")
        if name.startswith("@"):
            _decorate(task, name[1:], value)
        else:
            _set(task, name, value)


def _decorate(task: Any, name: str, decorator: Callable[[Any], Any]) -> None:
    """Functions are given, and taken back, as they stand in a class: with the task as their first argument."""
    there = getattr_static(task, name, None)
    if isinstance(there, staticmethod):
        made: Any = staticmethod(decorator(there.__func__))
    elif isinstance(there, FunctionType) and (isinstance(task, type) or name not in vars(task)):
        made = decorator(there)
    else:
        made = decorator(getattr(task, name, None))
        made = staticmethod(made) if isinstance(made, FunctionType) else made
    _set(task, name, made)


def _set(task: Any, name: str, value: Any) -> None:
    if isinstance(task, type):
        setattr(task, name, value)
    elif name.startswith("__"):  # Python looks these up in the class
        setattr(type(task), name, value)
    elif isinstance(value, staticmethod):
        setattr(task, name, value.__func__)
    else:
        setattr(task, name, MethodType(value, task) if isinstance(value, FunctionType) else value)
