"""What is to be written together: calls, results, headers of chords and the ends of their parts."""

from asyncio import AbstractEventLoop, _get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

Kinds = dict[str, list[dict[str, Any]]]


class Outbox:
    """Effects, as ``celery_write_v1`` takes them: ``calls``, ``results``, ``sizes``, ``parts`` and ``groups``.

    Args:
        is_kept: what is in it will be written.
    """

    def __init__(self, is_kept: bool = True) -> None:
        self.is_kept = is_kept
        self.effects: dict[str, Any] = {}

    def add(self, kind: str, effect: dict[str, Any]) -> None:
        self.effects.setdefault(kind, []).append(effect)


_open: ContextVar[Outbox | None] = ContextVar("outbox", default=None)
_of_run: ContextVar[Outbox | None] = ContextVar("outbox_of_run", default=None)


@contextmanager
def together(write: Callable[[dict[str, Any]], object]) -> Iterator[None]:
    """Everything that is sent inside is written once, at the end; nothing, if the block raises.

    Args:
        write: writes effects; only the outermost block calls it.
    """
    if _open.get() is not None:
        yield
        return
    with into(box := Outbox()):
        yield
    if box.effects:
        write(box.effects)


def open_box() -> Outbox | None:
    """What is sent here is collected in this one, and nobody knows yet what becomes of it; None: it is not."""
    return _open.get()


class into:
    """What is sent inside goes into this one; None: is written at once."""

    __slots__ = ("_box", "_token")
    _variable = _open

    def __init__(self, box: Outbox | None) -> None:
        self._box = box

    def __enter__(self) -> None:
        self._token = self._variable.set(self._box)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._token)


class of_run(into):
    """Inside, a task runs; what its end is to send goes into this one."""

    __slots__ = ()
    _variable = _of_run


@contextmanager
def with_the_end() -> Iterator[None]:
    """What the running task sends inside is sent with its end; outside of tasks, at once."""
    box = _of_run.get()
    with into(_open.get() if box is None else box):
        yield


later_on: WeakKeyDictionary[AbstractEventLoop, Callable[[dict[str, Any]], object]] = WeakKeyDictionary()
"""Who writes what tasks say of themselves on an event loop: that does not wait for it."""


def put(kind: str, effect: dict[str, Any], write: Callable[[dict[str, Any]], object]) -> None:
    """Add an effect to what is collected; write it, if nothing is."""
    box = _open.get()
    if box is not None:
        box.add(kind, effect)
    elif kind == "results" and (later := _later()) is not None:
        later(effect)
    else:
        write({kind: [effect]})


def _later() -> Callable[[dict[str, Any]], object] | None:
    loop = _get_running_loop()
    return None if loop is None else later_on.get(loop)
