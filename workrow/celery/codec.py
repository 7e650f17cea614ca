"""Arguments and results as JSON: what kombu, Celery's own serializer, makes of a value, and back.

``dumps`` and ``loads`` write and read the text that Celery itself would send. Tuples come back as lists, keys as text,
an ``IntEnum`` as int, Django's lazy text as text. A datetime, date, time, ``Decimal``, ``UUID``, bytes or a type of
``register_type`` comes back as it was: it is ``{"__type__": "date", "__value__": "2026-01-02"}`` in the text, and a
dict that looks like that comes back as what it looks like. A timedelta, a set, an ``Enum``, a dataclass and all
others are refused.

``pack`` and ``unpack`` are for jsonb, which keeps no ``\\u0000``, no half of a surrogate pair, no NaN or Infinity, no
``-0.0`` and no order of keys, and makes a whole number of 1e16. What is stored is the JSON of ``dumps``, in which the
smallest parts that jsonb would change or refuse stand as ``{"__json__": text}``, with their JSON as text.
"""

import base64
import json
import re
import sys
import uuid
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar

from workrow.celery.exceptions import ContentDisallowed, DecodeError, EncodeError, SerializerNotInstalled
from workrow.errors import brief

T = TypeVar("T")

_MARKED = {"__type__", "__value__"}
_AS_TEXT = "__json__"
_SIGNS = _MARKED | {_AS_TEXT}

_encoders: dict[type, Callable[[Any], Any]] = {}
_decoders: dict[Any, Callable[[Any], Any]] = {}


def register_type(
    t: type[T], marker: str | None, encoder: Callable[[T], Any], decoder: Callable[[Any], T] = lambda value: value
) -> None:
    """Values of a type of your own, and of its subclasses, may be arguments and results.

    A type with a method ``__json__`` is what that returns, and needs no registration.

    Args:
        t: the type. Of several that a value is an instance of, the one registered first is taken.
        marker: what stands for it in the JSON; None: the value comes back as what ``encoder`` made of it.
        encoder: makes of the value one that is JSON, or of a registered type.
        decoder: makes the value again.
    """
    if marker is None:
        _encoders[t] = encoder
    else:
        _encoders[t] = lambda value: {"__type__": marker, "__value__": encoder(value)}
        _decoders[marker] = decoder


def _encode_bytes(value: bytes) -> dict[str, str]:
    try:
        return {"__type__": "bytes", "__value__": value.decode()}
    except UnicodeDecodeError:
        return {"__type__": "base64", "__value__": base64.b64encode(value).decode()}


register_type(datetime, "datetime", datetime.isoformat, datetime.fromisoformat)
register_type(date, "date", date.isoformat, date.fromisoformat)
register_type(time, "time", time.isoformat, time.fromisoformat)
register_type(Decimal, "decimal", str, Decimal)
register_type(uuid.UUID, "uuid", lambda value: {"hex": value.hex}, lambda value: uuid.UUID(**value))
register_type(bytes, None, _encode_bytes)
_decoders["bytes"] = str.encode
_decoders["base64"] = base64.b64decode


def _plain(value: Any) -> Any:
    """What stands for a value that JSON does not know."""
    reducer = getattr(value, "__json__", None)
    if reducer is not None:
        return reducer()
    for kind, encode in _encoders.items():
        if isinstance(value, kind):
            return encode(value)
    django = sys.modules.get("django.utils.functional")
    if django is not None and isinstance(value, django.Promise):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _revived(found: dict[str, Any]) -> Any:
    """The value that a dict of the JSON stands for."""
    if found.keys() != _MARKED:
        return found
    decode = _decoders.get(found["__type__"])
    if decode is None:
        raise ValueError(
            f"__type__={brief(found['__type__'])}: no such type is registered: call register_type of "
            "workrow.celery.codec in the process that reads it too"
        )
    return decode(found["__value__"])


_SIMPLE = frozenset({type(None), bool, int, str})
"""What is the same after JSON as it was before: many values are, and need not go through it."""


# made once: json.dumps(default=…) makes an encoder for each call, which takes longer than to write a small value
_encode = json.JSONEncoder(default=_plain).encode


def dumps(value: Any) -> str:
    """The JSON that Celery sends of a value.

    Raises:
        EncodeError: it holds something that cannot be sent; its argument is the error that says so.
    """
    try:
        return _encode(value)
    except Exception as error:
        raise EncodeError(error) from error


