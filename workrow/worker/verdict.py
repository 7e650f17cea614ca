"""From what a task returned or raised to an outcome."""

import logging
from typing import Any

import procrastinate
from procrastinate import exceptions

from workrow.errors import LeaseLost, ProcessCrashed
from workrow.payload import dump_result
from workrow.retry import Retry
from workrow.tasks import Task
from workrow.worker.outcome import Claimed, Outcome, describe

logger = logging.getLogger(__name__)


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
    aborted = isinstance(error, exceptions.JobAborted)
    retry = task.get_retry_exception(exception=error, job=claimed.job) if task and not (aborted and asked) else None
    policy = task.retry_strategy if task else None
    discarded = isinstance(policy, Retry) and policy.discards(error)
    told = describe(error, claimed.attempts + 1, discarded=discarded)
    if retry:
        logger.warning("%s: attempt failed, to be retried: %r", claimed.job.call_string, error, exc_info=error)
        return Outcome(claimed, "todo", error=told, retry=retry.retry_decision)
    if aborted:
        logger.info("%s: aborted", claimed)
        return Outcome(claimed, "aborted", error=told)
    logger.error("%s: failed: %r", claimed.job.call_string, error, exc_info=error)
    return Outcome(claimed, "failed", error=told)


def dumped(claimed: Claimed, result: Any) -> str | None:
    """A result as JSON text; None for what is no JSON, which is logged."""
    try:
        return dump_result(result)
    except ValueError as error:
        # the work is done: failing the job now would do it again
        logger.warning("%s: its result is not kept, for it is not JSON: %s", claimed, error)
        return None


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
    try:
        task.signature.bind(**claimed.args)
    except TypeError as unfit:
        return f"its arguments do not fit {task.name}{task.signature}: {unfit}"
    return None
