"""What is stored as it is and shown as ``***``: hidden arguments."""

import base64
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache, partial
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from workrow.errors import OptionError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

MASK = "***"
EVERYTHING = "*"
"""The name that stands for all arguments of a task: those of a hidden ``**others`` have no names before a call."""
RESULT = "return"
"""The name that stands for what a task returns: no argument can have it."""
NOTHING: frozenset[str] = frozenset()

_MARK = "workrow_secret"
SHORTEST = 4
"""Characters of a value that is looked for in messages of errors; a shorter one would be found in any word."""
_LINE = 8
"""Characters of a line of a value that is looked for by itself: tracebacks of groups indent each line anew."""
_BETWEEN = r"[^\S\n]*\n[\s|]*"
"""Between two lines: what was before the line end, and how a traceback indents the next."""
_PART = 12
"""Characters of the start, or of the end, of a long value that are enough to know it by, where somebody cut it."""


class Secret:
    """A marker: ``Annotated[str, workrow.Secret]`` is a string that is stored as it is, and shown as ``***``.

    It may stand anywhere in an annotation, also on a field of a model: the whole argument is hidden then.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> Any:
        """The schema of what is annotated, with a mark that `Conversion` finds."""
        schema = handler(source)
        return {**schema, "metadata": {**schema.get("metadata", {}), _MARK: True}}


class Sealed(str):
    """A text that shows as ``***`` where its ``repr`` is asked for, as SQLAlchemy's logs and errors do."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


def is_secret(schema: Any) -> bool:
    """Whether a core schema of pydantic's has a `Secret`, ``SecretStr``, ``SecretBytes`` or ``Secret[…]`` in it."""
    from pydantic import Secret as Theirs
    from pydantic import SecretBytes, SecretStr

    if isinstance(schema, Mapping):
        parts = (part for key, part in schema.items() if key not in ("default", "metadata", "expected"))
        return bool((schema.get("metadata") or {}).get(_MARK)) or any(map(is_secret, parts))
    if isinstance(schema, list | tuple):
        return any(map(is_secret, schema))
    if isinstance(schema, type):
        return issubclass(schema, (SecretStr, SecretBytes, Theirs))
    # pydantic's Secret[…] has no class in its schema, only the function that writes it
    return getattr(schema, "__qualname__", None) == "_serialize_secret"


def revealed(shown: Any, plain: Any, *, as_base64: bool) -> Any:
    """A JSON value of pydantic's with the secrets in it, which pydantic leaves out.

    Args:
        shown: what the serializer makes in its mode "json".
        plain: the same in its mode "python", where secrets are still objects.
        as_base64: how bytes are written.
    """
    import pydantic_core

    if hasattr(plain, "get_secret_value"):
        value = plain.get_secret_value()
        return pydantic_core.to_jsonable_python(value, bytes_mode="base64" if as_base64 else "utf8")
    if isinstance(shown, dict) and isinstance(plain, Mapping) and len(shown) == len(plain):
        pairs = zip(shown.items(), plain.items(), strict=True)
        return {
            revealed(name, key, as_base64=as_base64): revealed(one, other, as_base64=as_base64)
            for (name, one), (key, other) in pairs
        }
    if isinstance(shown, list) and isinstance(plain, list | tuple | set | frozenset) and len(shown) == len(plain):
        return [revealed(one, other, as_base64=as_base64) for one, other in zip(shown, plain, strict=True)]
    return shown


def check_hide(hide: object, signature: Signature, *, older: bool) -> frozenset[str]:
    """``hide=`` as it may be written.

    Args:
        hide: names of arguments.
        signature: whose they are.
        older: there are stored arguments of older signatures, whose names are not known.

    Raises:
        OptionError: it names no argument.
    """
    if isinstance(hide, str) or not isinstance(hide, tuple | list | set | frozenset):
        raise OptionError(f"hide={hide!r}: must be a tuple of argument names, such as ('token',)")
    known = signature.parameters
    open_ended = older or any(each.kind is Parameter.VAR_KEYWORD for each in known.values())
    for name in hide:
        if not isinstance(name, str) or not name.isidentifier():
            raise OptionError(f"hide={hide!r}: {name!r} is no name of an argument")
        if name not in known and name != RESULT and not open_ended:
            raise OptionError(f"hide={hide!r}: {name!r} is no argument; known are {', '.join(known) or 'none'}")
    others = {name for name in hide if name in known and known[name].kind is Parameter.VAR_KEYWORD}
    return frozenset(hide) | ({EVERYTHING} if others else NOTHING)


def hides(hidden: Collection[str], name: str) -> bool:
    """Whether the argument of this name is among the hidden ones."""
    return name in hidden or EVERYTHING in hidden


