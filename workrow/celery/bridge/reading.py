"""Results that Celery's workers have left in Redis."""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from workrow.celery import states
from workrow.celery.exceptions import ImproperlyConfigured

KEY = "celery-task-meta-"


class Theirs(NamedTuple):
    """How a run on Celery has ended.

    Attributes:
        state: ``SUCCESS``, ``FAILURE``, ``REVOKED`` …
        value: its result, or ``{"exc_type", "exc_message", "exc_module"}``.
        done_at: when.
    """

    state: str
    value: Any
    done_at: datetime | None


def is_redis(url: Any) -> bool:
    """Whether results are kept in Redis."""
    return isinstance(url, str) and url.startswith(("redis://", "rediss://"))


def redis_at(url: str) -> Any:
    """A client of a Redis.

    Raises:
        ImproperlyConfigured: the package ``redis`` is not installed.
    """
    try:
        import redis
    except ImportError as error:
        raise ImproperlyConfigured("Redis can only be read with the package redis: pip install redis") from error
    return redis.Redis.from_url(url)


class Reader:
    """Reads results.

    Args:
        url: ``result_backend``.
        prefix: ``global_keyprefix`` of ``result_backend_transport_options``.
    """

    def __init__(self, url: str, prefix: str = "") -> None:
        self._redis = redis_at(url)
        self._prefix = prefix

    def of(self, task_id: str) -> Theirs | None:
        """How a call has ended; None: it has not, as far as anybody knows."""
        text = self._redis.get(f"{self._prefix}{KEY}{task_id}")
        if text is None:
            return None
        meta = json.loads(text)
        if meta.get("status") not in states.READY_STATES:
            return None
        done = meta.get("date_done")
        at = datetime.fromisoformat(done) if isinstance(done, str) else None
        return Theirs(meta["status"], meta.get("result"), at if at is None or at.tzinfo else at.replace(tzinfo=UTC))
