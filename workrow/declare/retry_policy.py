"""When a failed attempt is tried again, and when it is given up."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self

import procrastinate
from procrastinate.jobs import Job

from workrow.database import clock
from workrow.declare.backoff import Wait, exponential
from workrow.directives import Directive, Discard, RetryLater, Snooze
from workrow.errors import INT4_MAX, OptionError, brief, check_time, is_number, is_whole, seconds_in

Exceptions = tuple[type[BaseException], ...]

MAX_ATTEMPTS = 3
WAIT = exponential(5, cap=3600)
"""Nobody waits for longer on purpose."""
RETRY_AFTER_MAX = 86_400.0
"""Seconds: what another service asks us to wait is believed up to so much."""
RETRY_AFTER_JITTER = 0.1
"""Part of that time by which the next attempt may be later: all who were refused at the same moment got the same."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one kind of exception. See `Retry`.

    Args:
        on: an exception class, a tuple of them, or a function that says whether an exception is of this kind.
        max_attempts: how often the task may start in all, the first time included; None for no limit.
        wait: seconds until the next attempt, fixed or computed from the number of attempts made.
        discard: never retry: the job ends at once as failed and discarded, with the reason kept.
        retry_after: wait no less than the exception asks for: an attribute ``retry_after``, or a header Retry-After of
            its ``response``. In a task with limits, nothing else starts for so long under those that have a key or a
            name.

    Raises:
        OptionError: at declaration, for a value that cannot work.
    """

    on: type[BaseException] | Exceptions | Callable[[BaseException], bool]
    max_attempts: int | None = MAX_ATTEMPTS
    wait: float | Wait = WAIT
    discard: bool = False
    retry_after: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.on, type):
            _check_classes("Rule(on", (self.on,))
        elif not callable(self.on):
            _check_classes("Rule(on", self.on)
        _check_policy("Rule", self.max_attempts, self.wait)
        for name in ("discard", "retry_after"):
            if not isinstance(value := getattr(self, name), bool):
                raise OptionError(f"Rule({name}={value!r}): must be True or False")
        if self.discard and (self.max_attempts, self.wait, self.retry_after) != (MAX_ATTEMPTS, WAIT, False):
            raise OptionError("Rule(discard=True) is never retried: max_attempts, wait and retry_after say nothing")

    def changed(self, **changes: Any) -> Self:
        """A copy with some arguments changed: ``retries.external.changed(max_attempts=20)``."""
        if changes.get("discard"):
            changes = {"max_attempts": MAX_ATTEMPTS, "wait": WAIT, "retry_after": False, **changes}
        return replace(self, **changes)

    def fits(self, exception: BaseException) -> bool:
        """Whether the exception is of this kind; that of a group with one exception in it counts as well."""
        if isinstance(self.on, type | tuple):
            return any(isinstance(each, self.on) for each in sole(exception))
        return any(self.on(each) for each in sole(exception))

    def seconds(self, attempts: int, exception: BaseException) -> float | None:
        """How long to wait after so many attempts; None: give up."""
        if self.discard or (self.max_attempts is not None and attempts >= self.max_attempts):
            return None
        seconds = self.wait(attempts) if callable(self.wait) else self.wait
        if not _possible(seconds):
            raise OptionError(
                f"wait={self.wait!r} returned {brief(seconds)}: must be seconds, 0 or more, up to 100 years"
            )
        return max(seconds, self.asked_seconds(exception) * random.uniform(1, 1 + RETRY_AFTER_JITTER))

    def asked_seconds(self, exception: BaseException) -> float:
        """What the other side asks for, as far as this rule listens and believes it."""
        asked = (asked_seconds(each) or 0.0 for each in sole(exception) if self.retry_after)
        return min(max(asked, default=0.0), RETRY_AFTER_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(procrastinate.BaseRetryStrategy):
    """A retry policy: the first of ``rules`` that fits the exception decides, and for the others the rest.

    Args:
        max_attempts: how often the task may start in all, the first time included; None for no limit.
        wait: seconds until the next attempt, fixed or computed from the number of attempts made.
        retry_on: retry only these exceptions (and their subclasses).
        discard_on: never retry these: the job ends at once as failed and discarded, with the reason kept. Wins over
            ``retry_on`` and ``rules``.
        rules: exceptions with a ``max_attempts`` and a ``wait`` of their own, in this order.

    Raises:
        OptionError: at declaration, for a value that cannot work.
    """

    max_attempts: int | None = MAX_ATTEMPTS
    wait: float | Wait = WAIT
    retry_on: Exceptions = (Exception,)
    discard_on: Exceptions = ()
    rules: tuple[Rule, ...] | list[Rule] = ()

    def __post_init__(self) -> None:
        _check_policy("Retry", self.max_attempts, self.wait)
        _check_classes("Retry(retry_on", self.retry_on)
        _check_classes("Retry(discard_on", self.discard_on)
        rules = self.rules
        if not isinstance(rules, tuple | list) or not all(isinstance(rule, Rule) for rule in rules):
            raise OptionError(f"Retry(rules={rules!r}): must be a tuple of rules, such as (Rule(OSError, wait=5),)")
        object.__setattr__(self, "rules", tuple(rules))
        if self.retry_on != (Exception,):  # what nobody has said contradicts nothing
            _check_agreement(self.retry_on, self.discard_on)

    def narrowed(self, retry_on: Exceptions | None, discard_on: Exceptions | None) -> Self:
        """The same policy for a task that declares its own ``retry_on`` or adds to ``discard_on``."""
        own = Retry(discard_on=() if discard_on is None else discard_on)
        return replace(
            self,
            # of what it inherits, a task may take some out
            retry_on=tuple(each for each in self.retry_on if not issubclass(each, own.discard_on))
            if retry_on is None
            else retry_on,
            discard_on=self.discard_on + own.discard_on,
        )

    def discards(self, exception: BaseException) -> bool:
        """Whether this exception ends the job at once."""
        rule = self._rule(exception)
        return rule is not None and rule.discard

    def is_last(self, attempt: int) -> bool:
        """Whether no error of this attempt (1 is the first) would be retried."""
        limits = [rule.max_attempts for rule in self.rules if not rule.discard]
        if self.retry_on:
            limits.append(self.max_attempts)
        return all(limit is not None and attempt >= limit for limit in limits)

    def asked_seconds(self, exception: BaseException) -> float:
        """How long the other side has asked us to wait, if the rule that fits listens to that; else 0."""
        rule = self._rule(exception)
        return rule.asked_seconds(exception) if rule else 0.0

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision | None:
        """procrastinate's hook: the next attempt's time, or None to give up."""
        attempts = job.attempts + 1  # job.attempts counts the attempts that ended before this one
        told = directive(exception)
        if isinstance(told, Discard):
            return None
        if isinstance(told, Snooze):  # asked by a stock worker, which knows nothing that comes closer
            return decision(told)
        if isinstance(told, RetryLater):
            limit = self.attempts_for(told)
            return decision(told) if limit is None or attempts < limit else None
        rule = self._rule(exception)
        seconds = rule.seconds(attempts, exception) if rule else None
        # timedelta parameters of procrastinate are whole numbers of each unit
        return (
            None if seconds is None else procrastinate.RetryDecision(retry_in={"milliseconds": round(seconds * 1000)})
        )

    def attempts_for(self, told: RetryLater) -> int | None:
        """How often a task may start that raises this: as the rule has it that fits the error behind it."""
        rule = self._rule(told.__cause__) if told.__cause__ else None
        return rule.max_attempts if rule and not rule.discard else self.max_attempts

    def _rule(self, exception: BaseException) -> Rule | None:
        if self.discard_on and (own := Rule(self.discard_on, discard=True)).fits(exception):
            return own
        for rule in self.rules:
            if rule.fits(exception):
                return rule
        rest = Rule(self.retry_on, max_attempts=self.max_attempts, wait=self.wait)
        return rest if rest.fits(exception) else None


def later(
    strategy: procrastinate.BaseRetryStrategy | None, told: RetryLater, job: Job
) -> procrastinate.RetryDecision | None:
    """When a task that raised RetryLater is tried again, whatever its strategy is; None to give up."""
    if isinstance(strategy, procrastinate.RetryStrategy):
        # which counts retries, and may not have RetryLater among its exceptions
        return None if strategy.max_attempts and job.attempts >= strategy.max_attempts else decision(told)
    if strategy is None or isinstance(strategy, Retry):
        return (strategy or Retry()).get_retry_decision(exception=told, job=job)
    return decision(told) if strategy.get_retry_exception(exception=told, job=job) else None


def decision(told: RetryLater | Snooze) -> procrastinate.RetryDecision:
    """The same in procrastinate's words."""
    if told.seconds is None:
        return procrastinate.RetryDecision(retry_at=told.at)
    return procrastinate.RetryDecision(retry_in={"milliseconds": round(told.seconds * 1000)})