def masked(arguments: Any, hidden: Collection[str]) -> Any:
    """The arguments as they may be shown."""
    if not hidden:
        return arguments
    if not isinstance(arguments, Mapping):
        return MASK
    return {name: MASK if hides(hidden, name) else value for name, value in arguments.items()}


def signature_shown(signature: Signature, hidden: Collection[str]) -> Signature:
    """The signature without the defaults of hidden arguments."""
    parameters = [
        each.replace(default=Sealed()) if hides(hidden, name) and each.default is not Parameter.empty else each
        for name, each in signature.parameters.items()
    ]
    return signature.replace(parameters=parameters)


Values = Callable[[], tuple[str, ...]]
"""What is not to be told: longest first, in each way that it may be written."""

concealing: ContextVar[Values] = ContextVar("workrow_concealing", default=tuple)
"""The values that are not to be told of the job that runs here."""


def values_of(arguments: Any, hidden: Collection[str]) -> Values:
    """What `concealing` is for a job of these stored arguments, as they are now. Made when it is asked for: a job that
    succeeds does not."""
    given = arguments.items() if isinstance(arguments, Mapping) else ()
    texts = [text for name, value in given if hides(hidden, name) for text in _texts(value)]
    return cache(partial(_values, texts))


def _values(texts: Iterable[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for text in texts:
        found.update(_written(text))
        lines = text.splitlines()
        if len(lines) > 1:
            found.update(*(_written(line.strip()) for line in lines if len(line.strip()) >= _LINE))
    return tuple(sorted((text for text in found if len(text) >= SHORTEST), key=len, reverse=True))


_SAME = re.compile(r"[\w.~-]*", re.ASCII)
"""What nobody writes in another way."""


def _written(text: str) -> set[str]:
    """A text in each way that messages have it: itself, in a URL, and as ``repr``, `ascii` and JSON have it, of which
    a ``repr`` or JSON may be made again: that of an exception whose message has the ``repr`` of the value."""
    if _SAME.fullmatch(text):
        return {text}
    urls = (quote(text, errors="replace"), quote(text, safe="", errors="replace"), quote_plus(text, errors="replace"))
    once = _escaped(text)
    return {text, *urls, *once, *(each for form in once for each in _escaped(form))}


def _escaped(text: str) -> set[str]:
    # with both quotes in it, Python takes ' and escapes it; where it takes ", it escapes no quote
    quoted = {write(text + "'\"")[1:-4] for write in (repr, ascii)}
    as_json = (json.dumps(text, ensure_ascii=each)[1:-1] for each in (True, False))
    return {*quoted, *(each.replace("\\'", "'") for each in quoted), *as_json}


def concealed(text: str, values: tuple[str, ...] | None = None) -> str:
    """A text without these values (see `values_of`); None: those of the job that runs here."""
    values = concealing.get()() if values is None else values
    for value in values:
        text = text.replace(value, MASK)
    for value in values:
        if len(value) >= 2 * _PART:
            text = _without_start(text, value)
            text = _without_start(text[::-1], value[::-1])[::-1]
        if "\n" in value:
            text = _without_short_lines(text, value)
    return text


def _without_short_lines(text: str, value: str) -> str:
    """The text without those lines of a value that are too short to be looked for everywhere: where all of its lines
    follow each other, and beside one that was found already."""
    lines = [line for each in value.splitlines() if (line := each.strip())]
    if all(line in text for line in lines):
        text = re.sub(_BETWEEN.join(map(re.escape, lines)), MASK, text)
    short = [rf"(?<!\w){re.escape(line)}(?!\w)" for line in lines if len(line) < _LINE and line in text]
    mask = re.escape(MASK)
    for line in short:
        text = re.sub(f"({mask}{_BETWEEN}){line}", rf"\1{MASK}", text)
    for line in reversed(short):
        text = re.sub(f"{line}(?={_BETWEEN}{mask})", MASK, text)
    return text


def _without_start(text: str, value: str) -> str:
    """The text without what begins as the value does, as far as it does: messages are cut to a length."""
    at = text.find(value[:_PART])
    while at >= 0:
        end = at + _PART
        while end < len(text) and end - at < len(value) and text[end] == value[end - at]:
            end += 1
        text = text[:at] + MASK + text[end:]
        at = text.find(value[:_PART], at + len(MASK))
    return text


def _texts(value: Any) -> Iterator[str]:
    """What stands in a JSON value, and the bytes that a text of it may be base64 of."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts(name)
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
        try:
            raw = base64.b64decode(value, altchars=b"-_", validate=True)
        except ValueError:
            return
        yield raw.decode("utf-8", "backslashreplace")
        yield repr(raw)[2:-1]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield repr(value)
