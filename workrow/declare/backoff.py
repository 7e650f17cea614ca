"""How long to wait before the next attempt."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from workrow.errors import LONGEST, OptionError, brief, is_number

Wait = Callable[[int], float]
"""From the number of attempts made (1 after the first failure) to the seconds until the next one."""


@dataclass(frozen=True, slots=True)
class fixed:  # noqa: N801 - reads as a function: wait=fixed(30)
    """The same time after every attempt.

    Args:
        seconds: how long.
        jitter: True waits a random time between 0 and that.

    Raises:
        OptionError: it is negative.
    """

    seconds: float
    jitter: bool = False

    def __post_init__(self) -> None:
        _check("fixed", seconds=(self.seconds, 0))
        _check_flags("fixed", self.jitter)

    def __call__(self, attempts: int) -> float:
        return _spread(self.seconds, self.jitter)


@dataclass(frozen=True, slots=True)
class linear:  # noqa: N801
    """A time that grows by the same step with every attempt: ``min(cap, step * n)`` seconds after attempt *n*.

    Args:
        step: in seconds.
        cap: the longest time, in seconds.
        jitter: True waits a random time between 0 and that.

    Raises:
        OptionError: a number is negative, or the cap below the step.
    """

    step: float
    cap: float = 3600.0
    jitter: bool = False

    def __post_init__(self) -> None:
        _check("linear", step=(self.step, 0), cap=(self.cap, 0))
        _check_flags("linear", self.jitter)
        _check_cap("linear", "step", self.step, self.cap)

    def __call__(self, attempts: int) -> float:
        return _spread(min(self.cap, self.step * attempts), self.jitter)


@dataclass(frozen=True, slots=True)
class exponential:  # noqa: N801
    """Exponential back-off with a cap and full jitter.

    After attempt *n* the next one starts a random time between 0 and ``min(cap, base * factor ** (n - 1))`` seconds
    later: "Full Jitter" of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, which spreads
    a herd of failed jobs over the whole span.

    Args:
        base: the span after the first attempt, in seconds.
        factor: what the span is multiplied with after every further attempt.
        cap: the longest span, in seconds.
        jitter: False waits the whole span each time.

    Raises:
        OptionError: a span below 0, a factor below 1, a cap below the base.
    """

    base: float
    factor: float = 2.0
    cap: float = 3600.0
    jitter: bool = True

    def __post_init__(self) -> None:
        _check("exponential", base=(self.base, 0), factor=(self.factor, 1), cap=(self.cap, 0))
        _check_flags("exponential", self.jitter)
        _check_cap("exponential", "base", self.base, self.cap)

    def __call__(self, attempts: int) -> float:
        try:
            span = min(self.cap, self.base * float(self.factor) ** (attempts - 1))
        except OverflowError:  # past any cap
            span = self.cap if self.base else 0.0
        return _spread(span, self.jitter)


def _spread(span: float, jitter: bool) -> float:
    return random.uniform(0, span) if jitter else span


def _check(function: str, **numbers: tuple[float, int]) -> None:
    for name, (value, least) in numbers.items():
        if not (is_number(value) and least <= value <= LONGEST):
            raise OptionError(
                f"{function}({name}={brief(value)}): {name} must be a finite number, at least {least} and at most "
                f"{LONGEST:.0f}, which is 100 years"
            )


def _check_flags(function: str, jitter: object) -> None:
    if not isinstance(jitter, bool):
        raise OptionError(f"{function}(jitter={jitter!r}): must be True or False")


def _check_cap(function: str, name: str, first: float, cap: float) -> None:
    if cap < first:
        raise OptionError(
            f"{function}({name}={first!r}, cap={cap!r}): the cap is below the {name}, so that it would never grow; "
            f"raise the cap, or use fixed({cap!r})"
        )
