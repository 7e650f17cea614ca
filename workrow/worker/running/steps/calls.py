"""Calls of other tasks: which of the recorded ones of a task is meant, and what it returned."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workrow.arguments.jsonb import dump_arguments
from workrow.errors import JobCancelled, JobFailed, JobNotFound, NoResult
from workrow.worker.running.steps.record import Record, Values
from workrow.worker.running.steps.requests import Ask, Op, Settle


class Calls:
    """The calls that earlier attempts have recorded. Branches reach theirs in another order each time.

    Args:
        records: all steps of the job, by name.
        names: those that this attempt has asked for.
    """

    def __init__(self, records: Mapping[str, Record], names: set[str]) -> None:
        self._records = [each for each in records.values() if each.kind == "call"]
        self._names = names
        self._of: dict[str, list[Record]] = {}
        self._arguments: dict[int | None, Any] | None = None

    def find(self, what: str, call: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Op[str | None]:
        """The name of the record: the one with the same arguments; where none has them, the next one that nobody else
        asks for; None: the call is new.

        Args:
            what: the name of the first call of this task.
            call: the task, or a call of it with options.
            args, kwargs: its arguments.
        """
        if not self._left(what):
            return None
        task = call._task
        asked = json.loads(dump_arguments(task.name, call._bind(args, kwargs), task.max_payload))
        if self._arguments is None:
            rows = yield Ask("load_called", {"ids": [each.child_id for each in self._records]})
            self._arguments = {child_id: json.loads(text) for child_id, text in rows}
        for each in self._left(what):
            if self._arguments.get(each.child_id) == asked:
                return each.name
        yield Settle(lambda: not self._left(what))
        return next((each.name for each in self._left(what)), None)

    def _left(self, what: str) -> list[Record]:
        """Those of one task that nobody has asked for in this attempt, in the order of their numbers."""
        if what not in self._of:
            numbers = {each.name.removeprefix(what).strip() or "1": each for each in self._records if what in each.name}
            self._of[what] = [numbers[number] for number in sorted(filter(str.isdecimal, numbers), key=int)]
        return [each for each in self._of[what] if each.name not in self._names]


def returned(task: Any, record: Record, values: Values) -> Any:
    """What a child returned, or the error that tells how it ended."""
    error = record.error
    if error is None:
        return task.load_result(values.read(record.result), values.codec)
    child = record.child_id or 0
    if error["status"] == "failed":
        told = (error.get(key) for key in ("type", "message", "traceback"))
        raise JobFailed(child, error["task"], error["attempts"], *told)
    if error["status"] == "deleted":
        raise JobNotFound(f"{task.name}[{child}] is gone: it was deleted before its end was seen")
    if error["status"] == "succeeded":
        raise NoResult(f"{error['task']}[{child}] succeeded; its result is not kept: {error['message']}")
    raise JobCancelled(child, error["task"], error["status"])
