"""The states of Celery's tasks, and which of two says more."""

PENDING = "PENDING"
"""Waits, or nobody knows of it."""
RECEIVED = "RECEIVED"
"""A worker has it; only events say so."""
STARTED = "STARTED"
"""Runs; only with ``track_started``."""
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"
REJECTED = "REJECTED"
"""Refused; only events say so."""
RETRY = "RETRY"
"""Waits to be run again."""
IGNORED = "IGNORED"
"""Ended and kept no state; only signals say so."""

PRECEDENCE: list[str | None] = [SUCCESS, FAILURE, None, REVOKED, STARTED, RECEIVED, REJECTED, RETRY, PENDING]
"""From the state that says most to the one that says least; ``None`` stands for any other, such as ``PROGRESS``."""
PRECEDENCE_LOOKUP = {name: place for place, name in enumerate(PRECEDENCE)}
NONE_PRECEDENCE = PRECEDENCE_LOOKUP[None]

READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
"""There is a result, or there never will be one."""
UNREADY_STATES = frozenset({PENDING, RECEIVED, STARTED, REJECTED, RETRY})
EXCEPTION_STATES = frozenset({RETRY, FAILURE, REVOKED})
"""The result is an exception."""
PROPAGATE_STATES = frozenset({FAILURE, REVOKED})
"""``get()`` raises the result."""
ALL_STATES = frozenset({PENDING, RECEIVED, STARTED, SUCCESS, FAILURE, RETRY, REVOKED})


def precedence(state: str | None) -> int:
    """The place of a state in ``PRECEDENCE``."""
    return PRECEDENCE_LOOKUP.get(state, NONE_PRECEDENCE)


class state(str):
    """A state as text that is greater than another when it says more: ``state("SUCCESS") > state("PENDING")``."""

    def __gt__(self, other: str) -> bool:
        return precedence(self) < precedence(other)

    def __ge__(self, other: str) -> bool:
        return precedence(self) <= precedence(other)

    def __lt__(self, other: str) -> bool:
        return precedence(self) > precedence(other)

    def __le__(self, other: str) -> bool:
        return precedence(self) >= precedence(other)
