"""Around each call, in the worker's own process: what ends it from outside becomes what Celery calls it."""

import asyncio
import inspect
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from procrastinate.job_context import AbortReason
from procrastinate.retry import RetryDecision

from workrow.arguments.payload import Misfit
from workrow.celery import ends, foreign_errors, hooks, outbox, signals, states
from workrow.celery.exceptions import TaskRevokedError
from workrow.celery.message import delivery_of, request_of
from workrow.celery.runs import unlimited
from workrow.celery.worker.calls import JOIN, NOTHING, Answer, failure_of, join_failed, run_here, run_on_loop
from workrow.celery.worker.pacing import Pace
from workrow.celery.worker.said import Said
from workrow.declare.execution import RunLimits
from workrow.errors import ProcessCrashed, TimeLimitExceeded
from workrow.worker.outcome import Claimed, Outcome
from workrow.worker.running.places import Places
from workrow.worker.running.verdict import Runner


class Active(NamedTuple):
    """A call that runs.

    Attributes:
        claimed: its job.
        told: what its job carries.
        began: when, seconds since 1970.
    """

    claimed: Claimed
    told: dict[str, Any]
    began: float


def received(app: Any, request: Any) -> Any:
    """A request with the names that Celery's worker has for it, for ``task_received``."""
    request.update(app=app, name=request.task, task_name=request.task, task_id=request.id, type=request.task)
    return request


class OutOfTime(BaseException):
    """Ends the run of an async task at its hard limit. No ``Exception``: it is not the task that has raised it."""


CAUSE = re.compile(r"killed by (\w+)|exit code (-?\d+)")


