"""The steps of one attempt: which are recorded, which run, what it waits for. No input or output of its own."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import Any

from workrow.arguments.jsonb import dump_result
from workrow.declare.signatures import transaction_kind
from workrow.enqueue.call import Call
from workrow.enqueue.signal import check_word
from workrow.errors import (
    LeaseLost,
    NoResult,
    OptionError,
    SignalTimeout,
    StepError,
    brief,
    seconds_in,
)
from workrow.job import UNKEPT
from workrow.worker.job_logs import Unsaid, message_of
from workrow.worker.outcome import Claimed, Suspended, Wait, storable
from workrow.worker.running.steps.branches import Branches
from workrow.worker.running.steps.calls import Calls, returned
from workrow.worker.running.steps.record import Record, Values, said
from workrow.worker.running.steps.requests import Ask, Enqueue, Idle, Load, Op, Pause, Run, RunWithin, Settle

inside: ContextVar[str | None] = ContextVar("workrow_inside_step", default=None)
"""The step whose function runs here."""
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 1.0
"""Seconds between two tries to write while somebody holds the job's row."""


class Steps:
    """What one attempt does with its steps.

    Args:
        claimed: the job.
        values: how results are kept.
        branches: what steps without a name are called in them.
        in_task: the task is transactional: records belong to its transaction, whose end is fenced.

    Attributes:
        records: by name; None before the first step.
        asked: how often the task has asked for a step.
        waits: what it waits for now.
    """

    def __init__(self, claimed: Claimed, values: Values, branches: Branches, *, in_task: bool) -> None:
        self._claimed = claimed
        self._values = values
        self._branches = branches
        self._in_task = in_task
        self._names: set[str] = set()
        self._failed: set[str] = set()
        self._counts: dict[str, int] = {}
        self._over: BaseException | None = None
        self._calls: Calls | None = None
        self.records: dict[str, Record] | None = None
        self.asked = 0
        self.waits: dict[str, Wait] = {}

    @property
    def ours(self) -> dict[str, Any]:
        """The claim, as statements name it."""
        return {"id": self._claimed.id, "worker_id": self._claimed.owner, "token": self._claimed.token}

    def take(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """The rows of ``load_steps.sql``."""
        self.records = {row[0]: Record.read(row) for row in rows}

    def step(self, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Op[Any]:
        """See `workrow.context.JobContext.step`."""
        _check_function("step", name, function)
        record = yield from self._find(name, "step")
        if record is None:
            returned = yield from self._run(Run(name, function, args, kwargs))
            rows = yield from self._write("record_step", self._noted(name, function, returned))
            record = Record(name, "step", result=rows[0][0], error=said(rows[0][1]))
        self._branches.ended(name)
        return self._value(record, function)

    def transactional_step(
        self, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Op[Any]:
        """See `workrow.context.JobContext.transactional_step`."""
        if self._in_task:
            raise StepError(
                f"{self._claimed}: the task is transactional, and so are its steps: say ctx.step({name!r}, …)"
            )
        _check_function("transactional_step", name, function)
        try:
            kind = transaction_kind(function)
        except OptionError as error:
            raise OptionError(f"ctx.transactional_step({name!r}, …):{str(error).partition(':')[2]}") from None
        record = yield from self._find(name, "step")
        if record is None:
            noted = partial(self._noted, name, function, strict=True)
            row = yield from self._run(RunWithin(name, function, args, kwargs, kind, noted))
            record = Record(name, "step", result=row[0], error=said(row[1]))
        self._branches.ended(name)
        return self._value(record, function)

    def sleep(self, seconds: float | timedelta, name: str | None) -> Op[None]:
        """See `workrow.context.JobContext.sleep`."""
        length = seconds_in(seconds)
        if length is None:
            raise OptionError(f"ctx.sleep({brief(seconds)}): must be seconds or a timedelta, from 0 to 100 years")
        step = name
        if step is None:
            step = self._branches.sleep(self._names) or self._counted("sleep")
        record = yield from self._find(step, "sleep")
        if record is None or not record.over:
            yield from self._wait(Wait(step, "sleep", None if record else length))
        if name is not None:
            self._branches.ended(step)

    def wait_for(self, signal: str, timeout: float | timedelta | None, name: str | None) -> Op[Any]:
        """See `workrow.context.JobContext.wait_for`."""
        check_word("ctx.wait_for: signal", signal)
        length = None if timeout is None else seconds_in(timeout)
        if timeout is not None and length is None:
            raise OptionError(
                f"ctx.wait_for({signal!r}, timeout={brief(timeout)}): must be seconds or a timedelta, from 0 to 100 "
                "years, or None to wait as long as it takes"
            )
        name = signal if name is None else name
        record = yield from self._find(name, "wait")
        if record is None or not record.ended:
            params = {"name": name, "signal": signal, "at_once": length == 0, "failed_before": self._failed_before}
            ((over, result, error),) = yield from self._write("end_wait", params)
            if not over:
                yield from self._wait(Wait(name, "wait", None if record else length, signal))
            record = Record(name, "wait", result=result, error=said(error))
        self._branches.ended(name)
        if record.error is not None:
            raise SignalTimeout(f"{self._claimed}: no signal {signal!r} came before the timeout of step {name!r}")
        return self._values.read(record.result)

    def call(self, call: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Op[Any]:
        """See `workrow.context.JobContext.call`."""
        if not isinstance(call, Call):
            raise OptionError(f"ctx.call({brief(call)}): must be a task of workrow, or task.options(…)")
        if call._conditional:
            raise OptionError(
                f"ctx.call({call._task.name}): with unique, debounce, throttle or expires there may be no job to wait "
                "for; a call is enqueued once anyway: drop it, as with task.options(unique=None)"
            )
        what = self._branches.call(f"call {call._task.name}")
        if self.records is None:
            yield Load()
        assert self.records is not None
        self._calls = self._calls or Calls(self.records, self._names)
        name = yield from self._calls.find(what, call, args, kwargs)
        while name is None or name in self._names:
            name = self._counted(what)
        record = yield from self._find(name, "call")
        if record is None:
            params = {**self.ours, "name": name, "failed_before": self._failed_before, "fenced": not self._in_task}
            record = yield Enqueue(name, call, args, kwargs, params)
        if record is None or not record.ended:
            yield from self._wait(Wait(name, "call"))
        assert record is not None
        self._branches.ended(name)
        return returned(call._task, record, self._values)

    def check_end(self) -> None:
        """The task has returned: raise what it has kept silent about, or that a recorded step's name is gone."""
        if self._over is not None:
            raise self._over
        if gone := self._overdue():
            raise StepError(
                f"{self._claimed}: an earlier attempt has recorded the step {gone[0]!r}, and the task ended without it:"
                " keep the names of steps that may be recorded, or enqueue the job anew"
            )

    @property
    def _failed_before(self) -> list[str] | None:
        return sorted(self._failed) or None

    def _counted(self, what: str) -> str:
        self._counts[what] = number = self._counts.get(what, 0) + 1
        return what if number == 1 else f"{what} {number}"

    def _find(self, name: str, kind: str) -> Op[Record | None]:
        """The step's record; None where it is new."""
        check_word("a step's name", name)
        if self._over is not None:
            raise self._over
        if (outer := inside.get()) is not None:
            raise StepError(f"{self._claimed}: step {name!r} is asked for inside of step {outer!r}: put it after that")
        if name in self._names:
            raise StepError(
                f"{self._claimed}: step {name!r} is asked for twice in one attempt: give each a name of its own, such "
                f"as {name + '-2'!r}"
            )
        self._names.add(name)
        self.asked += 1
        self._claimed.stepped = True
        if self.records is None:
            yield Load()
        assert self.records is not None
        record = self.records.get(name)
        if record is None:
            yield from self._check_order(name)
        elif record.kind != kind:
            raise StepError(
                f"{self._claimed}: an earlier attempt has recorded {name!r} as a {record.kind}, and it is a {kind} now:"
                " give what is new a new name"
            )
        return record

    def _check_order(self, name: str) -> Op[None]:
        """What is recorded is asked for before anything new is done: a step under a new name would run again."""
        if self._overdue():
            yield Settle(lambda: not self._overdue())
            if gone := self._overdue():
                raise StepError(
                    f"{self._claimed}: an earlier attempt has recorded the step {gone[0]!r}, and {name!r}, which is"
                    " new, comes before it: its name is gone, or the order is another; keep names and order of steps "
                    "that may be recorded, and put new ones after them"
                )

    def _overdue(self) -> list[str]:
        """Recorded, and not asked for; but for what may stand for a step that had failed, and is tried again."""
        again = self._names | self._failed
        return [
            each.name
            for each in (self.records or {}).values()
            if each.name not in self._names and not each.failed_before & again
        ]

    def _run(self, request: Run) -> Op[Any]:
        try:
            return (yield request)
        except BaseException:
            self._failed.add(request.name)
            self._names.discard(request.name)  # it may be tried again
            raise

    def _write(self, statement: str, params: dict[str, Any]) -> Op[list[tuple[Any, ...]]]:
        """Write as long as the job is ours, whoever holds its row."""
        pause = FIRST_PAUSE
        while True:
            rows: list[tuple[Any, ...]] = yield Ask(statement, {**self.ours, "fenced": not self._in_task, **params})
            if rows:
                return rows
            yield from self.check_claim()
            yield Pause(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def check_claim(self) -> Op[None]:
        """Raise LeaseLost where the job is no longer ours."""
        ((is_ours, _),) = yield Ask("check_claim", self.ours)
        if not is_ours:
            self._over = LeaseLost(f"{self._claimed}: the job is no longer ours; its step is not recorded")
            raise self._over

    def _wait(self, wait: Wait) -> Op[None]:
        """Give the slot away, once nothing else of this attempt runs."""
        self.waits[wait.name] = wait
        yield Idle()
        if self._over is None:
            self._over = Suspended(list(self.waits.values()))
        raise self._over

    def _noted(self, name: str, function: Callable[..., Any], returned: Any, *, strict: bool = False) -> dict[str, Any]:
        """The parameters of a record. strict: what cannot be kept is an error, for what was done can be undone."""
        result = error = None
        try:
            result = self._values.dump(returned, function)
        except Unsaid as unkept:
            why = message_of(unkept)
            if strict:
                raise StepError(
                    f"{self._claimed}: what step {name!r} returned cannot be kept, and nothing of it stays: {why}"
                ) from None
            error = dump_result({"type": UNKEPT, "message": storable(why), "status": "succeeded"})
        return {"name": name, "result": result, "error": error, "failed_before": self._failed_before}

    def _value(self, record: Record, function: Callable[..., Any]) -> Any:
        if record.error is not None:
            raise NoResult(
                f"{self._claimed}: step {record.name!r} has run, and will not run again, but what it returned could "
                f"not be kept: {record.error['message']}; return something smaller, plain JSON, or nothing"
            )
        return self._values.load(record.result, function)


def _check_function(what: str, name: object, function: object) -> None:
    if not callable(function):
        raise OptionError(
            f"ctx.{what}({brief(name)}, {brief(function)}): must be given a function, and then its arguments: "
            f"ctx.{what}('pay', pay, 5)"
        )
