"""For a worker whose host's clock is wrong by ``CHAOS_CLOCK_OFF`` seconds: ``time.time`` and ``datetime`` tell it.

The monotonic clock is right, as on a host whose clock is set.
"""

import copyreg
import datetime
import os
import time
from typing import Any

OFFSET = float(os.environ.get("CHAOS_CLOCK_OFF", "0"))
_real: Any = datetime.datetime
_time, _time_ns = time.time, time.time_ns
_delta = datetime.timedelta(seconds=OFFSET)


class _Wrong(type):
    """Makes real datetimes, and takes them for its own."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _real(*args, **kwargs) if cls is WrongDatetime else super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _real) if cls is WrongDatetime else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _real) if cls is WrongDatetime else super().__subclasscheck__(subclass)


class WrongDatetime(_real, metaclass=_Wrong):  # type: ignore[misc]
    """``datetime.datetime`` on that host."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _real.now(tz) + _delta

    @classmethod
    def utcnow(cls) -> Any:
        return _real.now(datetime.UTC).replace(tzinfo=None) + _delta

    @classmethod
    def today(cls) -> Any:
        return _real.today() + _delta


def _again(*fields: Any) -> Any:
    return _real(*fields)


def _reduced(moment: Any) -> Any:
    # by a function: its class is no longer what is found under the class's name, which pickle refuses
    return _again, moment.__reduce_ex__(4)[1]


if OFFSET:
    copyreg.pickle(_real, _reduced)
    time.time = lambda: _time() + OFFSET
    time.time_ns = lambda: _time_ns() + int(OFFSET * 1e9)
    datetime.datetime = WrongDatetime  # type: ignore[misc]
