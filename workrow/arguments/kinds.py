"""What an annotation allows, as far as JSON alone can tell: known without pydantic."""

import types
from typing import Annotated, Any, NewType, TypeVar, Union, get_args, get_origin

Kinds = frozenset[type]

SCALARS: Kinds = frozenset({int, str, float, bool, type(None)})
CONVERTED: Kinds = frozenset()


def kinds(annotation: Any) -> Kinds | None:
    """The types whose values JSON keeps as they are, if the annotation allows only such; see Returns.

    Returns:
        None: any JSON value will do, and is handed on as it is. Empty: its values need a `Conversion`.
    """
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            break
    if annotation is Any or annotation is object or isinstance(annotation, TypeVar):
        return None
    if annotation is None:
        return frozenset({type(None)})
    if isinstance(annotation, type) and annotation in SCALARS:
        return frozenset({annotation})
    if get_origin(annotation) in (Union, types.UnionType):
        members = [kinds(member) for member in get_args(annotation)]
        if any(member is None for member in members):
            return None
        return frozenset().union(*members) if all(members) else frozenset()  # type: ignore[arg-type]
    return frozenset()


def shown(annotation: Any) -> str:
    """An annotation as it is written."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__qualname__
    if get_origin(annotation) is Annotated:
        return str(annotation).removeprefix("typing.")
    return str(annotation).replace("typing.", "")
