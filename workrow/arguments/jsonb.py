"""Arguments and results as the JSON text that goes into ``jsonb`` columns."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from workrow.arguments.secrets import MASK, NOTHING, Sealed, hides
from workrow.errors import ArgumentError, brief


class TooLarge(ValueError):
    """The JSON text takes more bytes than it may."""


def check_rows(task: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The rows, each a mapping of one job's arguments.

    Raises:
        ArgumentError: they are no such rows.
    """
    if isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Iterable):
        raise ArgumentError(f"{task}: rows={brief(rows)}: must be an iterable of mappings, one for each job")
    return (_checked_row(task, row) for row in rows)


def _checked_row(task: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    # one that is most probably a dict is found out ten times as fast
    if type(row) is not dict and not isinstance(row, Mapping):
        raise ArgumentError(f"{task}: the row {brief(row)}: must be a mapping of one job's arguments by name")
    return row


def check_call(task: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> None:
    """Raise ArgumentError for what cannot be the arguments of ``apply_async()``."""
    if args is not None and not isinstance(args, list | tuple):
        raise ArgumentError(f"{task}: args={brief(args)}: must be a list or a tuple, such as {brief([args])}")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise ArgumentError(f"{task}: kwargs={brief(kwargs)}: must be a mapping of arguments by name")


def check_keys(task: str, name: str, value: Any, *, hidden: bool = False) -> None:
    """Raise ArgumentError if a dict in the value has a key that JSON would make a string."""
    if (odd := _odd_key(value)) is not None:
        said, key = (MASK, MASK) if hidden else (brief(value), brief(odd[0]))
        raise ArgumentError(
            f"{task}: argument {name}={said}: the key {key} would come back from JSON as a string; "
            f"write strings, or annotate {name} with the type of its keys, such as dict[int, str]"
        )


def _odd_key(value: Any) -> tuple[Any] | None:
    """The first key that is no string in the dicts of a plain value, which JSON would make one; in a tuple, for it may
    be None."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                return (key,)
        value = value.values()
    elif not isinstance(value, list | tuple):
        return None
    return next((key for each in value if (key := _odd_key(each)) is not None), None)


def dump_arguments(
    task: str, arguments: Mapping[str, Any], limit: int | None = None, hidden: frozenset[str] = NOTHING
) -> str:
    """One job's arguments as JSON text.

    Args:
        task: the task's name, for errors.
        arguments: by name; JSON values.
        limit: bytes that the text may have.
        hidden: the names of those that are not to be shown; with any, nor is the text.

    Raises:
        ArgumentError: naming the first argument that JSON, or PostgreSQL's ``jsonb``, cannot hold; or the text is too
            long.
    """
    try:
        text = dump(arguments)
    except (TypeError, ValueError, RecursionError):
        for name, value in arguments.items():
            try:
                dump(value)
            except (TypeError, ValueError, RecursionError) as error:
                said, why = (MASK, "it is hidden") if hides(hidden, name) else (brief(value), error)
                raise ArgumentError(
                    f"{task}: argument {name}={said} cannot be stored as JSON ({why}); "
                    "pass an id, a string or a number instead"
                ) from None
        raise
    if limit is not None and (size := _more_than(limit, text)):
        raise ArgumentError(
            f"{task}: the arguments are {size:,} bytes of JSON, more than max_payload={limit:,}; store the data "
            "elsewhere and pass its id, or raise the task's max_payload"
        )
    return Sealed(text) if hidden else text


def _more_than(limit: int, text: str) -> int:
    """How many bytes the text has; 0 if they are within the limit."""
    if len(text) * 4 <= limit:  # a character is 4 bytes at most
        return 0
    size = len(text.encode())
    return size if size > limit else 0


_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""json.dumps makes such an object for every call with options, which takes longer than a small payload."""


_LARGE = re.compile(r'"(?:[^"\\]|\\.)*"|(-?)(\d)(?:\.(\d+))?e\+(\d+)', re.DOTALL)
"""A string, or a float of 1e16 and more as Python writes it."""


def _written_out(found: re.Match[str]) -> str:
    sign, first, rest, exponent = found.groups()
    return found[0] if first is None else f"{sign}{first}{(rest or '').ljust(int(exponent), '0')}.0"


def dump(value: Any) -> str:
    """A JSON value as JSON text.

    Raises:
        TypeError, ValueError, RecursionError: JSON, or PostgreSQL's ``jsonb``, cannot hold it.
    """
    # strict JSON: no NaN; ensure_ascii=False so that encode() finds lone surrogates, which jsonb refuses as it does NUL
    text = _ENCODE(value)
    text.encode()
    if "e+" in text:
        # jsonb holds 1e+16 as 10000000000000000, which comes back as an int, and 10000000000000000.0 as it is
        text = _LARGE.sub(_written_out, text)
    if "\\u0000" in text and "\x00" in _strings(value):
        raise ValueError("PostgreSQL stores no NUL character in jsonb")
    return text


def _strings(value: Any) -> str:
    """All strings inside a JSON value, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "".join(f"{key}{_strings(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "".join(map(_strings, value))
    return ""


def dump_result(value: Any, limit: int | None = None) -> str | None:
    """What a task returned as JSON text: dataclasses, pydantic models, datetimes, UUIDs… become JSON; None stays None.

    Args:
        value: what it returned.
        limit: bytes that the text may have.

    Raises:
        ValueError: the value cannot be stored.
        TooLarge: the text is too long.
    """
    if value is None:
        return None
    import pydantic_core

    text = dump(pydantic_core.to_jsonable_python(value, inf_nan_mode="strings"))
    if limit is not None and (size := _more_than(limit, text)):
        raise TooLarge(
            f"it is {size:,} bytes of JSON, more than max_result={limit:,}; store the data elsewhere and return where "
            "it is, or raise the task's max_result"
        )
    return text
