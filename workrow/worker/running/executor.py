"""Run one job: from a claimed job to an outcome. No SQL."""

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from procrastinate import exceptions
from procrastinate.job_context import AbortReason
from procrastinate.retry import RetryDecision

from workrow.context import Step
from workrow.database import forks
from workrow.database.held import Held
from workrow.declare.backoff import exponential
from workrow.declare.resources import Providers
from workrow.enqueue.collecting import collecting
from workrow.errors import LeaseLost, TransactionError
from workrow.job import at_work
from workrow.logs import get_logger
from workrow.worker.job_logs import first, report, type_of
from workrow.worker.outcome import Claimed, Hold, Outcome, describe, unspeakable
from workrow.worker.running.children.pool import Processes, check_importable
from workrow.worker.running.places import GRACE_SECONDS
from workrow.worker.running.provision import Provision
from workrow.worker.running.runners import Runners, execution_of
from workrow.worker.running.threads import Threads
from workrow.worker.running.time_limits import Interrupted
from workrow.worker.running.transactions import Transactions
from workrow.worker.running.verdict import Runner, failed, succeeded, suspended
from workrow.workflows.batches import Members
from workrow.workflows.handle import Workflow

if TYPE_CHECKING:
    from procrastinate.worker import Worker as UpstreamWorker

logger = get_logger(__name__)

BACK_OFF = exponential(1, cap=60)
"""Seconds until a transactional job runs again that has lost its connection."""
OWN_ROW = (
    "the task has deleted, ended or changed its own row in procrastinate_jobs, which is the worker's to end: nothing "
    "of this attempt stays; leave the row of ctx.job.id alone"
)
PARTING_SECONDS = 0.25
"""How long after that a server which ends all connections may need for the others."""


class Stop(Enum):
    """Why a running job is to end."""

    ABORT = "asked to abort"
    TERMINATE = "terminated"
    SHUTDOWN = "the worker stops"
    LEASE = "the lease is lost"


