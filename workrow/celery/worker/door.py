"""Around each call, in the worker's own process: what ends it from outside becomes what Celery calls it."""

import asyncio
import json
import re
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from procrastinate.retry import RetryDecision

from workrow.arguments.payload import Misfit
from workrow.celery import ends, foreign_errors, hooks, outbox, signals, states
from workrow.celery.exceptions import TaskRevokedError
from workrow.celery.message import delivery_of, request_of
from workrow.celery.worker.calls import JOIN, NOTHING, Answer, failure_of, join_failed
from workrow.celery.worker.pacing import Pace
from workrow.declare.execution import RunLimits
from workrow.errors import ProcessCrashed, TimeLimitExceeded
from workrow.job import at_work
from workrow.worker.outcome import Claimed, Outcome


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


CAUSE = re.compile(r"killed by (\w+)|exit code (-?\d+)")


class Door:
    """What calls pass on their way to a thread or a process, and back.

    Args:
        app: the app of the door.
        hostname: the worker's name.
        in_process: calls run in child processes.
        revoked: whether a call is not to run.

    Attributes:
        active: the calls that run, by the ids of their jobs.
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
        self.active: dict[int, Active] = {}
        self.totals: Counter[str] = Counter()
        self.began = time.monotonic()

    async def __call__(self, run: Callable[[], Awaitable[Any]], context: Any, worker: Any) -> Any:
        """As procrastinate's middleware."""
        claimed: Any = at_work.get()
        told = claimed.args
        if claimed.task != JOIN and claimed.task not in self._app.tasks:
            return await run()
        if not isinstance(told, dict) or "id" not in told:
            raise Misfit("they are no message of the Celery door: it has no id")
        refused = self._refused(claimed, told)
        if not refused and self._paces and (wait := self._wait(claimed)):
            self._waits[claimed.id] += 1
            return Outcome(
                claimed, "snoozed", retry=RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=wait))
            )
        self.totals[claimed.task] += 1
        if refused != "expired" and claimed.task != JOIN and signals.task_received.receivers:
            signals.task_received.send(sender=self._app, request=received(self._app, self._request(claimed, told)))
        if refused:
            return self._ended(claimed, await asyncio.to_thread(self._revoke, claimed, told, refused))
        soft, hard = self._limits(claimed.task, told)
        claimed.limits = RunLimits(None if self._in_process else soft, hard, foreign_errors.SoftTimeLimitExceeded)
        claimed.args = {**told, "worker": self._known(claimed, told, soft)}
        self.active[claimed.id] = Active(claimed, told, time.time())
        try:
            answer = await run()
        except BaseException as error:
            lost = self._lost(claimed, context, error, hard)
            if lost is None:
                raise
            answer = await asyncio.to_thread(self._bury, claimed, told, *lost)
        finally:
            self.active.pop(claimed.id, None)
            self._waits.pop(claimed.id, None)
        return self._ended(claimed, answer) if isinstance(answer, Answer) else answer

    def set_pace(self, name: str, seconds: float | None) -> None:
        """Let calls of a task start so many seconds apart, in this worker; None: as they come."""
        if seconds is None:
            self._paces.pop(name, None)
        else:
            self._paces[name] = Pace(seconds)

    def _wait(self, claimed: Claimed) -> float:
        pace = self._paces.get(claimed.task)
        return pace.wait(claimed.id) if pace else 0.0

    def _ended(self, claimed: Claimed, answer: Answer) -> Outcome:
        if answer.again:
            return Outcome(claimed, "todo")
        if answer.error is not None:
            return Outcome(claimed, "failed", error=answer.error, sequel=answer.sequel)
        status = "aborted" if answer.state == states.REVOKED else "succeeded"
        # an end that nothing follows from is one as any other's
        sequel = None if answer.sequel == NOTHING and status == "succeeded" else answer.sequel
        return Outcome(claimed, status, sequel=sequel)

    def _known(self, claimed: Claimed, told: dict[str, Any], soft: float | None) -> dict[str, Any]:
        return {
            "task": claimed.task,
            "hostname": self._hostname,
            "soft": soft if self._in_process else None,
            "attempt": claimed.attempts + 1,
            # it was somebody's before, and not only to wait for its turn here
            "delivery_info": delivery_of(told, claimed.queue, again=claimed.token > 1 + self._waits[claimed.id]),
        }

    def _limits(self, name: str, told: dict[str, Any]) -> tuple[float | None, float | None]:
        hard, soft = told.get("timelimit") or (None, None)
        task = None if name == JOIN else self._app.tasks[name]
        soft = soft or getattr(task, "soft_time_limit", None) or self._conf_limits[0]
        hard = hard or getattr(task, "time_limit", None) or self._conf_limits[1]
        return soft, hard

    def _refused(self, claimed: Claimed, told: dict[str, Any]) -> str | None:
        """Why it does not start; None: it does."""
        if claimed.task == JOIN:
            return None
        if self._revoked(told):
            return "revoked"
        expires = told.get("expires")
        return "expired" if expires and datetime.fromisoformat(expires) <= datetime.now(UTC) else None

    def _lost(
        self, claimed: Claimed, context: Any, error: BaseException, hard: float | None
    ) -> tuple[BaseException, str] | None:
        """What the result says of a call that was ended from outside, and its state; None: the engine knows better."""
        reason = context.abort_reason()
        if reason is not None:
            return (TaskRevokedError("terminated"), states.REVOKED) if reason.name == "USER_REQUEST" else None
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
        worker = self._known(claimed, told, None)
        return request_of(worker.pop("task"), told, hostname=worker["hostname"], delivery_info=worker["delivery_info"])