def checked(found: object) -> procrastinate.RetryDecision | None:
    """What a policy, which may be anybody's, has decided; raises OptionError where that cannot be done."""
    if found is None:
        return None
    if not isinstance(found, procrastinate.RetryDecision):
        raise OptionError(f"the retry policy returned {found!r}: must be a RetryDecision, or None to give up")
    at, priority = found.retry_at, found.priority
    if at is not None:
        check_time(f"the retry policy returned retry_at={at}", at)
    if priority is not None and not is_whole(priority, -INT4_MAX):
        raise OptionError(f"the retry policy returned priority={brief(priority)}: must be a 32-bit integer")
    for name, text in (("queue", found.queue), ("lock", found.lock)):
        if text is not None and not (isinstance(text, str) and _storable(text)):
            raise OptionError(f"the retry policy returned {name}={text!r}: must be a text without NUL")
    return found


def directive(exception: BaseException) -> Directive | None:
    """What the task said; also as the one exception of a TaskGroup."""
    return next((each for each in sole(exception) if isinstance(each, Directive)), None)


def sole(exception: BaseException) -> Iterator[BaseException]:
    """The exception, and the one inside of it if it is a group of one."""
    yield exception
    while isinstance(exception, BaseExceptionGroup) and len(exception.exceptions) == 1:
        exception = exception.exceptions[0]
        yield exception


