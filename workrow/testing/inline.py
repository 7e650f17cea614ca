"""Inline mode: what is enqueued runs at once, in this process, and no row is written."""

import asyncio
import contextvars
import itertools
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, cast
from unittest import mock

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from workrow.app import App
from workrow.arguments.jsonb import check_rows, dump_arguments
from workrow.declare.execution import TransactionKind
from workrow.declare.loud import loud
from workrow.enqueue import transaction
from workrow.enqueue.call import Call
from workrow.enqueue.transaction import FORGOTTEN
from workrow.job import Job, Progress, Question, at_work
from workrow.results.results import check_place, seconds_of
from workrow.testing.inline_batches import InlineBlock
from workrow.testing.inline_steps import InlineInThread, InlineOnLoop
from workrow.testing.inline_workflows import InlineWorkflow
from workrow.testing.reports import Ran
from workrow.worker import Worker
from workrow.worker.outcome import Claimed, Outcome
from workrow.worker.running import verdict
from workrow.worker.running.executor import Executor
from workrow.worker.running.transaction_watch import Watch
from workrow.worker.running.transactions import Transactions
from workrow.workflows import batches, start
from workrow.workflows.handle import Workflow
from workrow.workflows.values import Flow

KINDS: dict[TransactionKind, type[Any]] = {
    "AsyncSession": AsyncSession,
    "Session": Session,
    "AsyncConnection": psycopg.AsyncConnection,
    "Connection": psycopg.Connection,
}


@loud
@contextmanager
def inline() -> Iterator[list[Ran]]:
    """Inside the block ``enqueue()`` and its kin run the task at once, and return when it has ended.

    Arguments become JSON and come back, as they do by way of the database. What the task raises is raised by the call:
    nothing is retried. A delay is not waited for; schedules, limits, locks and uniqueness mean nothing. A
    transactional task works in the transaction that is given to ``enqueue``, if that is of the kind it takes, and else
    in one of its own.

    Of a workflow the tasks run one after the other, each given what it follows; when one has failed, the callbacks and
    compensations run, and then the call raises what it raised. The callbacks of a `workrow.batch` run when its block
    ends; those for a failure, where the block has caught what a job raised.

    Yields:
        What ran, in the order of the ends.
    """
    mode = Inline()
    with (
        mock.patch.multiple(
            Call,
            _insert_async=_hooked(Call._insert_async, mode.run_all),
            _insert=_hooked(Call._insert, mode.blocking),
            _insert_own=_hooked(Call._insert_own, mode.own),
            enqueue_copy=mode.enqueue_copy,
        ),
        mock.patch.multiple(start, start=partial(mode.start, start.start), append=mode.append),
        mock.patch.object(verdict, "replacing", lambda flow, _: {"flow": flow}),
        mock.patch.object(batches, "Block", partial(InlineBlock, mode)),
    ):
        yield mode.ran


