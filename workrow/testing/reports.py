"""What ran and what waits, as a test sees it."""

import json
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from workrow.arguments.secrets import MASK, NOTHING, RESULT, masked
from workrow.errors import WorkrowError
from workrow.worker.outcome import Outcome

SHOWN = 20
"""Jobs that a message lists."""


def _shown(report: Any) -> str:
    """A report without what is hidden, as pytest shows it."""
    values = {each.name: getattr(report, each.name) for each in fields(report) if each.name != "hidden"}
    values["args"] = masked(report.args, report.hidden)
    if RESULT in report.hidden and "result" in values:
        values["result"] = MASK
    return f"{type(report).__name__}({_call(values)})"


@dataclass(frozen=True, slots=True, repr=False)
class Ran:
    """One attempt that ran.

    Attributes:
        id: the job's id.
        task: the task's name.
        queue: the queue's name.
        args: the arguments, as they are stored.
        attempt: 1 for the first.
        status: "succeeded", "failed", "aborted"; "todo" for a job that went back to the queue, to be tried again;
            "snoozed" for one that asked to wait.
        result: what the task returned, as it is stored.
        error: what it raised, as ``workrow.jobs.errors`` tells it: ``type``, ``message``, ``traceback``; or why
            its result is not kept.
        hidden: the names of the arguments that are not shown.
    """

    id: int
    task: str
    queue: str
    args: dict[str, Any]
    attempt: int
    status: str
    result: Any = None
    error: dict[str, Any] | None = None
    hidden: frozenset[str] = field(default=NOTHING, compare=False)

    @property
    def failed(self) -> bool:
        """Whether it raised. A job that succeeded may have an error, too: of a result that is not kept."""
        return self.error is not None and self.status != "succeeded"

    def __str__(self) -> str:
        return f"{self.task}({_call(masked(self.args, self.hidden))})"

    __repr__ = _shown


@dataclass(frozen=True, slots=True, repr=False)
class Waiting:
    """A job that waits, or a task of a workflow whose turn has not come.

    Attributes:
        id: the job's id; 0 of a task whose turn has not come.
        task: the task's name.
        queue: the queue's name.
        priority: a higher one runs first.
        args: the arguments, as they are stored.
        at: when it may start; None for at once.
        attempts: how often it was tried.
        workflow: the id of the workflow that it is a part of.
        hidden: the names of the arguments that are not shown.
    """

    id: int
    task: str
    queue: str
    priority: int
    args: dict[str, Any]
    at: datetime | None
    attempts: int
    workflow: int | None = None
    hidden: frozenset[str] = field(default=NOTHING, compare=False)

    def __str__(self) -> str:
        when = "" if self.at is None else f", at {self.at.isoformat()}"
        when += "" if self.workflow is None else f", of workflow {self.workflow}"
        when += "" if self.id else ", whose turn has not come"
        return f"{self.task}({_call(masked(self.args, self.hidden))}) in queue {self.queue}{when}"

    __repr__ = _shown


class AttemptFailed(WorkrowError, AssertionError):
    """An attempt failed while a test did not expect one to.

    Attributes:
        ran: the attempts that failed.
    """

    def __init__(self, ran: list[Ran]) -> None:
        self.ran = ran
        first = ran[0]
        error = first.error or {}
        more = f" (and {len(ran) - 1} more)" if len(ran) > 1 else ""
        fate = "it will be tried again" if first.status == "todo" else f"the job has {first.status}"
        super().__init__(
            f"attempt {first.attempt} of {first} raised {error.get('type')}: {error.get('message')}; {fate}{more}. "
            f"If that is what you test, say raise_on_failure=False.\n\n{error.get('traceback', '')}"
        )


def as_ran(outcome: Outcome) -> Ran:
    """What a test is told of an outcome."""
    claimed = outcome.claimed
    return Ran(
        claimed.id,
        claimed.task,
        claimed.queue,
        claimed.args,
        claimed.attempts + 1,
        outcome.status,
        None if outcome.result is None else json.loads(outcome.result),
        None if outcome.error is None else json.loads(outcome.error),
        claimed.hidden,
    )


def listed(jobs: list[Waiting]) -> str:
    """The jobs, one a line, with a heading."""
    if not jobs:
        return "no job is waiting at all"
    lines = [f"  {job}" for job in jobs[:SHOWN]]
    if len(jobs) > SHOWN:
        lines.append(f"  … and {len(jobs) - SHOWN} more")
    return "\n".join([f"{'this is' if len(jobs) == 1 else f'these {len(jobs)} are'} waiting:", *lines])


def _call(args: Any) -> str:
    if not isinstance(args, dict):
        return repr(args)
    return ", ".join(f"{name}={value!r}" for name, value in args.items())
