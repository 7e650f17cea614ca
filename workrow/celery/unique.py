"""Calls of tasks with ``unique=``: while one call has a key, whoever calls again gets the handle of that one."""

import inspect
from collections.abc import Mapping
from typing import Any

from workrow.celery import codec, outbox
from workrow.celery.canvas.links import listed
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.declare.unique import Unique, as_unique, check_names, keys_of

WAITED_FOR = ("chain", "chord", "link", "link_error")
"""Options of a call that name what comes after it."""
PART_OF = (*WAITED_FOR, "group_id", "replaced_task_nesting")
"""Options of a call that others have the id of, or wait for: it cannot be dropped for another one."""


def rule_of(task: Any, options: Mapping[str, Any]) -> Unique | None:
    """What its call or its task says. A retry is the same call, which has its key already; what is never sent has none.

    Raises:
        OptionError: it is no rule.
    """
    box = outbox.open_box()
    if options.get("retries") or (box is not None and not box.is_kept):
        return None
    told = options["unique"] if "unique" in options else getattr(task, "unique", None)
    return as_unique(tuple(told) if isinstance(told, list) else told)  # JSON has no tuples


def key_of(name: str, task: Any, rule: Unique, args: Any, kwargs: Any) -> str:
    """What calls that count as the same share.

    Raises:
        ImproperlyConfigured: the app does not have the task, and so does not know its arguments.
        OptionError: the rule names an argument that the task does not have.
        TypeError: the arguments do not fit.
        EncodeError: they are not JSON.
    """
    if rule.by is None:
        return name
    if task is None:
        raise ImproperlyConfigured(
            f"{name}: unique={rule.by!r}: this app has no such task, and does not know its arguments: import it, or "
            "give Unique(by=None)"
        )
    signature = inspect.signature(task.run)
    check_names(rule, signature)
    bound = signature.bind(*(args or ()), **(kwargs or {}))
    bound.apply_defaults()
    given = dict(bound.arguments)
    for each in signature.parameters.values():
        if each.kind is each.VAR_KEYWORD:
            given |= given.pop(each.name)
    chosen = given if rule.by == "args" else {each: given.get(each) for each in rule.by}
    return keys_of(name, rule, inspect.Signature(), [codec.pack(chosen)])[0]


def check_alone(name: str, options: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured for a call that is to be unique, and is a part of something."""
    if outbox.open_box() or any(options.get(each) for each in PART_OF):
        raise _refused(name)


def check_parts(tasks: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured if what comes after a call is to be unique."""
    left = [each for name in WAITED_FOR for each in listed(options.get(name))]
    while left:
        part = left.pop()
        if not isinstance(part, Mapping):
            continue
        told = part.get("options") or {}
        if rule_of(tasks.get(part["task"]), {**told, "retries": 0}) is not None:
            raise _refused(part["task"])
        inside = part.get("kwargs") or {}
        if part.get("subtask_type"):
            left += [*listed(inside.get("tasks")), *listed(inside.get("header")), *listed(inside.get("body"))]
        left += [each for name in WAITED_FOR for each in listed(told.get(name))]


def _refused(name: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{name} is unique, and a call of it that is dropped for another one would leave what follows it, or waits for "
        f"it, without an end: call it by itself, without links, or give this call unique=None"
    )
