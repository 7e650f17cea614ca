"""The fields of a crontab: `5`, `mon-fri`, `*/15`, `22-2/2`, `jan,jun`, as sets of numbers."""

import calendar
import re
from collections.abc import Iterable

Cronspec = int | str | Iterable[int]

DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
NAMES = {name: number for number, name in enumerate(DAYS)} | {name: number for number, name in enumerate(MONTHS, 1)}

# What follows a match is passed over, as Celery does: `1-5-7` is `1-5`.
RANGE = re.compile(r"(\w+?)-(\w+)(/(?P<step>\w*))?")
STAR = re.compile(r"\*($|/(?P<step>\w*))")


class ParseException(Exception):
    """A part of a field that is empty, negative or has an empty step."""


class crontab_parser:
    """Reads one field that takes `max_` numbers from `min_` on: `crontab_parser(12, 1)` reads months."""

    ParseException = ParseException

    def __init__(self, max_: int = 60, min_: int = 0) -> None:
        self.max_ = max_
        self.min_ = min_
        self._numbers = range(min_, max_ + min_)

    def parse(self, spec: str) -> set[int]:
        """The numbers of `spec`. Raises ParseException or ValueError."""
        return {number for part in spec.split(",") for number in self._part(part)}

    def _part(self, part: str) -> Iterable[int]:
        if not part:
            raise ParseException("empty part")
        if found := RANGE.match(part):
            first, last, step = found[1], found[2], _step(found)
            return self._range(self._number(first), self._number(last))[:: int(step)]
        if found := STAR.match(part):
            return self._numbers[:: int(_step(found))]
        return [self._number(part)]

    def _range(self, first: int, last: int) -> list[int]:
        """From `first` to `last`; over the end and on from the beginning where `last` is the smaller."""
        if last < first:
            return [*range(first, self._numbers.stop), *range(self.min_, last + 1)]
        return list(range(first, last + 1))

    def _number(self, text: str) -> int:
        if text.startswith("-"):
            raise ParseException("negative numbers not supported")
        try:
            number = int(text)
        except ValueError:
            if (name := text.lower()[:3]) not in NAMES:
                raise ValueError(f"Invalid weekday literal {text!r}.") from None
            number = NAMES[name]
        if number > self._numbers[-1]:
            raise ValueError(f"Invalid end range: {number} > {self._numbers[-1]}.")
        if number < self.min_:
            raise ValueError(f"Invalid beginning range: {number} < {self.min_}.")
        return number


def _step(found: re.Match[str]) -> str:
    if found["step"] == "":
        raise ParseException("empty filter")
    return found["step"] or "1"


def expanded(spec: Cronspec, max_: int, min_: int = 0) -> set[int]:
    """The numbers of a field. Raises ParseException, ValueError or TypeError."""
    if isinstance(spec, int):
        numbers = {spec}
    elif isinstance(spec, str):
        numbers = crontab_parser(max_, min_).parse(spec)
    elif isinstance(spec, Iterable):
        numbers = set(spec)
    else:
        raise TypeError(
            "Argument cronspec needs to be of any of the following types: int, str, or an iterable type."
            f" {type(spec)} was given."
        )
    for number in numbers:
        if number >= max_ + min_ or number < min_:
            raise ValueError(
                f"Invalid crontab pattern.  Valid range is {min_}-{max_ + min_ - 1}. '{number}' was found."
            )
    return numbers


def ever(days_of_month: set[int], months: set[int]) -> bool:
    """Whether one of the days is in one of the months, in a leap year at least."""
    return any(day <= calendar.monthrange(2024, month)[1] for month in months for day in days_of_month)
