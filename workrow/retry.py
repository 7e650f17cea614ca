"""When a failed attempt is tried again, and when it is given up."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import procrastinate
from procrastinate.jobs import Job

from workrow.errors import OptionError

Wait = Callable[[int], float]
"""From the number of attempts made (1 after the first failure) to the seconds until the next one."""

Exceptions = tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class exponential:  # noqa: N801 - reads as a function: wait=exponential(5, cap=300)
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
        OptionError: a span that is not positive, a factor below 1.
    """

    base: float
    factor: float = 2.0
    cap: float = 3600.0
    jitter: bool = True

    def __post_init__(self) -> None:
        for name, value, least in (("base", self.base, 0), ("factor", self.factor, 1), ("cap", self.cap, 0)):
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= least):
                raise OptionError(f"exponential({name}={value!r}): {name} must be a finite number, at least {least}")

    def __call__(self, attempts: int) -> float:
        # past 64 doublings every cap is reached; factor ** attempts would overflow at about 1,000
        span = min(self.cap, self.base * self.factor ** min(attempts - 1, 64))
        return random.uniform(0, span) if self.jitter else span


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(procrastinate.BaseRetryStrategy):
    """A retry policy.

    Args:
        max_attempts: how often the task may start in all, the first time included; None for no limit.
        wait: seconds until the next attempt, fixed or computed from the number of attempts made.
        retry_on: retry only these exceptions (and their subclasses).
        discard_on: never retry these: the job ends at once as failed and discarded, with the reason kept. Wins over
            ``retry_on``.

    Raises:
        OptionError: at declaration, for a value that cannot work.
    """

    max_attempts: int | None = 3
    wait: float | Wait = exponential(5, cap=3600)
    retry_on: Exceptions = (Exception,)
    discard_on: Exceptions = ()

    def __post_init__(self) -> None:
        if self.max_attempts is not None and (not isinstance(self.max_attempts, int) or self.max_attempts < 1):
            raise OptionError(f"Retry(max_attempts={self.max_attempts!r}): must be at least 1, or None for no limit")
        if not callable(self.wait) and not (
            isinstance(self.wait, int | float) and math.isfinite(self.wait) and self.wait >= 0
        ):
            raise OptionError(
                f"Retry(wait={self.wait!r}): must be seconds (0 or more) or a function such as exponential(5, cap=300)"
            )
        for name, value in (("retry_on", self.retry_on), ("discard_on", self.discard_on)):
            if not isinstance(value, tuple) or not all(
                isinstance(item, type) and issubclass(item, BaseException) for item in value
            ):
                raise OptionError(f"Retry({name}={value!r}): must be a tuple of exception classes, such as (OSError,)")

    def narrowed(self, retry_on: Exceptions | None, discard_on: Exceptions | None) -> Self:
        """The same policy for a task that declares its own ``retry_on`` or adds to ``discard_on``."""
        own = Retry(discard_on=() if discard_on is None else discard_on)
        return replace(
            self,
            retry_on=self.retry_on if retry_on is None else retry_on,
            discard_on=self.discard_on + own.discard_on,
        )

    def discards(self, exception: BaseException) -> bool:
        """Whether this exception ends the job at once."""
        return isinstance(exception, self.discard_on)

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        """procrastinate's hook: the next attempt's time, or None to give up."""
        attempts = job.attempts + 1  # job.attempts counts the attempts that ended before this one
        if self.discards(exception) or not isinstance(exception, self.retry_on):
            return None
        if self.max_attempts is not None and attempts >= self.max_attempts:
            return None
        seconds = self.wait(attempts) if callable(self.wait) else self.wait
        # timedelta parameters of procrastinate are whole numbers of each unit
        return procrastinate.RetryDecision(retry_in={"milliseconds": round(seconds * 1000)})