def asked_seconds(exception: BaseException) -> float | None:
    """How long the other side asks us to wait: an attribute ``retry_after``, or the header Retry-After."""
    asked = getattr(exception, "retry_after", None)
    if asked is None:
        for holder in (getattr(exception, "response", None), exception):
            headers = getattr(holder, "headers", None)
            if headers is not None and hasattr(headers, "get"):
                asked = headers.get("Retry-After") or headers.get("retry-after")
                break
    try:
        return _asked_seconds(asked)
    except (TypeError, ValueError, OverflowError):
        return None


def _asked_seconds(asked: Any) -> float | None:
    """Seconds, a timedelta, a time, or either as the text of a header: RFC 9110, 10.2.3."""
    if isinstance(asked, bytes):
        asked = asked.decode("ascii", "replace")
    if isinstance(asked, str):
        asked = asked.strip()
        asked = float(asked) if asked.replace(".", "", 1).isdigit() else parsedate_to_datetime(asked)
    if isinstance(asked, datetime):
        asked = (asked if asked.tzinfo else asked.replace(tzinfo=UTC)) - clock.now()
    if isinstance(asked, timedelta):
        asked = asked.total_seconds()
    if is_number(asked):
        return max(0.0, float(asked))
    return None


def _check_policy(kind: str, max_attempts: object, wait: object) -> None:
    if max_attempts is not None and not is_whole(max_attempts, 1, math.inf):
        raise OptionError(f"{kind}(max_attempts={brief(max_attempts)}): must be at least 1, or None for no limit")
    if not callable(wait) and not _possible(wait):
        raise OptionError(
            f"{kind}(wait={brief(wait)}): must be seconds (0 or more) or a function such as exponential(5, cap=300)"
        )


def _check_agreement(retry_on: Exceptions, discard_on: Exceptions) -> None:
    for each in retry_on:
        for given_up in discard_on:
            if issubclass(each, given_up):
                why = "is in both" if each is given_up else f"is a {given_up.__name__}, which is never retried"
                raise OptionError(
                    f"retry_on and discard_on contradict each other: {each.__name__} {why}; take it out of one of them"
                )


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _possible(seconds: object) -> bool:
    return is_number(seconds) and seconds_in(seconds) is not None


def _check_classes(name: str, value: object) -> None:
    if not isinstance(value, tuple) or not all(
        isinstance(item, type) and issubclass(item, BaseException) for item in value
    ):
        raise OptionError(f"{name}={value!r}): must be a tuple of exception classes, such as (OSError,)")
