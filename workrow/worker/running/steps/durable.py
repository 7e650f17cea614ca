"""The steps behind a task's context; how the logic is run is the business of `on_loop` and `in_thread`."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from procrastinate.connector import BaseConnector

from workrow.arguments.codec import codec_of
from workrow.context import JobContext
from workrow.database.outage import judged
from workrow.logs import get_logger
from workrow.worker.outcome import Claimed, Outcome
from workrow.worker.running.steps.attempt import Steps
from workrow.worker.running.steps.branches import Branches
from workrow.worker.running.steps.record import Values
from workrow.worker.running.steps.requests import Op
from workrow.worker.running.transactions import Transactions
from workrow.worker.running.verdict import suspended

logger = get_logger(__name__)

OUTAGE_PAUSE = 1.0
"""Seconds after which a database that is away is asked again."""


class Undo(Exception):
    """Ends a transaction without its commit, and goes no further."""


class Durable:
    """The steps of one job's attempt, behind its context.

    Args:
        claimed: the job.
        connector: the app's.
        transactions: opens those of transactional steps.
        limit: bytes of JSON that are kept of what a step returns.
    """

    attempt: type[Steps] = Steps

    def __init__(self, claimed: Claimed, connector: BaseConnector, transactions: Transactions, limit: int) -> None:
        self._claimed = claimed
        self._connector = connector
        self._transactions = transactions
        self._limit = limit
        self._on: Any = None
        self._made: Steps | None = None
        self._branches = Branches()

    def begin(self, on: Any = None) -> None:
        """The task runs here, in this transaction; the repetition of one knows nothing of the one before."""
        self._on, self._made, self._branches = on, None, Branches()

    def end(self) -> None:
        """The task has returned.

        Raises:
            Suspended: though the task caught it.
            StepError: a recorded step's name is gone.
        """
        if self._made is not None:
            self._made.check_end()

    @property
    def _steps(self) -> Steps:
        if self._made is None:
            values = Values(codec_of(self._connector), self._limit)
            self._made = self.attempt(self._claimed, values, self._branches, in_task=self._on is not None)
        return self._made

    def step(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """See `workrow.context.JobContext.step`, as all of these."""
        return self._drive("step", self._steps.step(name, function, args, kwargs))

    def transactional_step(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """See above."""
        return self._drive("transactional_step", self._steps.transactional_step(name, function, args, kwargs))

    def sleep(self, seconds: float | timedelta, name: str | None) -> Any:
        """See above."""
        return self._drive("sleep", self._steps.sleep(seconds, name))

    def wait_for(self, signal: str, timeout: float | timedelta | None, name: str | None) -> Any:
        """See above."""
        return self._drive("wait_for", self._steps.wait_for(signal, timeout, name))

    def call(self, task: Any, args: Any, kwargs: Any) -> Any:
        """See above."""
        return self._drive("call", self._steps.call(task, args, kwargs))

    def _drive(self, what: str, op: Op[Any]) -> Any:
        raise NotImplementedError

    def _outage(self, error: BaseException) -> None:
        """Raise it, unless the database is only away."""
        if judged(error) is not error:
            raise judged(error) from error
        logger.warning("%s: its step waits for the database: %s", self._claimed, error)


async def stepped(claimed: Claimed, context: JobContext, run: Callable[[], Awaitable[Any]], on: Sequence[Any]) -> Any:
    """Run a task that may ask for steps.

    Args:
        claimed: the job.
        context: its own.
        run: the task.
        on: the transaction of a transactional task.

    Returns:
        What it returned; of a transactional task that gives its slot away, the outcome, which its transaction writes.
    """
    durable = context.durable
    assert isinstance(durable, Durable)
    durable.begin(*on)
    try:
        result = await run()
        durable.end()
    except BaseException as error:
        return _outcome(claimed, error, on)
    return result


def stepped_sync(claimed: Claimed, context: JobContext, run: Callable[[], Any], on: Sequence[Any]) -> Any:
    """The same of a sync task."""
    durable = context.durable
    assert isinstance(durable, Durable)
    durable.begin(*on)
    try:
        result = run()
        durable.end()
    except BaseException as error:
        return _outcome(claimed, error, on)
    return result


def _outcome(claimed: Claimed, error: BaseException, on: Sequence[Any]) -> Outcome:
    if on and (outcome := suspended(claimed, error)):
        return outcome
    raise error
