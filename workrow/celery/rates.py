"""Celery's rate limits as workrow's."""

import re
from fractions import Fraction
from typing import Any

from workrow.celery.exceptions import ImproperlyConfigured
from workrow.declare.limits import Rate

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*([smh]))?\s*")


def rate_of(limit: Any) -> Rate:
    """``"10/m"``, ``"0.5/s"`` or a number a second: so many start, evenly spread.

    Raises:
        ImproperlyConfigured: it is none of these.
    """
    found = _RATE.fullmatch(str(limit))
    if not found or not (each := Fraction(found[1])):
        raise ImproperlyConfigured(
            f"rate_limit={limit!r}: must be a number a second, or one with a unit, such as '10/m' (s, m or h)"
        )
    # one at a time: Celery's buckets hold one token
    return Rate(f"{each.numerator}/{each.denominator}{found[2] or 's'}", burst=1)
