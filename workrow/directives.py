"""What a task raises to say how its job goes on.

Directive
├── RetryLater   this attempt failed; the next one starts at the time given
├── Discard      the job is over: failed, on purpose, with a reason
└── Snooze       not now: the job waits again, and this was no attempt
    └── RateLimited   the same, and nothing else under the job's limit starts before
"""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from workrow.errors import OptionError, brief, check_time, seconds_in

LEAST_SECONDS = 1.0
"""Who is told to wait for less waits so long: a service that rounds down to 0 must not be asked in a loop."""


class Directive(Exception):
    """The root of the tree above."""


class _Timed(Directive):
    """A directive with a time: how much later, or when.

    Attributes:
        reason: why, for the row and the log.
        seconds: how much later; None where ``at`` says it.
        at: when; None where ``seconds`` says it.
    """

    word: ClassVar[str] = "in_"
    """The argument that says how much later."""
    longest: ClassVar[tuple[timedelta, str]] = (timedelta(days=36500), "100 years")

    def __init__(self, reason: str = "", *, in_: float | timedelta | None = None, at: datetime | None = None) -> None:
        name = type(self).__name__
        if (in_ is None) == (at is None):
            raise OptionError(f"{name}({self.word}={brief(in_)}, at={brief(at)}): give one of the two")
        if at is not None:
            check_time(f"{name}(at={brief(at)})", at)
        self.reason = reason
        self.seconds = None if in_ is None else self._seconds(in_)
        self.at = at
        when = f"in {self.seconds:g} s" if self.seconds is not None else f"at {at}"
        super().__init__(f"{reason}: again {when}" if reason else f"again {when}")

    def _seconds(self, in_: float | timedelta) -> float:
        seconds = seconds_in(in_)
        longest, said = self.longest
        if seconds is None or seconds > longest.total_seconds():
            raise OptionError(
                f"{type(self).__name__}({self.word}={brief(in_)}): must be a timedelta or a number of seconds, up to "
                f"{said}"
            )
        return seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.reason, self._said())

    def _said(self) -> dict[str, Any]:
        """The arguments that make it again."""
        return {self.word: self.seconds, "at": self.at}


def _again(kind: type[_Timed], reason: str, said: dict[str, Any]) -> _Timed:
    return kind(reason, **said)


class RetryLater(_Timed):
    """This attempt failed, and the next one starts at the time given instead of the one that the policy computes.

    It counts as an attempt: ``max_attempts`` of the task's policy still holds (of a task without one: of ``Retry()``).
    ``raise RetryLater(in_=60) from error`` keeps the error, and takes ``max_attempts`` from the rule that fits it.

    Args:
        reason: why, for the row and the log.
        in_: how much later: seconds or a timedelta.
        at: when: a datetime with a time zone. One of the two.

    Raises:
        OptionError: the time cannot be understood.
    """


class Snooze(_Timed):
    """Not now: the job goes back to the queue and waits until the time given. This was no attempt, and no error.

    Nothing bounds how often: give the job an end with ``expires=``, or look at ``ctx.job.scheduled_at``. How often a
    worker has taken it is the column ``claims`` of ``workrow.jobs``.

    Args:
        reason: why, for the log.
        in_: how much later: seconds or a timedelta, a millisecond at least.
        at: when: a datetime with a time zone. One of the two.

    Raises:
        OptionError: the time cannot be understood.
    """

    def _seconds(self, in_: float | timedelta) -> float:
        seconds = super()._seconds(in_)
        if seconds < 0.001:  # which the statement would round to 0
            raise OptionError(
                f"Snooze(in_={brief(in_)}): must be more than 0, a millisecond at least: nothing bounds how often a "
                "job snoozes"
            )
        return seconds


class RateLimited(Snooze):
    """The other side has had enough: the job waits again, and no other job under its limit starts before that time.

    For tasks with ``limits=``: a 429 for one job says the same to all that wait. This was no attempt, and no error, as
    with `Snooze`. What runs already goes on. A task without limits: the job alone waits.

    Args:
        reason: why, for the log.
        retry_after: how much later: seconds or a timedelta, up to a year (365 days). Less than 1 s, which services
            round down to 0, is 1 s.
        at: when: a datetime with a time zone, up to a year from now; less than 1 s from now is 1 s. One of the two.
        limit: the name of the limit that is held, of several; by default all that have a ``key``, or all if none has.

    Raises:
        OptionError: the time cannot be understood.
    """

    word = "retry_after"
    longest = (timedelta(days=365), "a year (365 days); is it a time? then say at=datetime.fromtimestamp(…, UTC)")

    def __init__(
        self,
        reason: str = "",
        *,
        retry_after: float | timedelta | None = None,
        at: datetime | None = None,
        limit: str | None = None,
    ) -> None:
        super().__init__(reason, in_=retry_after, at=at)
        if self.at is not None:
            ahead = self.at - datetime.now(UTC)
            if ahead > self.longest[0]:
                raise OptionError(f"RateLimited(at={at!r}): must be within a year (365 days) from now")
            if ahead < timedelta(seconds=LEAST_SECONDS):
                self.seconds, self.at = LEAST_SECONDS, None
        if limit is not None and (not isinstance(limit, str) or not limit):
            raise OptionError(f"RateLimited(limit={limit!r}): must be the name of one of the task's limits")
        self.limit = limit

    def _seconds(self, in_: float | timedelta) -> float:
        return max(LEAST_SECONDS, _Timed._seconds(self, in_))

    def _said(self) -> dict[str, Any]:
        return {**super()._said(), "limit": self.limit}


class Discard(Directive):
    """The job is over, on purpose: it ends as failed and discarded, with the reason kept, and is not retried.

    Args:
        reason: why, for the row and the log.
    """

    def __init__(self, reason: str = "discarded") -> None:
        super().__init__(reason)
        self.reason = reason
