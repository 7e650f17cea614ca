"""Run an app's jobs in a test, with the real worker, and look at what was enqueued."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

import psycopg

from workrow.app import App
from workrow.arguments.secrets import NOTHING
from workrow.database.clock import as_time
from workrow.enqueue import transaction
from workrow.enqueue.call import Call
from workrow.enqueue.transaction import AsyncTransaction, SyncTransaction
from workrow.testing.databases import TestingError
from workrow.testing.engine import Steps
from workrow.testing.expectations import Expected, check, check_none
from workrow.testing.expected_workflows import alike, check_alone, check_flow
from workrow.testing.reports import AttemptFailed, Ran, Waiting, as_ran
from workrow.testing.travel import Clock
from workrow.worker.outcome import Outcome
from workrow.workflows.values import Flow

ENDLESS = 10_000
"""So many jobs in one drain without a limit are taken for a task that enqueues itself for ever."""

TaskLike = Call[..., Any] | str


class Harness:
    """An app in a test: ``async with Harness(app) as jobs: …``. Opens the app, if nobody has.

    Nothing runs by itself. What runs is run by the engine that production has: claimed, executed, retried and finished
    in the database.

    Args:
        app: the app.
        concurrency: so many jobs run at the same time; with one, the order is that of the queue.

    Attributes:
        clock: time travel, see `Clock`.
    """

    def __init__(self, app: App, *, concurrency: int = 1) -> None:
        self.app = app
        self.clock = Clock(self)
        self._concurrency = concurrency
        self._worker: Steps | None = None
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        if getattr(self.app.connector, "_async_pool", None) is None:
            await self._stack.enter_async_context(self.app.open_async())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._worker is not None:
            await self._worker.end()
            self._worker = None
        self.clock.close()
        await self._stack.aclose()

    async def drain(
        self,
        *,
        queues: Iterable[str] | None = None,
        limit: int | None = None,
        until: Callable[[], bool] | None = None,
        raise_on_failure: bool = True,
    ) -> list[Ran]:
        """Run all jobs that can run now, and those that they enqueue, until none is left. Time does not pass.

        Args:
            queues: of these queues only.
            limit: at most so many.
            until: stop when this returns True; asked before each job (with concurrency: each round).
            raise_on_failure: whether an attempt that fails is an error, be it retried or not.

        Returns:
            Every attempt, in the order of their ends.

        Raises:
            AttemptFailed: an attempt failed.
            TestingError: without a limit, 10,000 jobs ran and there is no end.
        """
        await (await self.worker()).settle()
        ran = await self.run_ready(queues=queues, limit=limit, until=until)
        if raise_on_failure and (failed := [each for each in ran if each.failed]):
            raise AttemptFailed(failed)
        return ran

    async def run_ready(
        self,
        *,
        queues: Iterable[str] | None = None,
        limit: int | None = None,
        until: Callable[[], bool] | None = None,
    ) -> list[Ran]:
        """`drain` without a look for the jobs of dead workers, and whatever fails."""
        worker = await self.worker()
        chosen = None if queues is None else tuple(queues)
        most = ENDLESS if limit is None else limit
        ran: list[Ran] = []
        while len(ran) < most and not (until and until()):
            left = most - len(ran)
            got = await worker.step(chosen, min(self._concurrency, left), left)
            if not got:
                break
            ran += self._told(got)
        if limit is None and len(ran) >= ENDLESS:
            raise TestingError(
                f"{ENDLESS} jobs ran and there is no end: does {ran[-1].task} enqueue itself? Say limit=…"
            )
        return ran

    async def run_next(self, *, queues: Iterable[str] | None = None, raise_on_failure: bool = True) -> Ran | None:
        """Run the job whose turn it is; None if no job can run now. See `drain`."""
        ran = await self.drain(queues=queues, limit=1, raise_on_failure=raise_on_failure)
        return ran[0] if ran else None

    async def tick(self) -> None:
        """Enqueue what the schedules have due now."""
        await (await self.worker()).tick()

    async def waiting(self, *, on: AsyncTransaction | SyncTransaction | None = None) -> list[Waiting]:
        """The jobs that wait, oldest first.

        Args:
            on: as ``on`` sees them, its own uncommitted ones too; None: as everybody does.
        """
        return [self._waiting(*row) for row in await self._look("list_waiting_jobs", on)]

    async def _expected_of(self, on: AsyncTransaction | SyncTransaction | None) -> list[Waiting]:
        """Jobs that wait, and tasks of workflows whose turn has not come."""
        return [
            *await self.waiting(on=on),
            *(self._waiting(*row) for row in await self._look("list_waiting_nodes", on)),
        ]

    async def _look(self, statement: str, on: AsyncTransaction | SyncTransaction | None) -> transaction.Rows:
        if on is None:
            # not the app's pool: a test may count its connections, or hold the only one
            async with await psycopg.AsyncConnection.connect(self.app.database_url, autocommit=True) as own:
                return await transaction.run_async(own, statement, {})
        if transaction.is_async(on):
            return await transaction.run_async(on, statement, {})  # type: ignore[arg-type]
        return transaction.run(on, statement, {})  # type: ignore[arg-type]

    def _waiting(
        self,
        id_: int,
        task: str,
        queue: str,
        priority: int,
        args: Any,
        at: float | None,
        attempts: int,
        flow: int | None,
    ) -> Waiting:
        hidden = getattr(self.app.tasks.get(task), "hidden", NOTHING)
        return Waiting(id_, task, queue, priority, args, as_time(at), attempts, flow, hidden)

    async def assert_enqueued(
        self,
        task: TaskLike | Flow[Any, Any] | None = None,
        *,
        args: Mapping[str, Any] | None = None,
        queue: str | None = None,
        at: datetime | None = None,
        within: timedelta | None = None,
        count: int | None = None,
        on: AsyncTransaction | SyncTransaction | None = None,
    ) -> list[Waiting]:
        """The jobs that wait and are like this, and tasks of workflows whose turn has not come.

        Args:
            task: the task, or its name; or a workflow: one of the same tasks and arguments, whatever their options,
                and whether or not it has ended.
            args: some of the arguments; of an object in them, some of the keys.
            queue: the queue's name.
            at: when it may start, to the second, or ``within`` of it.
            within: it may start within this time from now.
            count: exactly so many; None for one or more.
            on: look into this session's or connection's uncommitted transaction.

        Raises:
            AssertionError: there are none, or not so many; the message lists what waits.
            TestingError: an argument that can be none.
        """
        __tracebackhide__ = True
        waiting = await self._expected_of(on)
        if isinstance(task, Flow):
            check_alone(args=args, queue=queue, at=at, within=within)
            found = alike(task, await self._look("list_workflow_tasks", on))
            check_flow(task, found, waiting, count)
            return [each for each in waiting if each.workflow in found]
        return check(Expected(task, args, queue, at, within), waiting, count)

    async def refute_enqueued(
        self,
        task: TaskLike | Flow[Any, Any] | None = None,
        *,
        args: Mapping[str, Any] | None = None,
        queue: str | None = None,
        at: datetime | None = None,
        within: timedelta | None = None,
        on: AsyncTransaction | SyncTransaction | None = None,
    ) -> None:
        """The opposite of `assert_enqueued`.

        Raises:
            AssertionError: a job like this waits, or a workflow like this was enqueued.
            TestingError: no job could be like this: the app has no such task, or the task no such argument.
        """
        __tracebackhide__ = True
        waiting = await self._expected_of(on)
        if isinstance(task, Flow):
            check_alone(args=args, queue=queue, at=at, within=within)
            check_flow(task, alike(task, await self._look("list_workflow_tasks", on)), waiting, 0)
        else:
            check_none(Expected(task, args, queue, at, within), waiting, self.app.tasks)

    async def worker(self) -> Steps:
        """The worker that runs the jobs; it takes its lease when it is first needed."""
        if self._worker is None:
            self.app.worker_type, before = Steps, self.app.worker_type
            try:
                worker = self.app._worker(
                    name="workrow-testing",
                    concurrency=self._concurrency,
                    wait=False,
                    listen_notify=False,
                    install_signal_handlers=False,
                )
            finally:
                self.app.worker_type = before
            if not isinstance(worker, Steps):
                raise TestingError(
                    "the app's connector is no PostgreSQL one: make it with workrow.App('postgresql://…')"
                )
            await worker.begin()
            self._worker = worker
        return self._worker

    def _told(self, outcomes: list[Outcome]) -> list[Ran]:
        ran = [as_ran(outcome) for outcome in outcomes if outcome.status != "expired"]
        # a transactional task has written its result itself
        written = [outcome.claimed.id for outcome in outcomes if outcome.written]
        results = self.clock.results(written) if written else {}
        return [replace(each, result=results.get(each.id, each.result)) for each in ran]
