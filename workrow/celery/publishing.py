"""What ``before_task_publish`` and ``after_task_publish`` are told of a call."""

import os
import socket
from collections.abc import Mapping
from typing import Any

from workrow.celery import codec
from workrow.celery.queues import Exchange, Queue

REPR_MAX = 1024
"""Characters of ``argsrepr`` and ``kwargsrepr``, at most; as Celery's ``argsrepr_maxsize``."""
IN_BODY = ("args", "kwargs", "callbacks", "errbacks", "chain", "chord", "headers", "properties")
UNSAID: dict[str, Any] = {
    **dict.fromkeys(("eta", "expires", "group", "group_index", "parent_id", "shadow", "stamped_headers")),
    "ignore_result": False,
    "replaced_task_nesting": 0,
    "retries": 0,
    "timelimit": [None, None],
}


def headers_of(
    name: str, told: Mapping[str, Any], args: Any, kwargs: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The headers that the message of a call would have.

    Args:
        name: of the task.
        told: what its job carries.
        args, kwargs, options: of the call.
    """
    return {
        **UNSAID,
        **{key: value for key, value in told.items() if key not in IN_BODY},
        "task": name,
        "lang": "py",
        "stamps": options.get("stamps") or codec.unpack(told.get("stamps", {})),
        "argsrepr": options.get("argsrepr") or _shown(tuple(args or ())),
        "kwargsrepr": options.get("kwargsrepr") or _shown(dict(kwargs or {})),
        "origin": f"gen{os.getpid()}@{socket.gethostname()}",
        **(options.get("headers") or {}),
    }


def message_of(told: Mapping[str, Any], args: Any, kwargs: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The rest of it: body and addresses."""
    embed = {key: codec.unpack(told.get(key)) for key in ("callbacks", "errbacks", "chain", "chord")}
    queue = options["queue"]
    properties = {"correlation_id": told["id"], "priority": options.get("priority"), "delivery_mode": 2}
    return {
        "body": (tuple(args or ()), dict(kwargs or {}), embed),
        "exchange": "",
        "routing_key": queue,
        "properties": properties,
        "declare": [Queue(queue, Exchange(queue), queue)],
        "retry_policy": {},
    }


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= REPR_MAX else f"{text[: REPR_MAX - 3]}..."
