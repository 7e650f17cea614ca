"""A call on its way: what its job carries, and the request that a worker makes of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from workrow.celery import codec
from workrow.celery.canvas.links import listed
from workrow.celery.request import Context

IN_MESSAGE = frozenset(
    (
        *("root_id", "parent_id", "group_id", "group_index", "chord", "chain", "retries", "shadow", "reply_to"),
        *("ignore_result", "replaced_task_nesting", "correlation_id", "origin", "stamped_headers"),
        *("argsrepr", "kwargsrepr"),
    )
)
"""Options of a call that its job carries under their own names; of a group's id without the ending."""
KNOWN = {
    *IN_MESSAGE,
    *("add_to_parent", "compression", "connection", "countdown", "delivery_mode", "eta", "exchange", "exchange_type"),
    *("expires", "headers", "immediate", "link", "link_error", "mandatory", "priority", "producer", "publisher"),
    *("queue", "retry", "retry_policy", "routing_key", "serializer", "soft_time_limit", "stamps", "time_limit"),
    "unique",
}
PACKED = frozenset(
    ("args", "kwargs", "chain", "chord", "callbacks", "errbacks", "headers", "stamps", "properties")
)  # fmt: skip


UNSAID = dict.fromkeys(
    (
        *("callbacks", "chain", "chord", "errbacks", "eta", "expires", "group", "group_index", "headers", "hostname"),
        *("origin", "parent_id", "properties", "reply_to", "shadow", "stamped_headers"),
    )
) | {"is_eager": False, "retries": 0, "replaced_task_nesting": 0, "_protected": 0}
"""What the request of each call has, said or not: who goes through its ``__dict__`` finds it."""


def message(task_id: str, args: Any, kwargs: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the job of a call carries; what is not said is left out.

    Args:
        task_id: of the call.
        args, kwargs: of the task.
        options: of ``apply_async``, with the queue that was found.

    Raises:
        EncodeError: something of it is no JSON.
        KeyError: ``stamped_headers`` names what is not there.
        TypeError: args or kwargs are none; a countdown is no number.
    """
    if not isinstance(args or (), list | tuple):
        raise TypeError("task args must be a list or tuple")
    if not isinstance(kwargs or {}, Mapping):
        raise TypeError("task keyword arguments must be a mapping")
    told: dict[str, Any] = {"id": task_id, "args": [*(args or ())], "kwargs": dict(kwargs or {})}
    for name in IN_MESSAGE.intersection(options):
        if options[name] is not None:
            told["group" if name == "group_id" else name] = options[name]
    told.setdefault("root_id", task_id)
    for name, option in (("callbacks", "link"), ("errbacks", "link_error")):
        if links := listed(options.get(option)):
            told[name] = links
    for name, when in (("eta", _eta_of(options)), ("expires", expiry_of(options.get("expires")))):
        if when is not None:
            told[name] = when.isoformat()
    limits = [options.get("time_limit"), options.get("soft_time_limit")]
    if limits != [None, None]:
        told["timelimit"] = limits
    if options.get("headers"):
        told["headers"] = options["headers"]
    if stamps := _stamps_of(options):
        told["stamps"] = stamps
    if others := {name: value for name, value in options.items() if name not in KNOWN and name not in stamps}:
        told["properties"] = others
    return {name: codec.pack(value) if name in PACKED else value for name, value in told.items()}


def _stamps_of(options: Mapping[str, Any]) -> dict[str, Any]:
    names = options.get("stamped_headers") or ()
    if missing := [name for name in names if name not in options]:
        raise KeyError(f"stamped_headers={names!r}: give apply_async(…, {missing[0]}=…) too, or leave it out")
    return {name: options[name] for name in names}


def due_of(options: Mapping[str, Any]) -> datetime | None:
    """When it is to run; None: at once. A naive ``eta`` is UTC; a countdown goes before it."""
    countdown, eta = options.get("countdown"), options.get("eta")
    if countdown is not None:
        return datetime.now(UTC) + timedelta(seconds=_seconds(countdown))
    return None if eta is None else aware(eta)


def _eta_of(options: Mapping[str, Any]) -> datetime | None:
    """What the request says: a naive time as it was given, and of no countdown nothing."""
    eta = options.get("eta")
    if options.get("countdown") is None and isinstance(eta, datetime):
        return eta
    return due_of(options) if options.get("countdown") != 0 else None


def delay_of(options: Mapping[str, Any]) -> float | None:
    """Its countdown in seconds, if there is one ahead."""
    countdown = options.get("countdown")
    return _seconds(countdown) if countdown is not None and _seconds(countdown) > 0 else None


def _seconds(countdown: Any) -> float:
    if isinstance(countdown, timedelta):
        return countdown.total_seconds()
    if isinstance(countdown, str):
        raise TypeError(f"countdown={countdown!r}: must be a number of seconds, not text")
    return float(countdown)


def expiry_of(expires: Any) -> datetime | None:
    """When it is too late to start: after so many seconds, or at a time, which is UTC if it is naive."""
    if expires is None:
        return None
    if isinstance(expires, int | float):
        return datetime.now(UTC) + timedelta(seconds=expires)
    return aware(expires)


def aware(when: datetime | str) -> datetime:
    """A time with a zone, of a datetime or ISO text."""
    found = datetime.fromisoformat(when) if isinstance(when, str) else when
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def request_of(name: str, told: Mapping[str, Any], **worker: Any) -> Context:
    """The request of a call, from what its job carries and what its worker knows."""
    found = dict(told)
    for key in PACKED.intersection(found):
        found[key] = codec.unpack(found[key])
    headers = found.get("headers")
    limits = found.get("timelimit") or [None, None]
    request = Context()
    # one dict at once: it is made for each call
    request.__dict__ = {
        **UNSAID,
        **(headers if isinstance(headers, dict) else {}),
        **found,
        "task": name,
        "called_directly": False,
        **worker,
        "correlation_id": found.get("correlation_id", found["id"]),
        "lang": "py",
        "argsrepr": found.get("argsrepr") or repr(tuple(found["args"])),
        "kwargsrepr": found.get("kwargsrepr") or repr(found["kwargs"]),
        "stamps": found.get("stamps", {}),
        "ignore_result": found.get("ignore_result"),
        "timelimit": limits,
        "time_limit": limits[0],
        "soft_time_limit": limits[1],
    }
    return request


def delivery_of(told: Mapping[str, Any], queue: str, again: bool = False) -> dict[str, Any]:
    """``request.delivery_info`` of a call: from what its job carries, its queue, and whether it has run before."""
    return {"exchange": "", "routing_key": queue, "priority": told.get("priority", 0), "redelivered": again}
