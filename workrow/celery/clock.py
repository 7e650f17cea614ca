"""The time that schedules go by: this computer's, and in beat that of the database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_moment: ContextVar[datetime | None] = ContextVar("moment", default=None)


def now() -> datetime:
    """In UTC."""
    return _moment.get() or datetime.now(UTC)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Inside, it is that moment."""
    token = _moment.set(moment)
    try:
        yield
    finally:
        _moment.reset(token)


def local_zone() -> tzinfo:
    """The computer's: of ``$TZ`` or ``/etc/localtime`` if they name one, else its offset of today."""
    name = os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = datetime.now().astimezone().tzinfo
        return UTC if found is None else found
