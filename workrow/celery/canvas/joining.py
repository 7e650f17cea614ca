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
    if isinstance(first, group):
        return _chord(first, body=second, app=first._app)
    if isinstance(first, _chord):
        if isinstance(second, (group, _chain)):
            return _after_chain(_chain(first, app=first._app), unrolled(second))
        return _longer(first.clone(), second)
    second = unrolled(second)
    if isinstance(first, _chain):
        return _after_chain(first, second)
    following = second.unchained() if isinstance(second, _chain) else [second]
    return _chain(first, *following, app=first._app)


def _after_chain(first: Any, second: Any) -> Any:
    if isinstance(second, _chain):
        return reduce(or_, second.unchained(), first)
    steps = first.unchained()
    last = steps[-1] if steps else None
    if isinstance(second, group) and not second.tasks:
        pass
    elif isinstance(second, group) and not steps:
        return second
    elif isinstance(last, group) and not isinstance(second, group):
        steps[-1] = _chord(last, second, app=first._app)
        if len(steps) > 1 and isinstance(steps[-2], _chord):
            _longer(steps[-2], steps.pop())
    elif isinstance(last, _chord) and not isinstance(second, _chord):
        _longer(last, second)
    else:
        steps.append(second)
    return type(first)(steps, app=first._app)


def _longer(chord: Any, second: Any) -> Any:
    chord.body = chord.body | second
    return chord