def _hooked(original: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
    """The original where hooks are around the call, which leads back here inside of them; else the replacement."""

    def either(call: Call[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        outside = call._task.enqueue_hooks() and not call._hooked
        return (original if outside else replacement)(call, *args, **kwargs)

    return either


class Inline:
    """The state of one block."""

    def __init__(self) -> None:
        self.ran: list[Ran] = []
        self.blocks: list[InlineBlock] = []
        self._ids = itertools.count(-1, -1)

    async def run_all(self, call: Call[..., Any], on: Any, arguments: list[dict[str, Any]]) -> list[Job[Any]]:
        """Run the jobs one after the other."""
        return [await self._run(call, on, each) for each in arguments]

    def own(self, call: Call[..., Any], arguments: dict[str, Any]) -> Job[Any]:
        """What ``delay`` and ``apply_async`` lead to."""
        return self.blocking(call, None, [arguments])[0]

    @property
    def enqueue_copy(self) -> Callable[..., Any]:
        """As ``Call.enqueue_copy``."""

        def enqueue_copy(
            call: Call[..., Any], on: Any = FORGOTTEN, rows: Iterable[Mapping[str, Any]] = FORGOTTEN, /
        ) -> Any:
            loops = transaction.is_async(on)
            arguments = list(call._task.bind_rows(check_rows(call._task.name, rows), json_too=call._json_too))
            if not loops:
                return len(self.blocking(call, on, arguments))

            async def run() -> int:
                return len(await self.run_all(call, on, arguments))

            return run()

        return enqueue_copy

    def blocking(self, call: Call[..., Any], on: Any, arguments: list[dict[str, Any]]) -> list[Job[Any]]:
        """Run to the end; where an event loop runs already, in another thread."""
        done: list[Job[Any]] = self.to_the_end(self.run_all(call, on, arguments))
        return done

    def to_the_end(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end in another thread: here an event loop may run already."""
        with ThreadPoolExecutor(1, thread_name_prefix="workrow-inline") as threads:
            return threads.submit(contextvars.copy_context().run, asyncio.run, work).result()

    def start(self, original: Callable[..., Any], flow: Flow[Any, Any], on: Any) -> Any:
        """As ``Flow.enqueue``; one task alone is a job."""
        if start._alone(flow) is not None:
            return original(flow, on)
        return self._now(on, self.workflow(flow, on))

    def append(self, flow: Flow[Any, Any], on: Any, job_id: int) -> Any:
        """As ``Flow.append``."""

        async def run() -> None:
            await InlineWorkflow(self, flow, on, part=True).run()

        return self._now(on, run())

    async def workflow(self, flow: Flow[Any, Any], on: Any) -> Workflow[Any]:
        """Run it to its end."""
        made = InlineWorkflow(self, flow, on)
        return made.handle(await made.run())

    def _now(self, on: Any, work: Coroutine[Any, Any, Any]) -> Any:
        return work if on is None or transaction.is_async(on) else self.to_the_end(work)

    def next_id(self) -> int:
        """Of a job or a workflow: below 0."""
        return next(self._ids)

    async def _run(self, call: Call[..., Any], on: Any, arguments: dict[str, Any]) -> Job[Any]:
        block = self.blocks[-1] if self.blocks else None
        if block is not None:
            block.size += 1
        try:
            job_id, result = await self.attempt(call, on, arguments)
        except Exception as error:
            if block is not None:
                block.failures.append((call, error))
            raise
        if isinstance(result, Flow):  # which takes its place
            result = {"workflow_id": (await self.workflow(result, on)).id}
        elif isinstance(result, Outcome):
            result = self.ran[-1].result
        return Job(job_id, call._task.name, call._options.queue, _Ended(result))

    async def attempt(self, call: Call[..., Any], on: Any, arguments: dict[str, Any]) -> tuple[int, Any]:
        """Run one job; its id, and what its task returned: also an Outcome, or a workflow.

        Raises:
            What the task raises.
        """
        task, options = call._task, call._options
        text = dump_arguments(task.name, arguments, task.max_payload)
        row = (next(self._ids), options.queue, task.name, options.priority, options.lock, options.queueing_lock)
        app = cast("App", task.producer)
        read = app.codec.read if app.codec else json.loads
        claimed = Claimed((*row, read(text), None, 0, 0, 0, None, task.payload.stored_version, None), owner=0)
        executor = _executor(app, on)
        outer = at_work.set(claimed)
        try:
            runner, _ = executor.runners.find(task.name)
            result = await runner(claimed)
        finally:
            at_work.reset(outer)
            await executor.close()
        if isinstance(result, Outcome) and result.flow:
            result = result.flow["flow"]
        if isinstance(result, Flow):
            start.check_returned(result, app)
        shown = None if isinstance(result, Flow) else result
        if isinstance(result, Outcome):
            # of a task whose result has a type: as it would come back from its row
            shown = task.load_result(result.result and read(result.result), app.codec)
        self.ran.append(
            Ran(claimed.id, task.name, options.queue, json.loads(text), 1, "succeeded", shown, hidden=task.hidden)
        )
        return claimed.id, result


class Joined(Transactions):
    """Runs transactional tasks in the transaction of who enqueues, where it is of the right kind."""

    def __init__(self, app: App, on: Any) -> None:
        super().__init__(app.connector, app.sessions, app.sync_sessions, None, lambda _: False)
        self._on = on

    async def run_async(
        self, claimed: Claimed, kind: TransactionKind, call: Callable[[Any], Awaitable[Any]], dump: Callable[[Any], Any]
    ) -> Any:
        """Await ``call(…)``."""
        if isinstance(self._on, KINDS[kind]):
            return await call(self._on)
        self.check(claimed.task, kind)
        watch = Watch()
        async with self.open_async(kind, watch) as on:
            result = await call(on)
            watch.check()
            return result

    def run_sync(
        self, claimed: Claimed, kind: TransactionKind, call: Callable[[Any], Any], dump: Callable[[Any], Any]
    ) -> Any:
        """The same, in this thread."""
        if isinstance(self._on, KINDS[kind]):
            return call(self._on)
        self.check(claimed.task, kind)
        watch = Watch()
        with self.open_sync(kind, watch) as on:
            result = call(on)
            watch.check()
            return result


class _Ended:
    """What the handle of an inline job asks: it has succeeded, and this is its result."""

    def __init__(self, result: Any) -> None:
        self._result = result

    @property
    def producer(self) -> "_Ended":
        return self

    @property
    def results(self) -> "_Ended":
        return self

    async def result(self, job_id: int, timeout: float | timedelta | None, within_task: bool) -> Any:
        return self.result_sync(job_id, timeout, within_task)

    def result_sync(self, job_id: int, timeout: float | timedelta | None, within_task: bool) -> Any:
        check_place(job_id, seconds_of(timeout), within_task)  # as a worker would
        return self._result

    async def ask(self, question: Question[Any]) -> Any:
        return question.read(None)

    def ask_sync(self, question: Question[Any]) -> Any:
        return question.read(None)

    def status(self, job_id: int) -> Question[str]:
        return Question("", {}, lambda _: "succeeded")

    def progress(self, job_id: int) -> Question[Progress | None]:
        return Question("", {}, lambda _: None)

    def cancel(self, job_id: int, terminate: bool) -> Question[str | None]:
        return Question("", {}, lambda _: None)

    def retry(self, job_id: int) -> Question[str | None]:
        return Question("", {}, lambda _: None)

    def relatives(self, job_id: int, which: str) -> Question[list[tuple[int, str, str]]]:
        return Question("", {}, lambda _: [])


def _executor(app: App, on: Any) -> Executor:
    """The executor of a worker that never starts."""
    worker = app._worker(name="inline", wait=False, listen_notify=False, install_signal_handlers=False)
    assert isinstance(worker, Worker), "inline() needs workrow.App('postgresql://…')"
    executor = worker._executor
    executor.runners.transactions = Joined(app, on)
    executor.runners.kinds_of_steps = InlineOnLoop, InlineInThread
    return executor
