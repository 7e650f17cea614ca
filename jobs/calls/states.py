"""The states of a call, and which may follow which."""

from enum import StrEnum


class State(StrEnum):
    """Where a call is. It moves down this list only, and never from one end to another."""

    SCHEDULED = "scheduled"
    DIALING = "dialing"
    RINGING = "ringing"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    CANCELLED = "cancelled"


LIVE = (State.DIALING, State.RINGING, State.IN_PROGRESS)
"""The provider has it, or may have it."""
ENDS = (State.COMPLETED, State.FAILED, State.NO_ANSWER, State.BUSY, State.CANCELLED)

MOVES: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.DIALING, State.CANCELLED, State.FAILED}),
    # the provider's events may overtake each other, so that steps are left out
    State.DIALING: frozenset({State.RINGING, State.IN_PROGRESS, *ENDS}),
    State.RINGING: frozenset({State.IN_PROGRESS, *ENDS}),
    State.IN_PROGRESS: frozenset(ENDS),
    **dict.fromkeys(ENDS, frozenset()),
}
"""What may follow each state."""
