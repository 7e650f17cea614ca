"""One annotation: from a value to JSON and back to an equal value of the same type."""

import dataclasses
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from workrow.arguments.fillable import why_never
from workrow.arguments.kinds import shown
from workrow.arguments.secrets import is_secret, revealed
from workrow.errors import OptionError, brief

CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
"""For annotations that have no configuration of their own: bytes become base64."""
ONE_WAY = frozenset({"generator", "callable"})
"""pydantic has schemas for these, and no way back from JSON."""
UNDEFINED = ("class-not-fully-defined", "undefined-annotation")
ERRORS_TOLD = 3
NUMBERS = (bool, int, float)
OTHER_KIND = frozenset(
    f"{kind}_type"
    for kind in ("int", "float", "string", "bool", "list", "tuple", "set", "frozen_set", "dict", "model", "dataclass")
) | {"none_required"}
"""What pydantic says of a value for which there is none of its kind that would fit."""
EXACT = 2**53
"""Whole numbers up to this one are floats too."""


class Conversion:
    """From a value to JSON and back.

    Strict both ways, so that what comes back equals what was given: no ``"5"`` for an ``int``, no ``dict`` for a model.
    The one widening is an ``int`` for a ``float``.

    Args:
        annotation: what the value is.

    Attributes:
        secret: some of it is not to be shown.

    Raises:
        OptionError: pydantic knows no way to JSON and back.
        NameError: it names what does not exist, or not yet.
    """

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation
        try:
            self._adapter = _adapter(annotation)
            schema: Any = self._adapter.core_schema
        except PydanticUserError as error:
            if error.code in UNDEFINED:
                raise NameError(str(error)) from None
            raise OptionError(f"{shown(annotation)} cannot be stored as JSON ({_first_sentence(error)})") from None
        schemas = [*_schemas(schema)]
        kinds = {each["type"] for each in schemas}
        # JSON has no tuples, and where nothing says what a value is it stays a list
        self._says_all = "any" not in kinds
        self._has_both = kinds >= {"list", "tuple"}
        self._has_sets = not kinds.isdisjoint(("set", "frozenset"))
        if one_way := kinds & ONE_WAY:
            raise OptionError(f"{shown(annotation)} cannot be rebuilt from JSON ({', '.join(sorted(one_way))})")
        if why := why_never(schema):
            raise OptionError(f"{shown(annotation)} cannot be rebuilt from JSON ({why})")
        values = [value for each in schemas if each["type"] == "literal" for value in each["expected"]]
        if (value := next((value for value in values if not isinstance(value, str | int | None)), self)) is not self:
            raise OptionError(
                f"{shown(annotation)} cannot be rebuilt from JSON (nothing in JSON is a literal {value!r})"
            )
        self.secret = is_secret(schema)

    def takes_kind_of(self, sample: Any) -> bool:
        """Whether there may be a JSON value of the same kind that fits."""
        try:
            self._adapter.validate_json(json.dumps(sample), strict=True)
        except ValidationError as error:
            return any(each["type"] not in OTHER_KIND for each in error.errors(include_input=False))
        except Exception:
            return True  # from a validator of the user's own, which may know this kind
        return True

    def to_json(self, value: Any) -> Any:
        """The value as a JSON value.

        Raises:
            ValueError: it does not fit the annotation, or something else would come back.
        """
        try:
            checked = self._adapter.validator.validate_python(value, strict=True)
            stored = self._dump(checked)
            if self._has_sets:
                stored = _ordered(checked, stored)
            again = self.from_json(stored)
            if self.secret and not self._same(checked, again):  # bytes in it are not base64 where a model says so
                stored = self._dump(checked, as_base64=False)
                again = self.from_json(stored)
        except ValidationError as error:
            raise ValueError(reason(error)) from None
        except (pydantic_core.PydanticSerializationError, PydanticUserError, TypeError) as error:
            raise ValueError(_first_sentence(error)) from None
        if retyped(value, checked):
            raise ValueError(f"it would come back from JSON as {brief(again)}")
        if not self._same(checked, again):
            order = ", with its keys in the order of jsonb" if repr(again) == repr(checked) else ""
            raise ValueError(f"it would come back from JSON as {brief(again)}{order}")
        return stored

    def _same(self, checked: Any, again: Any) -> bool:
        if self._has_both and isinstance(checked, tuple) != isinstance(again, tuple):
            return False
        return same(checked, again, tuples=self._says_all)

    def from_json(self, stored: Any, *, strict: bool = True) -> Any:
        """The value that a JSON value stands for.

        Raises:
            ValueError: it does not fit the annotation.
        """
        text = pydantic_core.to_json(stored, inf_nan_mode="constants")
        try:
            return self._adapter.validator.validate_json(text, strict=strict or None)
        except ValidationError as error:
            raise ValueError(reason(error)) from None

    def fitting(self, value: Any, otherwise: Callable[[], Any]) -> Any:
        """The value if it fits the annotation as it is; else what ``otherwise`` says."""
        try:
            return self._adapter.validator.validate_python(value, strict=True)
        except ValidationError:
            return otherwise()

    def json_to_json(self, value: Any) -> Any:
        """As `to_json`, for the JSON of such a value.

        Raises:
            ValueError: it is none.
        """
        loaded = self.from_json(value)
        if retyped(value, loaded, (bool,)):
            raise ValueError(f"it would be {brief(loaded)}")
        return self.to_json(loaded)

    def result_to_json(self, value: Any) -> Any:
        """As `to_json`, without the way back: work that is done is not undone by a wrong annotation.

        Raises:
            ValueError: it is not of the annotated type.
        """
        return self._dump(value)

    def _dump(self, value: Any, *, as_base64: bool = True) -> Any:
        dump = partial(self._adapter.serializer.to_python, by_alias=True, round_trip=True, warnings="error")
        shown = dump(value, mode="json")
        if not self.secret:
            return shown
        try:
            return revealed(shown, dump(value, mode="python"), as_base64=as_base64)
        except TypeError:
            return shown  # a set of models: as Python's values they would be dicts, which no set can hold


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=CONFIG)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
    return TypeAdapter(annotation)


