"""What kinds of JSON value an annotation may come to, each told by one of it."""

import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Union, get_args, get_origin

from workrow.arguments.kinds import kinds

OF_KIND: dict[type, Any] = {int: 0, float: 0.5, str: "", bool: True, type(None): None}
ARRAYS = (list, tuple, set, frozenset)
OBJECTS = (dict, Mapping)


def samples(annotation: Any) -> tuple[Any, ...]:
    """A value of each kind of JSON value that one of this annotation is stored as; empty where that cannot be told.

    It is not told of what may say itself how it is stored: ``Annotated``, models, subclasses.
    """
    if scalars := kinds(annotation):
        return tuple(OF_KIND[kind] for kind in scalars)
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        parts = [samples(member) for member in get_args(annotation)]
        return tuple(sample for part in parts for sample in part) if all(parts) else ()
    kind = origin or annotation
    if kind in ARRAYS:
        return ([],)
    return ({},) if kind in OBJECTS or (is_dataclass(kind) and not hasattr(kind, "__pydantic_serializer__")) else ()
