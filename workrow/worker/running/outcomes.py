"""How the jobs of a batch ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workrow.job import UNKEPT
from workrow.worker.outcome import Outcome, entry


@dataclass(slots=True)
class Outcomes:
    """What the transaction of a batch writes: the ends of those that succeeded.

    Attributes:
        claimed: the `Together`.
        answers: an outcome for each that succeeded, an exception for the others.
    """

    claimed: Any
    answers: list[Any]

    @property
    def each(self) -> list[Outcome]:
        """The outcomes."""
        return [answer for answer in self.answers if type(answer) is Outcome]

    @property
    def result(self) -> str | None:
        """One of the results that are to be kept, if any is."""
        return next((one.result for one in self.each if one.result is not None), None)


Ends = Outcome | Outcomes
"""Of a job, or of a batch."""


def without_results(finish: Callable[[Any], Ends], why: str, returned: Any) -> Ends:
    """What ``finish`` makes of what a task returned, but for the results, which are not kept.

    Args:
        finish: see `workrow.worker.running.transactions.Transactions.run_async`.
        why: said to who asks for one.
        returned: by the task.
    """
    ends = finish(returned)
    for outcome in ends.each:
        if outcome.result is not None:
            outcome.result, outcome.error = None, entry(outcome.claimed, UNKEPT, why)
    return ends
