"""What the value of a setting means here: refused, or told once that it means nothing."""

from typing import Any
from urllib.parse import urlsplit

from workrow.celery.codec import check_serializer
from workrow.celery.conf.known import known, reason

JSON_ONLY = ("accept_content", "result_accept_content", "task_serializer", "result_serializer")
_PICKLE = ("pickle", "application/x-python-serialize")
_JSON = ("json", "application/json")
_POOLS = ("prefork", "processes", "threads", "solo")


def check(name: str, value: Any) -> None:
    """Refuses what cannot be.

    Args:
        name: new name of the setting.

    Raises:
        ContentDisallowed: arguments or results would be pickled, or written by another serializer than JSON.
        SerializerNotInstalled: a serializer that kombu does not know either.
    """
    if name in ("task_serializer", "result_serializer"):
        check_serializer(value, name)
    elif name in JSON_ONLY:
        for kind in _listed(value):
            if kind in _PICKLE:
                check_serializer(kind, name)


def notice(name: str, value: Any) -> str | None:
    """Why this value of a setting means nothing here; None: it means what it means in Celery, or is the default.

    Args:
        name: new name of the setting.
    """
    setting = known()[name]
    if value == setting.default or setting.meaning == "used":
        return None
    if setting.meaning == "json only":
        return None if all(kind in _JSON for kind in _listed(value)) else "only JSON is written and read"
    if (setting.meaning == "pool" and value in _POOLS) or (setting.meaning == "colour" and not value):
        return None
    if name in ("broker_url", "result_backend") and all(map(is_database, _listed(value))):
        return None
    if name == "result_backend" and str(value).partition(":")[0] == "disabled":
        return None
    return reason(setting.meaning)


def is_database(url: Any) -> bool:
    """Whether a ``broker_url`` or ``result_backend`` is the database: ``postgresql://…``, also as ``db+postgresql://…``."""
    scheme = urlsplit(str(url).removeprefix("db+")).scheme
    return scheme.partition("+")[0] in ("postgresql", "postgres")


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