def _schemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """All schemas inside a core schema."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema
        parts = [part for key, part in schema.items() if key not in ("default", "metadata", "expected")]
    else:
        parts = list(schema) if isinstance(schema, list | tuple) else []
    for part in parts:
        yield from _schemas(part)


def same(one: Any, other: Any, *, tuples: bool = False) -> bool:
    """Whether two values are equal and of the same types, all the way down; a list may stand for a tuple, unless
    ``tuples``."""
    alike = partial(same, tuples=tuples)
    if isinstance(one, datetime | time):
        # two times of one instant in different zones need not be equal: https://peps.python.org/pep-0495/
        return isinstance(other, datetime | time) and one.isoformat() == other.isoformat()
    if isinstance(one, BaseModel):
        return type(one) is type(other) and alike(dict(one), dict(other))
    if dataclasses.is_dataclass(one):
        return type(one) is type(other) and all(
            alike(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)
        )
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(alike(item, other[key]) for key, item in one.items())
            and not (isinstance(one, OrderedDict) and list(one) != sorted(one, key=_place))
        )
    if isinstance(one, list | tuple):
        if not isinstance(other, list | tuple) or len(one) != len(other):
            return False
        return not (tuples and isinstance(one, tuple) != isinstance(other, tuple)) and all(map(alike, one, other))
    if isinstance(one, Enum) or isinstance(other, Enum):
        return one is other
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if not _compares(type(one)):
        return type(one) is type(other)
    return isinstance(one, type(other)) and isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def retyped(given: Any, checked: Any, kinds: tuple[type, ...] = NUMBERS) -> bool:
    """Whether pydantic took a number of these types for an equal one of another: True, or 1.0, for a ``Literal[1]``.

    An int for a float is well where it is that number; and in JSON where that is how the float is written: ``10**23``.
    """
    if type(given) is int and type(checked) is float:
        return given != checked and (int in kinds or Decimal(repr(checked)) != given) and abs(given) > EXACT
    if isinstance(given, Mapping) and isinstance(checked, Mapping):
        given, checked = [*given.keys(), *given.values()], [*checked.keys(), *checked.values()]
    if isinstance(given, list | tuple) and isinstance(checked, list | tuple):
        return any(retyped(*pair, kinds) for pair in zip(given, checked, strict=False))
    if isinstance(given, set | frozenset) and isinstance(checked, set | frozenset):
        if bool in map(type, given) and bool not in map(type, checked):
            return True
        large = [each for each in given if type(each) is int and abs(each) > EXACT]
        return bool(large) and float in map(type, checked) and not checked.issuperset(large)
    if type(given) not in kinds or not isinstance(checked, NUMBERS) or type(checked) is type(given):
        return False
    return bool(given == checked)


def _ordered(value: Any, stored: Any) -> Any:
    """The stored value with its sets in one order: equal sets make equal keys of ``unique=`` and of limits."""
    if isinstance(value, BaseModel):
        value = dict(value)
    elif dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    parts = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, str) or not isinstance(parts, Collection) or len(parts) != len(stored):
        return stored
    if isinstance(stored, Mapping):
        return dict(zip(stored, map(_ordered, parts, stored.values()), strict=True))
    if isinstance(stored, list):
        each = [*map(_ordered, parts, stored)]
        return sorted(each, key=json.dumps) if isinstance(value, set | frozenset) else each
    return stored


def _place(key: Any) -> tuple[int, bytes]:
    """Where jsonb puts a key."""
    name = str(key.value if isinstance(key, Enum) else key).encode()
    return len(name), name


def _compares(kind: type) -> bool:
    """Whether equality of its instances means more than identity."""
    return any("__eq__" in base.__dict__ for base in kind.__mro__ if base is not object)


def reason(error: ValidationError) -> str:
    """pydantic's reasons in one line."""
    told = []
    for each in error.errors(include_url=False, include_input=False)[:ERRORS_TOLD]:
        where = ".".join(str(part) for part in each["loc"])
        told.append(f"{where}: {each['msg']}" if where else each["msg"])
    left = error.error_count() - ERRORS_TOLD
    return "; ".join(told) + (f"; and {left} more" if left > 0 else "")


def _first_sentence(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
