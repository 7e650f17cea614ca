"""What is stored of a task's arguments: the version of its signature, and how much there may be of them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workrow.errors import OptionError, brief, is_whole

Arguments = dict[str, Any]
Upcast = Callable[[int, Arguments], Arguments]

VERSION_MAX = 2**15 - 1
MAX_PAYLOAD = 64 * 1024
"""Bytes of JSON that one job's arguments may take: a queue's table is read and rewritten all the time."""
PAYLOAD_LEAST = 64
MAX_RESULT = 1024 * 1024
"""Bytes of JSON that one job's result may take: the worker holds it, and a statement carries many."""
RESULT_MOST = 2**28 - 1
"""jsonb holds no more. https://www.postgresql.org/docs/current/datatype-json.html"""


class Misfit(TypeError):
    """A stored payload does not fit the task's signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What is stored of a task's arguments. Checked when made.

    Args:
        version: of the signature; a row without one has version 1.
        upcast: makes the arguments of an older version into those of this one: ``upcast(version, args)``, with the
            stored JSON as a dict; returns the new dict.
        max_payload: bytes of JSON; None: what the app says.

    Raises:
        OptionError: a value that cannot work, or an upcast without an older version.
    """

    version: int = 1
    upcast: Upcast | None = None
    max_payload: int | None = None

    def __post_init__(self) -> None:
        if not is_whole(self.version, 1, VERSION_MAX):
            raise OptionError(f"version={brief(self.version)}: must be a whole number from 1 to {VERSION_MAX}")
        if self.upcast is not None:
            if not callable(self.upcast) or inspect.iscoroutinefunction(self.upcast):
                raise OptionError(f"upcast={self.upcast!r}: must be a plain function of (version, args)")
            if self.version == 1:
                raise OptionError("upcast=… needs version=2 or more: there is nothing older than version 1")
        if self.max_payload is not None:
            check_max_payload(self.max_payload)

    @property
    def stored_version(self) -> int | None:
        """The column's value."""
        return self.version if self.version > 1 else None

    def upcasted(self, arguments: Arguments, version: int | None) -> Arguments:
        """Stored arguments of this version or an older one (None is 1) as those of this one.

        Raises:
            Misfit: the upcast failed, or returned no dict.
        """
        before = version or 1
        if self.upcast is None or before >= self.version or not isinstance(arguments, dict):
            return arguments
        try:
            converted = self.upcast(before, dict(arguments))
        except Exception as error:
            raise Misfit(f"upcast from version {before} to {self.version} failed: {error!r}") from error
        if not isinstance(converted, dict):
            raise Misfit(f"upcast from version {before} to {self.version} returned {brief(converted)}, not a dict")
        return converted


def check_max_payload(max_payload: object) -> None:
    """Raise OptionError unless it is a size."""
    if not is_whole(max_payload, PAYLOAD_LEAST):
        raise OptionError(
            f"max_payload={brief(max_payload)}: must be a whole number of bytes, at least {PAYLOAD_LEAST}"
        )


def check_max_result(max_result: object) -> None:
    """Raise OptionError unless it is a size that PostgreSQL can store."""
    if not is_whole(max_result, PAYLOAD_LEAST, RESULT_MOST):
        raise OptionError(
            f"max_result={brief(max_result)}: must be a whole number of bytes, from {PAYLOAD_LEAST} to "
            f"{RESULT_MOST:,}, which is what PostgreSQL's jsonb holds; results=False keeps no result"
        )
