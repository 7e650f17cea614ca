"""What psycopg's pools say of a database that is away, said as everything else of this process says it."""

import itertools
import logging
import weakref
from typing import Any

import psycopg

from workrow.database.outage import Outage

_CONNECTING = "error connecting in %r: %s"
_GIVEN_UP = "reconnection attempt in pool %r failed after %s sec"
_DISCARDING = ("discarding broken connection: %s", "discarding closed connection: %s")

_numbers = itertools.count(1)
_outages: weakref.WeakValueDictionary[str, Outage] = weakref.WeakValueDictionary()
"""By the names of our pools."""


def outage_of_pool() -> tuple[str, Outage]:
    """A name for a pool, and what is said of its database, which its user keeps and tells of each new connection."""
    logging.getLogger("psycopg.pool").addFilter(_heed)  # once, however often it is called
    name = f"workrow-{next(_numbers)}"
    outage = _outages[name] = Outage(f"connections of the pool {name}")
    return name, outage


def _heed(record: logging.LogRecord) -> bool:
    """Each attempt of ours that fails is noted, and not logged; other pools speak for themselves."""
    args: Any = record.args
    if record.levelno != logging.WARNING or not isinstance(args, tuple) or not args:
        return True
    if record.msg in _DISCARDING:
        # who used it has the error
        return getattr(getattr(args[0], "_pool", None), "name", None) not in _outages
    outage = _outages.get(args[0]) if record.msg in (_CONNECTING, _GIVEN_UP) else None
    if outage is None:
        return True
    if record.msg == _CONNECTING:
        outage.noted(args[1] if isinstance(args[1], Exception) else psycopg.OperationalError(str(args[1])))
    else:
        outage.forget()
    return False
