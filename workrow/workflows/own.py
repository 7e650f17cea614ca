"""The arguments of a value: a copy that nobody else can change, and its hash."""

import copy
from numbers import Number
from typing import Any, TypeVar
from uuid import UUID

_PLAIN: frozenset[type] = frozenset({str, int, float, bool, type(None)})
T = TypeVar("T")


def own(values: T) -> T:
    """A copy that nobody else can change."""
    each: Any = values.values() if isinstance(values, dict) else values
    for value in each:
        if type(value) not in _PLAIN:
            return copy.deepcopy(values)
    return values


def hash_of(values: tuple[Any, ...]) -> int:
    """The same for equal values; a list or a dict among them has no hash, and counts for nothing."""
    return hash(tuple(each if isinstance(each, str | Number | UUID) else None for each in values))
