"""Which of the jobs that wait a test means, and what to say when they are not there."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pydantic_core

from workrow.database import clock
from workrow.enqueue.call import Call
from workrow.testing.databases import TestingError
from workrow.testing.reports import Waiting, listed

NEAR = timedelta(seconds=1)
"""How exact ``at=`` is meant."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a job is to be like; see `workrow.testing.Harness.assert_enqueued`.

    Raises:
        TestingError: of something that no job can be like.
    """

    task: Call[..., Any] | str | None
    args: Mapping[str, Any] | None
    queue: str | None
    at: datetime | None
    within: timedelta | None

    def __post_init__(self) -> None:
        if self.queue is not None and not isinstance(self.queue, str):
            raise TestingError(f"queue={self.queue!r}: must be the name of a queue")
        if self.args is not None and not isinstance(self.args, Mapping):
            raise TestingError(f"args={self.args!r}: must be a mapping of names to values")
        if self.at is not None and (not isinstance(self.at, datetime) or self.at.utcoffset() is None):
            raise TestingError(f"at={self.at!r}: must be a datetime with a time zone")
        if self.within is not None and not (isinstance(self.within, timedelta) and self.within >= timedelta(0)):
            raise TestingError(f"within={self.within!r}: must be a timedelta, not below 0")

    def check_known(self, tasks: Mapping[str, Any]) -> None:
        """Raise TestingError if the app, whose tasks these are, can enqueue nothing like this: a slip of the pen."""
        if self.task is None:
            return
        name = task_name(self.task)
        if name not in tasks:
            raise TestingError(f"task={name!r}: this app has no such task{_hint(name, tasks)}")
        parameters = tasks[name].signature.parameters
        if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            return
        for argument in self.args or {}:
            if argument not in parameters:
                raise TestingError(f"args={argument!r}: task {name} has no such argument{_hint(argument, parameters)}")

    def matches(self, job: Waiting) -> bool:
        """Whether a job is like this."""
        return (
            (self.task is None or job.task == task_name(self.task))
            and (self.queue is None or job.queue == self.queue)
            and (self.args is None or _contains(job.args, pydantic_core.to_jsonable_python(dict(self.args))))
            and self._matches_time(job)
        )

    def _matches_time(self, job: Waiting) -> bool:
        if not job.id:  # when its turn comes nobody knows
            return self.at is None and self.within is None
        if self.at is not None:
            return abs((job.at or clock.now()) - self.at) <= (self.within or NEAR)
        return self.within is None or job.at is None or job.at <= clock.now() + self.within

    def __str__(self) -> str:
        args = ", ".join(f"{name}={value!r}" for name, value in (self.args or {}).items())
        words = [f"{task_name(self.task) if self.task is not None else 'any task'}({args or '…'})"]
        words += [f"in queue {self.queue}"] if self.queue else []
        words += [f"at {self.at.isoformat()}"] if self.at else []
        words += [f"within {self.within}"] if self.within else []
        return " ".join(words)


def check(expected: Expected, jobs: list[Waiting], count: int | None) -> list[Waiting]:
    """The jobs that match, if there are so many (None: any).

    Raises:
        AssertionError: with a list of what waits.
    """
    __tracebackhide__ = True
    found = [job for job in jobs if expected.matches(job)]
    if count is None and not found:
        raise AssertionError(f"expected {expected} to be enqueued, but {listed(jobs)}")
    if count is not None and len(found) != count:
        raise AssertionError(f"expected {expected} to be enqueued {count} times, not {len(found)}; {listed(jobs)}")
    return found


def check_none(expected: Expected, jobs: list[Waiting], tasks: Mapping[str, Any]) -> None:
    """Raises:
    AssertionError: one matches.
    TestingError: none of the app's tasks could.
    """
    __tracebackhide__ = True
    expected.check_known(tasks)
    found = [job for job in jobs if expected.matches(job)]
    if found:
        raise AssertionError(f"expected no {expected} to be enqueued, but {listed(found)}")


def task_name(task: Call[..., Any] | str) -> str:
    """The name by which jobs know the task."""
    return task if isinstance(task, str) else task.name if hasattr(task, "name") else task._task.name


def _hint(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known)) or 'none'}"


def _contains(value: Any, part: Any) -> bool:
    """Whether ``part`` is in the JSON ``value``: objects may have more keys, everything else is equal."""
    if isinstance(part, dict):
        return isinstance(value, dict) and all(
            name in value and _contains(value[name], each) for name, each in part.items()
        )
    return bool(value == part)
