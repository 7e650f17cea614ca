"""An exception on its way out of a child process: taken apart there, and put together by the parent.

Pickle alone does not do: it makes an exception by calling its class with ``args``, which whoever has an ``__init__`` of
its own does not understand; and it loses the causes.
"""

import contextlib
import io
import pickle
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from workrow.errors import BRIEF
from workrow.worker.job_logs import TOLD, Told, Unsaid, message_of, traceback_of, type_of
from workrow.worker.running.children.kinds import Kind, exact, kind_of, native_of, own_pickling, stand_in

ERROR_MAX = 2**20
"""Bytes of an exception that are carried, those of its causes and members included."""
DEPTH_MAX = 10
"""Causes of causes, groups in groups."""
PARTS_MAX = 100
"""Of a list or a mapping that cannot be pickled."""
LOOKED_AT = ("status_code", "status", "headers", "code", "reason", "retry_after")
"""What rules look at in an object that cannot be carried, such as the response of an HTTP client."""

Kept: TypeAlias = "bytes | Portrait"


@dataclass(frozen=True, slots=True)
class Portrait:
    """It holds nothing of the task's own but as bytes: a parent that cannot make a part again leaves that out.

    Attributes:
        kind: the class.
        whole: the exception as its class pickles it, if that has its own way.
        parts: what the built-in class below is called with.
        args: the exception's.
        state: its attributes.
        members: of a group.
        cause, context, suppressed: what it was raised from, or while handling what.
        told: its type, message and traceback, as text.
    """

    kind: Kind
    told: Told
    whole: bytes | None = None
    parts: tuple[Kept, ...] = ()
    args: tuple[Kept, ...] = ()
    state: tuple[tuple[str, Kept], ...] = ()
    members: "tuple[Portrait, ...]" = ()
    cause: "Portrait | None" = None
    context: "Portrait | None" = None
    suppressed: bool = False


def portrayed(error: BaseException) -> Portrait:
    """In the child."""
    return _Painter().paint(error, DEPTH_MAX)


class _Painter:
    def __init__(self) -> None:
        self._room = ERROR_MAX
        self._seen: set[int] = set()

    def paint(self, error: BaseException, depth: int) -> Portrait:
        self._seen.add(id(error))
        text, _ = traceback_of(error)
        told = Told(type_of(error).replace("__mp_main__.", "__main__.", 1), message_of(error), self._text(text))
        kind = kind_of(type(error))
        try:
            native = native_of(type(error))
            made = native.__reduce__(error)
            parts, state = (*made, None)[1:3]
            members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
            return Portrait(
                kind,
                told,
                self._whole(error),
                self._all(parts[:1] if members else parts, depth),
                self._all(error.args[:1] if members else error.args, depth),
                self._state(error, kind, state, depth),
                tuple(self.paint(each, depth - 1) for each in members if depth),
                self._behind(error.__cause__, depth),
                self._behind(error.__context__, depth),
                error.__suppress_context__,
            )
        except Unsaid:
            return Portrait(kind, told)

    def _behind(self, error: BaseException | None, depth: int) -> Portrait | None:
        # a cause is most often the context too, which is given to it again
        return None if error is None or not depth or id(error) in self._seen else self.paint(error, depth - 1)

    def _whole(self, error: BaseException) -> bytes | None:
        data = _pickled(error) if own_pickling(type(error)) else None
        return data if data and type(pickle.loads(data)) is type(error) and self._fits(data) else None

    def _state(self, error: BaseException, kind: Kind, reduced: Any, depth: int) -> tuple[tuple[str, Kept], ...]:
        found: dict[str, Any] = {**(reduced or {}), **vars(error)}
        # __slots__; and of a class that the parent will not have, what it says by class attributes and properties
        names = [name for each in type(error).__mro__ for name, is_ in vars(each).items() if _is_slot(is_)]
        for name in names if kind.there else (*names, *(each for each in dir(error) if each[0] != "_")):
            with contextlib.suppress(*Unsaid):
                found.setdefault(name, getattr(error, name))
        found = {name: value for name, value in found.items() if name != "args" and not callable(value)}
        kept = ((name, self._keep(value, depth)) for name, value in found.items())
        return tuple((name, value) for name, value in kept if value is not None)

    def _all(self, values: Iterable[Any], depth: int) -> tuple[Kept, ...]:
        return tuple(self._keep(each, depth) or pickle.dumps(_shortened(each)) for each in values)

    def _keep(self, value: Any, depth: int) -> "Kept | None":
        if isinstance(value, BaseException):
            return self._behind(value, depth)
        data = _pickled(value)
        if data is None:
            data = _pickled(_plain(value, 2))
        return data if data and self._fits(data) else None

    def _fits(self, data: bytes) -> bool:
        if len(data) > self._room:
            return False
        self._room -= len(data)
        return True

    def _text(self, text: str) -> str:
        text = text[: self._room]
        self._room -= len(text)
        return text


