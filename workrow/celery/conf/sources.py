"""Where settings are read from: a module, an object, a dict, words of the command line."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from workrow.celery.conf.known import Known, known, new_names
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.named import named
from workrow.errors import brief

_TO_NEW = """

Cannot mix new and old setting keys, please rename the
following settings to the new format:

{}

"""
_TO_OLD = """

Cannot mix new setting names with old setting names, please
rename the following settings to use the old format:

{}

Or change all of the settings to use the new format :)

"""


class Attributes(Mapping[str, Any]):
    """The attributes of a module, class or object; read when they are asked for, so that a later value is seen."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self._of, name)
        except AttributeError:
            raise KeyError(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self._of, name, default)

    def __iter__(self) -> Iterator[str]:
        """Names that begin with a letter; of a module, what it has imported as a module is no setting."""
        for name in dir(self._of):
            if not name.startswith("_") and not isinstance(getattr(self._of, name, None), ModuleType):
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)


def read(source: Any, silent: bool) -> Mapping[str, Any] | None:
    """The settings of an object, or of a path that stands for one.

    Args:
        silent: a module or name that cannot be found is no error.

    Raises:
        ImportError: it cannot be found.
    """
    if isinstance(source, str):
        try:
            source = named(source)
        except ImportError:
            if silent:
                return None
            raise
    return source if isinstance(source, Mapping) else Attributes(source)


def check_names(names: Collection[str]) -> None:
    """Refuses new names beside old ones, unless both names of a setting are there.

    Raises:
        ImproperlyConfigured: says what to rename.
    """
    new = known().keys() & set(names)
    old = new_names().keys() & set(names)
    if len(old) > len(new):
        text, wrong = _TO_OLD, {name: known()[name].old for name in new}
    else:
        text, wrong = _TO_NEW, {name: new_names()[name] for name in old}
    renamed = [f"{name:<36} -> {right}" for name, right in sorted(wrong.items()) if right not in names]
    if new and old and renamed:
        raise ImproperlyConfigured(text.format("\n".join(renamed)))


def from_words(words: Iterable[str], namespace: str) -> dict[str, Any]:
    """The settings of a command line.

    Args:
        words: each ``NAME=VALUE``: ``worker.concurrency=4``, ``worker_concurrency=4``, ``.concurrency=4``.
        namespace: first word of a name that begins with a dot.

    Raises:
        ImproperlyConfigured: no such setting.
        ValueError: no ``=``, or no value of its type.
    """
    found = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign:
            raise ValueError(f"{brief(word)}: a setting is NAME=VALUE, as in worker.concurrency=4")
        setting = _setting(name.strip(), namespace)
        try:
            found[setting.name] = _value(setting.type, text.strip())
        except ValueError as error:
            raise ValueError(f"{setting.name}={brief(text)}: {error}") from None
    return found


def _setting(name: str, namespace: str) -> Known:
    full = (f"{namespace}{name}" if name.startswith(".") else name).replace(".", "_")
    right = new_names().get(full, full)
    try:
        return known()[right]
    except KeyError:
        near = get_close_matches(right, known(), 1)
        raise ImproperlyConfigured(f"{name}: no such setting{f': did you mean {near[0]}?' if near else ''}") from None


def _value(kind: str, text: str) -> Any:
    """A text as a value of its type."""
    convert = _CONVERT.get(kind)
    if convert is not None:
        return convert(text)
    try:
        value = json.loads(text)
    except ValueError:
        if kind == "any":
            return text
        if kind == "tuple":
            return tuple(part.strip() for part in text.split(","))
        raise ValueError(f"a {kind} is written as JSON") from None
    if kind == "tuple" and not isinstance(value, list):
        return (text,)
    if kind == "dict" and not isinstance(value, dict):
        raise ValueError("a dict is written as JSON")
    return tuple(value) if kind == "tuple" else value


def _bool(text: str) -> bool:
    try:
        return {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }[text.lower()]
    except KeyError:
        raise ValueError("it is yes or no") from None


_CONVERT: dict[str, Callable[[str], Any]] = {
    "bool": _bool,
    "int": int,
    "float": float,
    "duration": float,
    "str": str,
    "bytes": str.encode,
}
