"""Numbers on the command line."""

import math
from typing import Any

import click

from workrow.declare.options import INT4_MAX

JOB_ID = click.IntRange(1, 2**63 - 1)
COUNT = click.IntRange(1, INT4_MAX)
PRIORITY = click.IntRange(-INT4_MAX, INT4_MAX)


class Finite(click.FloatRange):
    """A number that is neither ``nan`` nor ``inf``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click does, and refused if it is not finite."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number