def _is_slot(found: object) -> bool:
    return isinstance(found, types.MemberDescriptorType)


class _TooMuch(Exception): ...


class _Bounded(io.BytesIO):
    """Takes no more than is carried: who runs into a limit of memory because of its error would be killed for it."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > ERROR_MAX:
            raise _TooMuch
        return super().write(data)


def _pickled(value: Any) -> bytes | None:
    """None: it cannot be; nothing: it is too much."""
    file = _Bounded()
    try:
        pickle.Pickler(file).dump(value)
        pickle.loads(file.getvalue())
    except _TooMuch:
        return b""
    except Unsaid:
        return None
    return file.getvalue()


def _shortened(value: Any) -> str:
    return value[:BRIEF] if isinstance(value, str) else f"<{type(value).__name__}>"


def _plain(value: Any, depth: int) -> Any:
    """What is left of a value that cannot be pickled: of a lock nothing, of a response its status and headers."""
    if _pickled(value) is not None:
        return value
    if not depth:
        return None
    if isinstance(value, Mapping):
        return {key: _plain(each, depth - 1) for key, each in islice(value.items(), PARTS_MAX) if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [_plain(each, depth - 1) for each in value[:PARTS_MAX]]
    left = types.SimpleNamespace()
    for name in (*getattr(value, "__dict__", ()), *LOOKED_AT):
        with contextlib.suppress(*Unsaid):
            setattr(left, name, _plain(getattr(value, name), depth - 1))
    return left


def rebuilt(portrait: Portrait) -> BaseException:
    """In the parent: the exception again, of its class, without having called its ``__init__``.

    Where the class is not to be found here, or cannot be made, it is one of the same name, with the same bases as far
    as they are found.
    """
    error = _unpickled(portrait) or _assembled(portrait)
    put = BaseException.__setattr__  # the class may be frozen
    if not portrait.members:
        put(error, "args", _opened_all(portrait.args))
    for name, kept in portrait.state:
        with contextlib.suppress(*Unsaid):
            put(error, name, _opened(kept))
    cause = rebuilt(portrait.cause) if portrait.cause else None
    context = rebuilt(portrait.context) if portrait.context else cause
    for name, value in (("__cause__", cause), ("__context__", context), ("__suppress_context__", portrait.suppressed)):
        put(error, name, value)
    with contextlib.suppress(*Unsaid):
        put(error, TOLD, portrait.told._replace(notes=len(getattr(error, "__notes__", ()))))
    return error


def _unpickled(portrait: Portrait) -> BaseException | None:
    if portrait.whole:
        with contextlib.suppress(*Unsaid):
            error = pickle.loads(portrait.whole)
            return error if isinstance(error, BaseException) else None
    return None


def _assembled(portrait: Portrait) -> BaseException:
    members = [rebuilt(each) for each in portrait.members]
    parts = (*_opened_all(portrait.parts), members) if members else _opened_all(portrait.parts)
    kind = exact(portrait.kind)
    for each in (
        kind,
        *(stand_in(portrait.kind, (base,)) for base in kind.__mro__[1:] if issubclass(base, BaseException)),
    ):
        error = _made(each, parts) or _made(each, ())
        if error is not None:
            return error
    return Exception()


def _made(kind: type, parts: tuple[Any, ...]) -> BaseException | None:
    """An instance without the class's own ``__init__``."""
    with contextlib.suppress(*Unsaid):
        native = native_of(kind)
        error: BaseException = native.__new__(kind, *parts)
        native.__init__(error, *parts)
        return error
    return None


def _opened(kept: Kept) -> Any:
    return rebuilt(kept) if isinstance(kept, Portrait) else pickle.loads(kept)


def _opened_all(kept: tuple[Kept, ...]) -> tuple[Any, ...]:
    opened: list[Any] = []
    for each in kept:
        try:
            opened.append(_opened(each))
        except Unsaid:
            opened.append(None)
    return tuple(opened)
