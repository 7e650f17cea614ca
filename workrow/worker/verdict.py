"""From what a task returned or raised to an outcome."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import procrastinate
from procrastinate import exceptions
from procrastinate.retry import RetryDecision

from workrow.arguments import Misfit, Result
from workrow.directives import Directive, RetryLater, Snooze
from workrow.errors import LeaseLost, ProcessCrashed
from workrow.payload import dump_result
from workrow.records import job_fields, running
from workrow.retry import Retry, decision, directive, later
from workrow.tasks import Task
from workrow.worker.loading import result_of
from workrow.worker.outcome import Claimed, Outcome, describe

logger = logging.getLogger(__name__)

Runner = Callable[[Claimed], Awaitable[Any]]
"""Runs a job; returns the task's result, or the Outcome where more is to be said."""


def failed(
    task: procrastinate.tasks.Task[Any, Any, Any] | None, claimed: Claimed, error: BaseException, *, asked: bool
) -> Outcome:
    """The outcome of an attempt that raised.

    Args:
        task: what ran; None if it is not known.
        claimed: the job.
        error: what it raised.
        asked: the job was asked to end.
    """
    if isinstance(error, LeaseLost):
        return Outcome(claimed, "lost")
    if isinstance(error, ProcessCrashed):
        return Outcome(claimed, "crashed", cause=error.cause)
    if problem := _misfit(task, claimed, error):
        logger.error("%s: quarantined: %s", claimed, problem)
        told = describe(error, claimed.attempts + 1, discarded=True)
        return Outcome(claimed, "failed", error=told, cause=problem)
    if (said := directive(error)) is not None:
        return _directed(task, claimed, error, said)
    aborted = isinstance(error, exceptions.JobAborted)
    retry, discarded = _decided(task, claimed, error) if task and not (aborted and asked) else (None, False)
    told = describe(error, claimed.attempts + 1, discarded=discarded)
    if retry:
        logger.warning("%s: attempt failed, to be retried: %r", claimed.job.call_string, error, exc_info=error)
        return Outcome(claimed, "todo", error=told, retry=retry)
    if aborted:
        logger.info("%s: aborted", claimed)
        return Outcome(claimed, "aborted", error=told)
    if discarded:
        logger.warning("%s: discarded: %r", claimed.job.call_string, error)
    else:
        logger.error("%s: failed: %r", claimed.job.call_string, error, exc_info=error)
    return Outcome(claimed, "failed", error=told)


def _decided(
    task: procrastinate.tasks.Task[Any, Any, Any], claimed: Claimed, error: BaseException
) -> tuple[RetryDecision | None, bool]:
    """When it is tried again, if it is, and whether it is discarded. A policy that fails itself gives up."""
    policy = task.retry_strategy
    try:
        if isinstance(policy, Retry):
            # not through procrastinate's JobRetry: the policy is asked once
            return policy.get_retry_decision(exception=error, job=claimed.job), policy.discards(error)
        retry = task.get_retry_exception(exception=error, job=claimed.job)
        return (retry.retry_decision if retry else None), False
    except Exception:
        logger.exception("%s: its retry policy failed on %r", claimed, error)
        return None, False


def _directed(
    task: procrastinate.tasks.Task[Any, Any, Any] | None, claimed: Claimed, error: BaseException, told: Directive
) -> Outcome:
    """The outcome of an attempt that said itself how its job goes on."""
    if isinstance(told, Snooze):
        logger.info("%s: snoozes, %s", claimed, told)
        return Outcome(claimed, "snoozed", retry=decision(told), at=told.at)
    attempt = claimed.attempts + 1
    if not isinstance(told, RetryLater):
        logger.warning("%s: discarded: %s", claimed, told)
        return Outcome(claimed, "failed", error=describe(told, attempt, discarded=True))
    retry = later(task.retry_strategy if task else None, told, claimed.job)
    entry = describe(told, attempt, discarded=False)
    if retry is None:
        logger.error(
            "%s: failed, attempt %d was the last one: %s", claimed.job.call_string, attempt, told, exc_info=error
        )
        return Outcome(claimed, "failed", error=entry)
    logger.warning("%s: attempt failed, to be retried: %s", claimed.job.call_string, told, exc_info=told.__cause__)
    return Outcome(claimed, "todo", error=entry, retry=retry, at=told.at)


def dumped(claimed: Claimed, result: Any, kind: Result | None = None) -> str | None:
    """A result as JSON text; None for what is no JSON, which is logged. ``kind``: what the task returns."""
    try:
        return dump_result(kind.dump(result) if kind else result)
    except ValueError as error:
        # the work is done: failing the job now would do it again
        logger.warning("%s: its result is not kept, for it is not JSON: %s", claimed, error)
        return None


def dumper(claimed: Claimed, task: procrastinate.tasks.Task[Any, Any, Any]) -> Callable[[Any], str | None]:
    """What makes a transactional task's result into JSON text, if it is to be kept."""
    if isinstance(task, Task) and not task.execution.results:
        return lambda _: None
    return partial(dumped, claimed, kind=result_of(task))


def forgetting(runner: Runner) -> Runner:
    """The same without its result, which is not to be kept."""

    async def run(claimed: Claimed) -> Any:
        result = await runner(claimed)
        return result if isinstance(result, Outcome) else None

    return run


def telling(runner: Runner, worker: str | None) -> Runner:
    """The same, and what is logged meanwhile can tell the job."""

    async def run(claimed: Claimed) -> Any:
        running.set(job_fields(claimed.job, worker))  # a job has an asyncio task, and so a context, of its own
        return await runner(claimed)

    return run


def _misfit(task: Any, claimed: Claimed, error: BaseException) -> str | None:
    """What is wrong with the stored arguments, if they and not the task are to blame for the error."""
    if not isinstance(error, TypeError):
        return None
    if not isinstance(claimed.args, dict):
        unread = isinstance(claimed.args, ValueError)
        problem = claimed.args if unread else f"they are a JSON {type(claimed.args).__name__}, not an object"
        return f"its arguments cannot be read: {problem}"
    if not isinstance(task, Task):
        return None
    if isinstance(error, Misfit):
        return f"its arguments do not fit {task.name}{task.signature}: {error}"
    try:
        task.signature.bind(**claimed.args)
    except TypeError as unfit:
        return f"its arguments do not fit {task.name}{task.signature}: {unfit}"
    return None
