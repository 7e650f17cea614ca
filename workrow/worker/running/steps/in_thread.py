"""Steps of sync tasks."""

import inspect
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from workrow.database.given import sync_pool_of
from workrow.database.held import Held
from workrow.database.outage import LOST
from workrow.enqueue import transaction
from workrow.errors import OptionError
from workrow.worker.running.steps.attempt import inside
from workrow.worker.running.steps.durable import OUTAGE_PAUSE, Durable, Undo
from workrow.worker.running.steps.record import Record
from workrow.worker.running.steps.requests import Ask, Enqueue, Load, Op, Pause, Request, Run, RunWithin
from workrow.worker.running.transaction_watch import Watch, conflicts
from workrow.worker.running.transactions import (
    CONFLICT_PAUSE,
    CONFLICT_TRIES,
    HELD_PAUSE,
    HELD_SECONDS,
    connection_lost,
)


class InThread(Durable):
    """See `Durable`. A task asks for one step after the other, in its own thread."""

    def _drive(self, what: str, op: Op[Any]) -> Any:
        go_on: Callable[[], Request] = partial(next, op)
        while True:
            try:
                request = go_on()
            except StopIteration as end:
                return end.value
            try:
                go_on = partial(op.send, self._serve(request))
            except BaseException as error:
                go_on = partial(op.throw, error)

    def _serve(self, request: Request) -> Any:
        match request:
            case Ask():
                return self._ask(request)
            case Load():
                self._steps.take(self._ask(Ask("load_steps", {"id": self._claimed.id})))
            case Pause():
                time.sleep(request.seconds)
            case RunWithin():
                return self._run_within(request)
            case Run():
                return self._call(request)
            case Enqueue():
                return self._enqueue(request)
        return None  # Settle, Idle: nothing else runs in this thread

    def _call(self, request: Run, *injected: Any) -> Any:
        if inspect.iscoroutinefunction(request.function):
            raise OptionError(
                f"{self._claimed}: step {request.name!r} is a coroutine function, and its task is not async: make the "
                "task `async def`, or the step a plain function"
            )
        token = inside.set(request.name)
        try:
            return request.function(*injected, *request.args, **request.kwargs)
        finally:
            inside.reset(token)

    def _ask(self, request: Ask) -> list[Any]:
        if self._on is not None:
            return transaction.run(self._on, request.statement, request.params)
        while True:
            try:
                with sync_pool_of(self._connector).connection() as connection:
                    return transaction.run(connection, request.statement, request.params)
            except LOST as error:
                self._outage(error)
            time.sleep(OUTAGE_PAUSE)

    def _enqueue(self, request: Enqueue) -> Record | None:
        if self._on is not None:
            self._enqueue_on(self._on, request)
            return None
        while True:
            try:
                with sync_pool_of(self._connector).connection() as connection, connection.transaction():
                    self._enqueue_on(connection, request)
                return None
            except Undo:
                self._drive("check_claim", self._steps.check_claim())
                time.sleep(HELD_PAUSE)
            except LOST as error:
                self._outage(error)
                time.sleep(OUTAGE_PAUSE)
            if self._recorded(request.name):
                return None

    @staticmethod
    def _enqueue_on(on: Any, request: Enqueue) -> None:
        job = request.call.enqueue(on, *request.args, **request.kwargs)
        if not transaction.run(on, "record_call", {**request.params, "child_id": job.id}):
            raise Undo

    def _recorded(self, name: str) -> list[Any] | None:
        """The row of a step, where it is not known whether its commit arrived."""
        rows = self._ask(Ask("load_steps", {"id": self._claimed.id}))
        return next(([row[4], row[5]] for row in rows if row[0] == name), None)

    def _run_within(self, request: RunWithin) -> Any:
        self._transactions.check(self._claimed.task, request.kind)
        for repetition in range(1, CONFLICT_TRIES + 1):
            watch = Watch()
            try:
                with self._transactions.open_sync(request.kind, watch) as on:
                    params = request.noted(self._call(request, on))
                    watch.check()
                    return self._record_within(on, params)
            except Exception as error:
                lost = connection_lost(error)
                if lost and (row := self._recorded(request.name)):
                    return row
                if repetition == CONFLICT_TRIES or not (lost or conflicts(error)):
                    raise
            time.sleep(random.uniform(0, CONFLICT_PAUSE * repetition))
        raise AssertionError("the last repetition raises")

    def _record_within(self, on: Any, params: dict[str, Any]) -> Any:
        """The last statement of the step's transaction, as soon as nobody else's holds the job's row."""
        until = time.monotonic() + HELD_SECONDS
        while not (rows := transaction.run(on, "record_step", {**self._steps.ours, "fenced": True, **params})):
            self._drive("check_claim", self._steps.check_claim())
            if time.monotonic() >= until:
                raise Held("an open transaction holds its row")
            time.sleep(HELD_PAUSE)
        return rows[0]
