"""The entries of celery-redbeat."""

import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from workrow.celery.beat.brought.entries import NEVER, BringError, Found, Refusal, Refused

SOURCE = "redbeat"
PREFIX = "redbeat:"
"""The default of ``redbeat_key_prefix``."""


def entries(url: str, prefix: str = PREFIX) -> Iterator[Found | Refused]:
    """All entries of celery-redbeat 2.

    Args:
        url: of the Redis.
        prefix: ``redbeat_key_prefix``.

    Raises:
        BringError: the package redis is not installed, or Redis cannot be reached.
    """
    try:
        redis: Any = importlib.import_module("redis")
    except ImportError as error:
        raise BringError("--redbeat: reading Redis needs its client: pip install redis") from error
    try:
        with redis.Redis.from_url(url, decode_responses=True) as client:
            keys = client.zrange(f"{prefix}:schedule", 0, -1)
            texts = [(key, client.hmget(key, "definition", "meta")) for key in keys]
    except (redis.RedisError, ValueError) as error:
        raise BringError(f"--redbeat: {error}") from error
    for key, (definition, meta) in texts:
        try:
            yield read(definition, meta)
        except Refusal as error:
            yield Refused(key.removeprefix(prefix), str(error))


def read(definition: str | None, meta: str | None) -> Found:
    """An entry.

    Args:
        definition, meta: the two fields of its hash.

    Raises:
        Refusal: it cannot be taken.
    """
    try:
        told = json.loads(definition or "")
        last = _revived(json.loads(meta or "{}")).get("last_run_at")
        name, task = told["name"], told["task"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refusal(f"its hash holds no entry of redbeat: {error}") from error
    args, kwargs, options = (_revived(told.get(each)) for each in ("args", "kwargs", "options"))
    return Found(
        name,
        task,
        _schedule(told.get("schedule")),
        args or [],
        kwargs or {},
        options or {},
        enabled=bool(told.get("enabled", True)),
        last_run_at=last or NEVER,
    )


def _schedule(told: Any) -> dict[str, Any]:
    kind = told.get("__type__") if isinstance(told, dict) else None
    rest = {name: value for name, value in told.items() if name != "__type__"} if kind else {}
    if kind == "interval":
        return {"every": rest["every"], "relative": bool(rest.get("relative"))}
    if kind == "crontab":
        return {"crontab": rest}
    if kind == "rrule":
        raise Refusal("its schedule is an rrule, which there is not here: put it into a crontab or an interval")
    raise Refusal(f"its schedule is none that is known: {json.dumps(told)[:100]}")


def _revived(value: Any) -> Any:
    """With the times that redbeat writes in its own way."""
    if isinstance(value, list):
        return [_revived(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__type__")
    if kind == "datetime" and "year" in value:
        zone = value.get("timezone", "UTC")
        fields = {name: each for name, each in value.items() if name not in ("__type__", "timezone")}
        return datetime(**fields, tzinfo=ZoneInfo(zone) if isinstance(zone, str) else _offset(zone))
    if kind in ("interval", "crontab", "rrule", "weekday"):
        raise Refusal(f"its arguments hold a schedule ({kind}), which is no JSON")
    return {name: _revived(each) for name, each in value.items()}


def _offset(seconds: float) -> timezone:
    return timezone(timedelta(seconds=seconds)) if seconds else UTC
