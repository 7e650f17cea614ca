"""Celery's settings: new and old names, defaults, and what each means here; known.json has a line for each."""

import json
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import Any, NamedTuple


class Known(NamedTuple):
    """A setting of Celery's.

    Attributes:
        type: ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``tuple``, ``dict``, ``any`` or ``duration``: seconds,
            or a timedelta.
        old: its name before Celery 4.
        meaning: ``used``; ``json only``: others are refused; otherwise the key of the reason why it means nothing here.
    """

    name: str
    type: str
    default: Any
    old: str
    meaning: str


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(resources.files(__package__).joinpath("known.json").read_text("ascii"))
    return table


@cache
def known() -> dict[str, Known]:
    """By their new names."""
    return {
        name: Known(name, kind, _of_kind(kind, default), *rest) for name, kind, default, *rest in _table()["settings"]
    }


@cache
def new_names() -> dict[str, str]:
    """By their old names."""
    return {each.old: each.name for each in known().values()}


def reason(meaning: str) -> str:
    """Why a setting means nothing here."""
    text: str = _table()["reasons"][meaning]
    return text


def _of_kind(kind: str, default: Any) -> Any:
    """JSON has no tuples and no durations."""
    if default is None:
        return None
    match kind:
        case "tuple":
            return tuple(default)
        case "duration":
            return timedelta(seconds=default)
        case _:
            return default
