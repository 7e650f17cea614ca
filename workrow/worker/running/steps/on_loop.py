"""Steps of async tasks."""

import asyncio
import inspect
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from workrow.database.given import pool_of
from workrow.database.held import Held
from workrow.database.outage import LOST
from workrow.enqueue import transaction
from workrow.worker.running.steps.attempt import inside
from workrow.worker.running.steps.durable import OUTAGE_PAUSE, Durable, Undo
from workrow.worker.running.steps.record import Record
from workrow.worker.running.steps.requests import Ask, Enqueue, Idle, Load, Op, Pause, Request, Run, RunWithin, Settle
from workrow.worker.running.transaction_watch import Watch, conflicts
from workrow.worker.running.transactions import (
    CONFLICT_PAUSE,
    CONFLICT_TRIES,
    HELD_PAUSE,
    HELD_SECONDS,
    connection_lost,
)

TURNS = 20
"""Turns of the loop in which what else a task does comes to its next step, if it waits for nothing but steps."""
PATIENCE = (*(0.0,) * TURNS, *(0.01,) * TURNS)
"""The same in seconds, before a task is told that a step of its is gone."""


class OnLoop(Durable):
    """See `Durable`. A task may ask for several steps at once."""

    _turn: asyncio.Lock
    _idle: asyncio.Event
    _busy = -1  # most tasks never ask for any

    def _drive(self, what: str, op: Op[Any]) -> Any:
        if self._busy < 0:
            self._busy, self._turn, self._idle = 0, asyncio.Lock(), asyncio.Event()
        coroutine: Any = self._run(op)
        coroutine.__qualname__ = f"ctx.{what}"  # what Python says of one that nobody awaits
        return coroutine

    async def _run(self, op: Op[Any]) -> Any:
        self._enter()
        try:
            return await self._answered(op)
        finally:
            self._leave()

    async def _answered(self, op: Op[Any]) -> Any:
        go_on: Callable[[], Request] = partial(next, op)
        while True:
            try:
                request = go_on()
            except StopIteration as end:
                return end.value
            try:
                go_on = partial(op.send, await self._serve(request))
            except BaseException as error:
                go_on = partial(op.throw, error)

    async def _serve(self, request: Request) -> Any:
        match request:
            case Ask():
                return await self._ask(request)
            case Load():
                async with self._turn:
                    if self._steps.records is None:
                        self._steps.take(await self._ask(Ask("load_steps", {"id": self._claimed.id}), turn=False))
            case Pause():
                await asyncio.sleep(request.seconds)
            case Settle():
                for pause in PATIENCE:
                    if request.until():
                        return None
                    await asyncio.sleep(pause)
            case Idle():
                await self._until_idle()
            case RunWithin():
                return await self._run_within(request)
            case Run():
                return await self._call(request)
            case Enqueue():
                return await self._enqueue(request)
        return None

    def _enter(self) -> None:
        self._busy += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    async def _until_idle(self) -> None:
        """Until the task asks for no step any more, and all that it has asked for wait."""
        self._leave()
        try:
            while True:
                await self._idle.wait()
                asked = self._steps.asked
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                if not self._busy and self._steps.asked == asked:
                    return
        finally:
            self._enter()

    async def _call(self, request: Run, *injected: Any) -> Any:
        token = inside.set(request.name)
        try:
            if inspect.iscoroutinefunction(request.function):
                return await request.function(*injected, *request.args, **request.kwargs)
            # a function that blocks must not block the loop
            result = await asyncio.to_thread(request.function, *injected, *request.args, **request.kwargs)
            return await result if inspect.isawaitable(result) else result
        finally:
            inside.reset(token)

    async def _ask(self, request: Ask, *, turn: bool = True) -> list[Any]:
        if self._on is not None:
            if not turn:
                return await transaction.run_async(self._on, request.statement, request.params)
            async with self._turn:  # a session does one thing at a time
                return await transaction.run_async(self._on, request.statement, request.params)
        while True:
            try:
                async with (await pool_of(self._connector)).connection() as connection:
                    return await transaction.run_async(connection, request.statement, request.params)
            except LOST as error:
                self._outage(error)
            await asyncio.sleep(OUTAGE_PAUSE)

    async def _enqueue(self, request: Enqueue) -> Record | None:
        if self._on is not None:
            await self._enqueue_on(self._on, request)
            return None
        while True:
            try:
                async with (await pool_of(self._connector)).connection() as connection, connection.transaction():
                    await self._enqueue_on(connection, request)
                return None
            except Undo:
                await self._answered(self._steps.check_claim())
                await asyncio.sleep(HELD_PAUSE)
            except LOST as error:
                self._outage(error)
                await asyncio.sleep(OUTAGE_PAUSE)
            if await self._recorded(request.name):
                return None

    async def _enqueue_on(self, on: Any, request: Enqueue) -> None:
        job = await request.call.enqueue(on, *request.args, **request.kwargs)
        if not await transaction.run_async(on, "record_call", {**request.params, "child_id": job.id}):
            raise Undo

    async def _recorded(self, name: str) -> list[Any] | None:
        """The row of a step, where it is not known whether its commit arrived."""
        rows = await self._ask(Ask("load_steps", {"id": self._claimed.id}))
        return next(([row[4], row[5]] for row in rows if row[0] == name), None)

    async def _run_within(self, request: RunWithin) -> Any:
        self._transactions.check(self._claimed.task, request.kind)
        for repetition in range(1, CONFLICT_TRIES + 1):
            watch = Watch()
            try:
                async with self._transactions.open_async(request.kind, watch) as on:
                    params = request.noted(await self._call(request, on))
                    watch.check()
                    return await self._record_within(on, params)
            except Exception as error:
                lost = connection_lost(error)
                if lost and (row := await self._recorded(request.name)):
                    return row
                if repetition == CONFLICT_TRIES or not (lost or conflicts(error)):
                    raise
            await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE * repetition))
        raise AssertionError("the last repetition raises")

    async def _record_within(self, on: Any, params: dict[str, Any]) -> Any:
        """The last statement of the step's transaction, as soon as nobody else's holds the job's row."""
        until = time.monotonic() + HELD_SECONDS
        while not (
            rows := await transaction.run_async(on, "record_step", {**self._steps.ours, "fenced": True, **params})
        ):
            await self._answered(self._steps.check_claim())
            if time.monotonic() >= until:
                raise Held("an open transaction holds its row")
            await asyncio.sleep(HELD_PAUSE)
        return rows[0]
