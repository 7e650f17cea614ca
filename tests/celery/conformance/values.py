"""Values that rows have as Python: what ``repr`` gave of them."""

import builtins
import datetime
import decimal
import enum
import re
import uuid
import zoneinfo
from typing import Any


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class NotUnderstood(Exception):
    """The row says what this runner does not know."""


NAMES = {
    "datetime": datetime, "zoneinfo": zoneinfo, "Decimal": decimal.Decimal, "UUID": uuid.UUID, "Colour": Colour,
    "Level": Level, "nan": float("nan"), "inf": float("inf"),
}  # fmt: skip


def value(text: str) -> Any:
    """The value of which this is the ``repr``. Raises NotUnderstood."""
    text = re.sub(r"<object object at 0x\w*>", "object()", text)
    text = re.sub(r"<class '(\w+)'>", r"\1", text)
    text = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", text)
    try:
        return eval(text, {"__builtins__": builtins, **NAMES})
    except Exception as error:
        raise NotUnderstood(f"no value is read from {text!r}: {error!r}") from error
