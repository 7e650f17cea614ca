"""Numbers on the command line."""

import re
from typing import Any

import click

from workrow.errors import INT4_MAX, is_number

JOB_ID = click.IntRange(1, 2**63 - 1)
COUNT = click.IntRange(1, INT4_MAX)
PRIORITY = click.IntRange(-INT4_MAX, INT4_MAX)


def size(text: str) -> int:
    """Mebibytes: ``512``, ``512M`` and ``0.5G`` are the same."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([MG]?)(?:i?B)?", text, re.IGNORECASE)
    mebibytes = int(float(found[1]) * (1024 if found[2].upper() == "G" else 1)) if found else 0
    if mebibytes < 1:
        raise click.BadParameter(f"{text!r} is no size; write 512M or 2G.")
    return mebibytes


class Finite(click.FloatRange):
    """A number that is neither ``nan`` nor ``inf``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click does, and refused if it is not finite."""
        number: float = super().convert(value, param, ctx)
        if not is_number(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number
