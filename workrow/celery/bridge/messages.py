"""A message of Celery's as a call of ours: what a producer publishes, and what waits in its broker."""

import json
from collections.abc import Mapping
from functools import cache
from inspect import signature
from typing import Any

from workrow.celery import codec
from workrow.celery.message import aware
from workrow.celery.priorities import job_priority
from workrow.celery.rates import rate_of
from workrow.declare.limits import Line
from workrow.errors import brief

OF_HEADERS = (
    *("root_id", "parent_id", "group", "group_index", "retries", "shadow", "ignore_result", "replaced_task_nesting"),
    *("origin", "stamped_headers", "eta", "expires"),
)
"""Headers of protocol 2 that a job carries under the same name."""
OF_PROTOCOL = {*OF_HEADERS, "lang", "task", "id", "timelimit", "argsrepr", "kwargsrepr", "stamps", "compression"}
OF_TRANSPORT = {
    *("body_encoding", "correlation_id", "delivery_info", "delivery_mode", "delivery_tag", "expiration", "priority"),
    "reply_to",
}


class Unmovable(Exception):
    """A message that stays where it is; its text says why."""


def call_of(
    headers: Mapping[str, Any],
    body: str | bytes,
    properties: Mapping[str, Any],
    queue: str,
    content_type: str,
    rate_limit: tuple[str, Any] | None = None,
) -> dict[str, Any]:
    """The call that a message is, as ``celery_write_v1`` takes it.

    Args:
        headers: of the message; without ``task`` it is of protocol 1.
        body: its text, neither encoded nor compressed.
        properties: of the message.
        queue: that the call goes to.
        content_type: of the body.
        rate_limit: the task's own queue and its ``rate_limit``.

    Raises:
        Unmovable: it is no JSON, or no call.
    """
    if content_type != "application/json":
        raise Unmovable(f"its content is {content_type}, and only JSON is stored here")
    try:
        told = json.loads(body)
        name, carried = _protocol_2(headers, told) if headers.get("task") else _protocol_1(told)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unmovable(f"it is no call of a task: {brief(error)}") from error
    for option in ("reply_to", "correlation_id"):
        if properties.get(option):
            carried[option] = properties[option]
    if others := {key: value for key, value in properties.items() if key not in OF_TRANSPORT}:
        carried["properties"] = codec.pack(others)
    call: dict[str, Any] = {"task": name, "queue": queue, "args": carried}
    priority = properties.get("priority")
    if priority is not None:
        carried["priority"] = priority
    call["priority"] = job_priority(priority)
    if carried.get("eta"):
        call["at"] = aware(carried["eta"]).isoformat()
    if rate_limit is not None and rate_limit[1]:
        call["line"] = _line(name, rate_limit[0], str(rate_limit[1])).of(queue, {})
    return call


@cache
def _line(name: str, queue: str, rate_limit: str) -> Line:
    return Line(name, queue, rate_of(rate_limit), signature(lambda: None))


def _protocol_2(headers: Mapping[str, Any], told: Any) -> tuple[str, dict[str, Any]]:
    args, kwargs, embed = told
    carried = {name: headers[name] for name in OF_HEADERS if headers.get(name) is not None}
    if (limits := headers.get("timelimit")) and [*limits] != [None, None]:
        carried["timelimit"] = [*limits]
    if own := {key: value for key, value in headers.items() if key not in OF_PROTOCOL}:
        carried["headers"] = own
    if headers.get("stamps"):
        carried["stamps"] = headers["stamps"]
    carried |= {name: value for name, value in (embed or {}).items() if value}
    return str(headers["task"]), _carried(headers["id"], args, kwargs, carried)


def _protocol_1(told: Any) -> tuple[str, dict[str, Any]]:
    kept = ("group", "group_index", "retries", "eta", "expires", "timelimit", "callbacks", "errbacks", "chord")
    carried = {name: told[name] for name in kept if told.get(name) is not None}
    if carried.get("timelimit") == [None, None]:
        del carried["timelimit"]
    if told.get("taskset"):
        carried.setdefault("group", told["taskset"])
    return str(told["task"]), _carried(told["id"], told.get("args"), told.get("kwargs"), carried)


def _carried(task_id: Any, args: Any, kwargs: Any, carried: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(task_id, str) or not isinstance(args or [], list) or not isinstance(kwargs or {}, dict):
        raise TypeError("an id, a list and a dict are expected")
    for when in ("eta", "expires"):
        if carried.get(when):
            carried[when] = aware(carried[when]).isoformat()
    carried.setdefault("root_id", task_id)
    packed = ("chain", "chord", "callbacks", "errbacks", "headers", "stamps")
    return {
        **{name: codec.pack(value) if name in packed else value for name, value in carried.items()},
        "id": task_id, "args": codec.pack(args or []), "kwargs": codec.pack(kwargs or {}),
    }  # fmt: skip