class Executor:
    """Runs jobs: async tasks on the event loop, sync ones in threads, and those that ask for it in child processes.

    Args:
        worker: what middleware is given.
        threads: for sync tasks.
        processes: for those that ask for one.
        transactions: runs transactional tasks.
        say: notes how far a job has come.
        mark: writes down that a job which has crashed before is about to start; False if it is no longer ours.
        held: whether a job is still ours, as others see it.
        steady: whether the database has answered for the last so many seconds, and does.
        hold: lets nothing else start under a job's limits for a time.
        max_crashes: so many crashes put a job into quarantine.
    """

    def __init__(
        self,
        worker: "UpstreamWorker",
        threads: Threads,
        processes: Processes,
        transactions: Transactions,
        say: Callable[[Claimed, Step], None],
        mark: Callable[[Claimed], Awaitable[bool]],
        held: Callable[[Claimed], Awaitable[bool]],
        steady: Callable[[float], Awaitable[bool]],
        hold: Callable[[Claimed, Hold], Awaitable[None]],
        max_crashes: int,
    ) -> None:
        self._worker = worker
        self._tasks = worker.app.tasks
        self._threads = threads
        self._processes = processes
        self._transactions = transactions
        self._provision = Provision(getattr(worker.app, "providers", None) or Providers())
        self.runners = Runners(
            worker,
            self._threads,
            self._processes,
            transactions,
            self._provision,
            say,
            self._abort_reason,
            self.report_stuck,
            self._abandoned,
        )
        self._mark = mark
        self._held = held
        self._steady = steady
        self._hold = hold
        self._max_crashes = max_crashes
        self._alone = asyncio.Lock()
        self._generation = forks.generation
        self._insisting: set[asyncio.Task[None]] = set()
        self.stops: dict[int, Stop] = {}
        self.abandoned: set[str] = set()

    def check(self) -> None:
        """Raise the error of a task that this worker cannot run: better now than when its first job comes."""
        for task in set(self._tasks.values()):
            execution = execution_of(task)
            if execution.transaction:
                self._transactions.check(task.name, execution.transaction)
            if execution.run_in:
                check_importable(task)
            self._provision.check(task.name, task.func)

    async def close(self) -> None:
        """Let the threads and the processes end; a thread whose task goes on does not hold the process's exit."""
        self._threads.close()
        await self._processes.close()
        await self._provision.close()

    async def run(self, claimed: Claimed) -> Outcome:
        """Run one attempt. Never raises: whatever happens is an outcome."""
        at_work.set(claimed)  # a job has an asyncio task, and so a context, of its own
        if claimed.workflow is not None and claimed.batch_id is not None:
            collecting.set(Members(Workflow(claimed.batch_id, cast("Any", self._worker.app)), claimed.id))
        claimed.started_at = time.monotonic()
        if claimed.expires_in is not None and claimed.stale:
            logger.warning("%s: not started: it has expired", claimed)
            return Outcome(claimed, "expired", ended_at=claimed.started_at)
        try:
            outcome = await self._attempt(claimed)
            if outcome.hold is not None and claimed.limited:
                await self._hold(claimed, outcome.hold)  # before the job's slot is free for the next one
        except BaseException as error:
            outcome = self.last_resort(claimed, first(error))
        outcome.ended_at = time.monotonic()
        if self.stops:
            self.stops.pop(claimed.id, None)
        return outcome

    def last_resort(self, claimed: Claimed, error: BaseException) -> Outcome:
        """An outcome for an error that cannot even be looked at."""
        report(
            logger, logging.ERROR, "%s: failed, and nothing can be said of it: %s", claimed, type_of(error), error=None
        )
        return {Stop.SHUTDOWN: Outcome(claimed, "todo"), Stop.LEASE: Outcome(claimed, "lost")}.get(
            self.stops.pop(claimed.id, Stop.ABORT), unspeakable(claimed, error)
        )

    async def _attempt(self, claimed: Claimed) -> Outcome:
        try:
            runner, limit = self.runners.made.get(claimed.task) or self.runners.find(claimed.task)
            result = await (self._run_suspect(claimed, runner) if claimed.crashes else runner(claimed))
            if self._generation != forks.generation:
                forks.leave_worker(claimed, self._generation)
            if isinstance(result, Outcome):
                return await self._parted(result) if result.status == "parted" else result
            return succeeded(claimed, result, limit, self._worker.app)
        except asyncio.CancelledError as error:
            return self._interrupted(claimed, error)
        except BaseException as error:  # SystemExit and its kin in a task are that task's failure, not the worker's
            forks.leave_worker(claimed, self._generation, error)
            if waits := self._suspended(claimed, error):
                return waits
            if isinstance(error, Held):  # of a step whose row somebody holds
                return Outcome(claimed, "todo")
            if isinstance(error, LeaseLost) and await self._held(claimed):
                error = TransactionError(OWN_ROW)
            if claimed.id in self.stops:
                return self._interrupted(claimed, error)
            return failed(self._tasks.get(claimed.task), claimed, error, asked=False)

    def _suspended(self, claimed: Claimed, error: BaseException) -> Outcome | None:
        """The outcome where it gives its slot away; a worker that stops is no reason not to."""
        stop = self.stops.get(claimed.id)
        if stop is Stop.LEASE:
            return None
        return suspended(claimed, error, asked=stop not in (None, Stop.SHUTDOWN))

    async def _parted(self, outcome: Outcome) -> Outcome:
        """Its connection was lost. Where others have been kept it is the job's own, and counts as a crash of it."""
        claimed = outcome.claimed
        # the others may be on their way
        await asyncio.sleep(PARTING_SECONDS)
        own = outcome.cause is not None and await self._steady(time.monotonic() - claimed.started_at)
        seconds = BACK_OFF(claimed.crashes + 1 if own else claimed.token)
        retry = RetryDecision(retry_in={"milliseconds": round(seconds * 1000)})
        return Outcome(claimed, "crashed" if own else "snoozed", retry=retry, cause=outcome.cause)

    async def _run_suspect(self, claimed: Claimed, runner: Runner) -> Any:
        """A job whose worker died: its start is written down, and before the last chance nothing like it runs beside
        it."""
        if claimed.crashes < self._max_crashes - 1:
            return await self._run_marked(claimed, runner)
        async with self._alone:
            return await self._run_marked(claimed, runner)

    async def _run_marked(self, claimed: Claimed, runner: Runner) -> Any:
        if not await self._mark(claimed):
            return Outcome(claimed, "lost")
        claimed.started_at = time.monotonic()
        return await runner(claimed)

    def interrupt(self, claimed: Claimed, job: asyncio.Task[None], stop: Stop, abandon: Callable[[], None]) -> None:
        """Make a running job end.

        A coroutine is cancelled. A thread is asked, through its context's ``should_abort()``, and unless ``stop`` is
        ABORT an exception is raised inside. A process is asked, or killed. A job of a batch leaves it, and only the
        last one ends the call. Repeating a request does nothing, a stronger one does.

        Args:
            claimed: the job.
            job: what awaits its end.
            stop: why.
            abandon: called if it has not ended after a grace time; its slot is then to be given to others.
        """
        if self.stops.get(claimed.id) in (stop, Stop.LEASE):
            return
        self.stops[claimed.id] = stop
        if not claimed.started_at:
            return  # a task that has not taken its first step sees the request when it does
        task = self._tasks.get(claimed.task)
        if task is not None and execution_of(task).run_in:
            (self._processes.interrupt if stop is Stop.ABORT else self._processes.kill)(claimed.id)
        elif task is not None and not inspect.iscoroutinefunction(task.func):
            if stop is Stop.ABORT:
                return
            if claimed.batch:
                job.cancel()  # it leaves the batch, which ends the call if it was the last one
            else:
                self._threads.interrupt(claimed.id, Interrupted)
        else:
            job.cancel()
        insisting = asyncio.create_task(self._insist(claimed, job, stop, abandon))
        self._insisting.add(insisting)
        insisting.add_done_callback(self._insisting.discard)

    async def _insist(self, claimed: Claimed, job: asyncio.Task[None], stop: Stop, abandon: Callable[[], None]) -> None:
        _, going_on = await asyncio.wait([job], timeout=1.0 if stop is Stop.SHUTDOWN else GRACE_SECONDS)
        if going_on:
            self.report_stuck(claimed, stop.value)
            in_thread = (claimed.batch or claimed).id in self._threads.running
            if in_thread and stop is Stop.TERMINATE:
                return  # its slot is free when its thread ends
            if in_thread:
                self._threads.replace()
            self.abandoned.add(str(claimed))
            abandon()

    def stopped(self, claimed: Claimed, stop: Stop) -> Outcome:
        """The outcome of a job that was made to end, whatever it says itself."""
        return self._interrupted(claimed, asyncio.CancelledError(stop.value))

    def report_stuck(self, claimed: Claimed, why: str) -> None:
        """Say loudly that a task does not end."""
        logger.error("%s: does not end (%s); it goes on, and cannot write its end", claimed, why)

    def _abort_reason(self, job_id: int) -> AbortReason | None:
        stop = self.stops.get(job_id)
        if stop is None:
            return None
        return AbortReason.USER_REQUEST if stop in (Stop.ABORT, Stop.TERMINATE) else AbortReason.SHUTDOWN

    def _abandoned(self, claimed: Claimed, why: str) -> None:
        self.report_stuck(claimed, why)
        self.abandoned.add(str(claimed))

    def _interrupted(self, claimed: Claimed, error: BaseException) -> Outcome:
        stop = self.stops.get(claimed.id)
        if stop is Stop.SHUTDOWN:
            logger.info("%s: given back, the worker stops", claimed)
            return Outcome(claimed, "todo")
        if stop is Stop.LEASE:
            return Outcome(claimed, "lost")
        stopped = isinstance(error, asyncio.CancelledError | Interrupted | exceptions.JobAborted)
        if stop is not None and stopped:
            logger.info("%s: aborted on request", claimed)
            return Outcome(claimed, "aborted", error=describe(error, claimed.attempts + 1, discarded=False))
        return failed(self._tasks.get(claimed.task), claimed, error, asked=claimed.id in self.stops)