class Door:
    """What calls pass on their way to a thread or a process, and back.

    Args:
        app: the app of the door.
        hostname: the worker's name.
        in_process: calls run in child processes.
        revoked: whether a call is not to run.

    Attributes:
        totals: how many have come, by the names of their tasks.
        began: when it was made, by the monotonic clock.
    """

    def __init__(self, app: Any, hostname: str, in_process: bool, revoked: Callable[[dict[str, Any]], bool]) -> None:
        self._app = app
        self._hostname = hostname
        self._in_process = in_process
        self._revoked = revoked
        self._conf_limits = app.conf.task_soft_time_limit, app.conf.task_time_limit
        self._paces: dict[str, Pace] = {}
        self._waits: Counter[int] = Counter()
        self._running: dict[int, Claimed] = {}
        self._said = Said(app.store.write)
        self.totals: Counter[str] = Counter()
        self.began = time.monotonic()

    def runner_of(self, job_task: Any, places: Places) -> Runner | None:
        """What runs the calls of a task; None: it is none of the app's.

        Args:
            job_task: workrow's task that stands for it.
            places: where calls can be run.
        """
        name = job_task.name
        if name != JOIN and name not in self._app.tasks:
            return None
        task = None if name == JOIN else self._app.tasks[name]
        place: Callable[[Claimed, dict[str, Any], Any, Any], Awaitable[Answer]]
        if self._in_process:
            place = partial(self._in_child, job_task, places)
        else:
            place = partial(self._on_loop if inspect.iscoroutinefunction(job_task.func) else self._in_thread, places)
        running, said = self._running, self._said

        async def run(claimed: Claimed) -> Outcome:
            told = claimed.args
            if not isinstance(told, dict) or "id" not in told:
                raise Misfit("they are no message of the Celery door: it has no id")
            refused = None if task is None else self._refused(told)
            if not refused and self._paces and (wait := self._wait(claimed)):
                self._waits[claimed.id] += 1
                retry = RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=wait))
                return Outcome(claimed, "snoozed", retry=retry)
            self.totals[name] += 1
            if signals.task_received.receivers and task is not None and refused != "expired":
                signals.task_received.send(sender=self._app, request=received(self._app, self._request(claimed, told)))
            if refused:
                return _outcome(claimed, await asyncio.to_thread(self._revoke, claimed, told, refused))
            soft, hard = self._limits(task, told)
            running[claimed.id] = claimed
            try:
                answer = await place(claimed, told, soft, hard)
            except BaseException as error:
                lost = self._lost(claimed, places.abort_reason(claimed.id), error, hard)
                if lost is None:
                    raise
                answer = await asyncio.to_thread(self._bury, claimed, told, *lost)
            finally:
                running.pop(claimed.id, None)
                self._waits.pop(claimed.id, None)
                if said.due:
                    await said.heard(claimed.id)
            return _outcome(claimed, answer)

        return run

    def _on_loop(
        self, places: Places, claimed: Claimed, told: dict[str, Any], soft: Any, hard: Any
    ) -> Awaitable[Answer]:
        run = partial(run_on_loop, self._app, claimed.task, claimed.attempts + 1, told, self._known(claimed, told))
        return run(unlimited) if soft is hard is None else _limited(run, places, claimed, soft, hard)

    async def _in_thread(self, places: Places, claimed: Claimed, told: dict[str, Any], soft: Any, hard: Any) -> Answer:
        worker = self._known(claimed, told)
        call = partial(run_here, self._app, claimed.task, claimed.attempts + 1, told, worker)
        if soft is hard is None:
            return await places.threads.run(claimed.id, call)
        answer: Answer = await places.in_thread(claimed, call, _run_limits(soft, hard))
        return answer

    async def _in_child(
        self, job_task: Any, places: Places, claimed: Claimed, told: dict[str, Any], soft: Any, hard: Any
    ) -> Answer:
        known = {"task": claimed.task, "attempt": claimed.attempts + 1, "soft": soft}
        arguments = {**told, "worker": {**self._known(claimed, told), **known}}
        answer: Answer = await places.in_process(claimed, job_task, arguments, hard)
        return answer

    @contextmanager
    def open(self) -> Iterator[None]:
        """While it lasts, what tasks say of themselves on the event loop that runs here does not wait for it."""
        loop = asyncio.get_running_loop()
        outbox.later_on[loop] = self._said.say
        try:
            yield
        finally:
            del outbox.later_on[loop]

    @property
    def active(self) -> list[Active]:
        """The calls that run."""
        now, by_clock = time.time(), time.monotonic()
        return [Active(each, each.args, now - (by_clock - each.started_at)) for each in [*self._running.values()]]

    def set_pace(self, name: str, seconds: float | None) -> None:
        """Let calls of a task start so many seconds apart, in this worker; None: as they come."""
        if seconds is None:
            self._paces.pop(name, None)
        else:
            self._paces[name] = Pace(seconds)

    def _wait(self, claimed: Claimed) -> float:
        pace = self._paces.get(claimed.task)
        return pace.wait(claimed.id) if pace else 0.0

    def _known(self, claimed: Claimed, told: dict[str, Any]) -> dict[str, Any]:
        """What the request of a call has of its worker."""
        # it was somebody's before, and not only to wait for its turn here
        again = claimed.token > 1 + self._waits.get(claimed.id, 0)
        return {"hostname": self._hostname, "delivery_info": delivery_of(told, claimed.queue, again)}

    def _limits(self, task: Any, told: dict[str, Any]) -> tuple[float | None, float | None]:
        """Seconds of the soft one and the hard one; the task's may be changed while the worker runs."""
        hard, soft = told.get("timelimit") or (None, None)
        if task is not None:
            soft, hard = soft or task.soft_time_limit, hard or task.time_limit
        return soft or self._conf_limits[0], hard or self._conf_limits[1]

    def _refused(self, told: dict[str, Any]) -> str | None:
        """Why it does not start; None: it does."""
        if self._revoked(told):
            return "revoked"
        expires = told.get("expires")
        return "expired" if expires and datetime.fromisoformat(expires) <= datetime.now(UTC) else None

    def _lost(
        self, claimed: Claimed, reason: AbortReason | None, error: BaseException, hard: float | None
    ) -> tuple[BaseException, str] | None:
        """What the result says of a call that was ended from outside, and its state; None: the engine knows better."""
        if reason is not None:
            asked = reason is AbortReason.USER_REQUEST
            return (TaskRevokedError("terminated"), states.REVOKED) if asked else None
        if isinstance(error, TimeLimitExceeded):
            return foreign_errors.TimeLimitExceeded(hard), states.FAILURE
        if not isinstance(error, ProcessCrashed) or claimed.task == JOIN:
            return None
        task = self._app.tasks[claimed.task]
        if task.acks_late and task.reject_on_worker_lost:
            return None
        found = CAUSE.search(error.cause)
        told = error.cause
        if found:
            number = getattr(signal, found[1] or "", None)
            told = f"signal {int(number)} ({found[1]})" if number else f"exitcode {found[2]}"
        lost = foreign_errors.WorkerLostError(f"Worker exited prematurely: {told} Job: {claimed.id}.")
        return lost, states.FAILURE

    def _bury(self, claimed: Claimed, told: dict[str, Any], error: BaseException, state: str) -> Answer:
        if claimed.task == JOIN:
            group_id, body, last_part = self._request(claimed, told).args
            sequel = json.dumps(join_failed(self._app, error, group_id, body, last_part))
            return Answer(states.FAILURE, sequel, failure_of(error, claimed.attempts + 1))
        if state == states.REVOKED:
            return self._revoke(claimed, told, str(error))
        box = outbox.Outbox()
        with outbox.into(box):
            request = self._request(claimed, told)
            ends.failed(self._app, request, error, state)
            hooks.failure_told(self._app.tasks.get(claimed.task), request, error)
        return Answer(state, json.dumps(box.effects), failure_of(error, claimed.attempts + 1))

    def _revoke(self, claimed: Claimed, told: dict[str, Any], why: str) -> Answer:
        box = outbox.Outbox()
        with outbox.into(box):
            ends.revoked(self._app, self._request(claimed, told), TaskRevokedError(why))
        return Answer(states.REVOKED, json.dumps(box.effects))

    def _request(self, claimed: Claimed, told: dict[str, Any]) -> Any:
        return request_of(claimed.task, told, **self._known(claimed, told))


def _run_limits(soft: float | None, hard: float | None) -> RunLimits:
    return RunLimits(soft, hard, foreign_errors.SoftTimeLimitExceeded)


async def _limited(run: Any, places: Places, claimed: Claimed, soft: Any, hard: Any) -> Answer:
    """Run a call on the loop, and its coroutine for so long."""
    limits = _run_limits(soft, hard)

    async def limit(coroutine: Any) -> Any:
        try:
            return await places.on_loop(claimed, coroutine, limits)
        except TimeLimitExceeded as error:
            raise OutOfTime from error

    try:
        answer: Answer = await run(limit)
    except OutOfTime as error:
        raise TimeLimitExceeded from error
    return answer


def _outcome(claimed: Claimed, answer: Answer) -> Outcome:
    if answer.again:
        return Outcome(claimed, "todo")
    if answer.error is not None:
        return Outcome(claimed, "failed", error=answer.error, sequel=answer.sequel)
    status = "aborted" if answer.state == states.REVOKED else "succeeded"
    # an end that nothing follows from is one as any other's
    sequel = None if answer.sequel == NOTHING and status == "succeeded" else answer.sequel
    return Outcome(claimed, status, sequel=sequel)
