"""``a | b``: what becomes of two signatures, one after the other."""

from functools import reduce
from operator import or_
from typing import Any

from workrow.celery.canvas.chain import _chain
from workrow.celery.canvas.chord import _chord
from workrow.celery.canvas.group import group, unrolled
from workrow.celery.canvas.signature import Signature


def join(first: Any, second: Any) -> Any:
    """One after the other; a group that something follows becomes a chord."""
    if not isinstance(second, Signature):
        return NotImplemented
    is_empty = isinstance(second, group) and not second.tasks
    if isinstance(first, group):
        return first if is_empty else _chord(first, body=second, app=first._app)
    if isinstance(first, _chain):
        return first if is_empty else _after_chain(first, second)
    if isinstance(second, _chain):
        return _chain(first, *second.unchain_tasks(), app=first._app)
    only = unrolled(second)
    if isinstance(first, _chord) and not isinstance(only, group):
        return _longer(first.clone(), only)
    return _chain(first, only, app=first._app)


def _after_chain(first: Any, second: Any) -> Any:
    if isinstance(second, _chain):
        return reduce(or_, second.unchain_tasks(), first)
    if isinstance(second, group):
        return _group_after_chain(first, unrolled(second))
    last = first.tasks[-1] if first.tasks else None
    if isinstance(last, group):
        whole = first.clone()
        whole.tasks[-1] = _chord(whole.tasks[-1], second, app=first._app)
        if len(whole.tasks) > 1 and isinstance(whole.tasks[-2], _chord):
            _longer(whole.tasks[-2], whole.tasks.pop())
        return whole
    if isinstance(last, _chord) and not isinstance(second, _chord):
        whole = first.clone()
        _longer(whole.tasks[-1], second)
        return whole
    return type(first)([*first.unchain_tasks(), second], app=first._app)


def _group_after_chain(first: Any, second: Any) -> Any:
    if not isinstance(second, group):
        return first | second
    steps = first.unchain_tasks()
    if not steps:
        return second
    if isinstance(steps[-1], _chord):
        _longer(steps[-1], second)
    else:
        steps.append(second)
    return type(first)(steps, app=first._app)


def _longer(chord: Any, second: Any) -> Any:
    chord.body = chord.body | second
    return chord
