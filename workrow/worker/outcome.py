"""A claimed job, and how its attempt ended."""

import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from procrastinate import jobs
from procrastinate.retry import RetryDecision

from workrow.payload import dump_result
from workrow.worker.link import Row

MESSAGE_MAX = 10_000
TRACEBACK_MAX = 30_000
"""Characters kept of an error. A traceback loses its middle: where it began and where it ended say most."""


class Claimed:
    """A job that this worker has claimed: a row of one of the ``claim_*.sql`` statements."""

    def __init__(self, row: Row) -> None:
        self.id, self.queue, self.task, self.priority, self.lock, _, self.args, _, self.attempts = row
        self._row = row
        self.claimed_at = time.monotonic()
        self.started_at = 0.0

    @cached_property
    def job(self) -> jobs.Job:
        """The same as procrastinate's value; made only if somebody asks."""
        id_, queue, task, priority, lock, queueing_lock, args, scheduled_at, attempts = self._row
        return jobs.Job(
            id=id_,
            status=jobs.Status.DOING.value,
            queue=queue,
            priority=priority,
            lock=lock,
            queueing_lock=queueing_lock,
            task_name=task,
            task_kwargs=args,
            scheduled_at=scheduled_at,
            attempts=attempts,
        )


@dataclass(slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        claimed: the job.
        status: "succeeded", "failed", "aborted"; or "todo", to be tried again if there is a ``retry``, and else to be
            given back without counting the attempt.
        result: JSON text.
        error: one attempt's entry of ``errors``, as JSON text.
        retry: when and where it is tried again.
        ended_at: seconds of the monotonic clock.
    """

    claimed: Claimed
    status: str
    result: str | None = None
    error: str | None = None
    retry: RetryDecision | None = None
    ended_at: float = 0.0


def describe(error: BaseException, attempt: int, *, discarded: bool) -> str:
    """One failed attempt as the JSON object that ``errors`` holds."""
    text = "".join(traceback.format_exception(error))
    if len(text) > TRACEBACK_MAX:
        half = TRACEBACK_MAX // 2
        text = f"{text[:half]}\n… {len(text) - TRACEBACK_MAX} characters left out …\n{text[-half:]}"
    kept: dict[str, Any] = {
        "attempt": attempt,
        "at": datetime.now(UTC),
        "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        "message": _storable(str(error)[:MESSAGE_MAX]),
        "traceback": _storable(text),
        "discarded": discarded,
    }
    return dump_result(kept) or "{}"


def _storable(text: str) -> str:
    """The text without what jsonb refuses: NUL and lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