def loads(text: str | bytes) -> Any:
    """The value that Celery reads from its JSON.

    Raises:
        DecodeError: it is no JSON, or a marker in it stands for nothing; its argument is the error that says so.
    """
    try:
        return json.loads(text, object_hook=_revived)
    except Exception as error:
        raise DecodeError(error) from error


def _is_simple(value: Any) -> bool:
    """One of the small values that are the same after JSON; a number of thousands of digits is refused by it."""
    return type(value) in _SIMPLE and (type(value) is not int or value.bit_length() < 64)


def _stays(value: Any) -> bool:
    """One of these that jsonb keeps as it is, too."""
    return _is_simple(value) and (type(value) is not str or (value.isascii() and "\0" not in value))


def encoded(value: Any) -> Any:
    """What whoever reads the JSON of a value will have. Raises EncodeError."""
    return value if _is_simple(value) else loads(dumps(value))


def pack(value: Any) -> Any:
    """The JSON of a value as jsonb keeps it, of dicts, lists, text, numbers, bools and None: see the top of this file.

    Raises:
        EncodeError: it holds something that cannot be stored; its argument is the error that says so.
    """
    kind = type(value)
    if kind is list or kind is tuple:
        if all(map(_stays, value)):
            return [*value]
    elif kind is dict:
        if all(map(_stays, value.values())) and all(type(key) is str for key in value) and _keys_are_kept(value):
            return dict(value)
    elif _stays(value):
        return value
    text = dumps(value)
    try:
        return _packed(json.loads(text))
    except RecursionError:
        return {_AS_TEXT: text}


def unpack(stored: Any) -> Any:
    """The value of what ``pack`` made.

    Raises:
        DecodeError: it is not what ``pack`` makes; its argument is the error that says so.
    """
    kind = type(stored)
    if kind in _SIMPLE:
        return stored
    if kind is list and _SIMPLE.issuperset(map(type, stored)):
        return stored[:]
    if kind is dict and _SIMPLE.issuperset(map(type, stored.values())) and not _SIGNS.intersection(stored):
        return stored.copy()
    try:
        return json.loads(json.dumps(stored), object_hook=_unpacked)
    except DecodeError:
        raise
    except Exception as error:
        raise DecodeError(error) from error


def _unpacked(found: dict[str, Any]) -> Any:
    return loads(found[_AS_TEXT]) if found.keys() == {_AS_TEXT} else _revived(found)


def _packed(plain: Any) -> Any:
    match plain:
        case None | int():
            return plain
        case list():
            return [_packed(item) for item in plain]
        case dict() if _keys_are_kept(plain):
            return {key: _packed(item) for key, item in plain.items()}
        case str() if _is_kept(plain):
            return plain
        case float() if not _CHANGED.search(repr(plain)):
            return plain
    return {_AS_TEXT: json.dumps(plain)}


_CHANGED = re.compile(r"n|^-0\.0$|e\+")
"""What jsonb would not give back of a float: nan and inf; the sign of zero; of 1e+16 that it is no whole number."""


def _is_kept(text: str) -> bool:
    """Whether jsonb takes a text: it may not hold a zero, or half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or text.encode(errors="replace").decode() == text)


def _keys_are_kept(plain: dict[str, Any]) -> bool:
    """Whether jsonb keeps the keys and their order: short ones first, those of a length by their bytes."""
    keys = list(plain)
    return _AS_TEXT not in plain and all(map(_is_kept, keys)) and keys == sorted(keys, key=_place)


def _place(key: str) -> tuple[int, bytes]:
    raw = key.encode()
    return len(raw), raw


def check_serializer(name: str | None, option: str = "serializer") -> None:
    """Refuses every serializer but JSON.

    Args:
        name: of the serializer, or a type of content; None: the default.
        option: what it was given as, for the message.

    Raises:
        ContentDisallowed: one of kombu's that is not JSON.
        SerializerNotInstalled: one that kombu does not know either.
    """
    if name in (None, "json", "application/json"):
        return
    known = name in ("pickle", "yaml", "msgpack", "raw") or "/" in str(name)
    raise (ContentDisallowed if known else SerializerNotInstalled)(
        f"{option}={brief(name)}: arguments and results are stored as JSON: use 'json', and register_type of "
        "workrow.celery.codec for types of your own"
    )
