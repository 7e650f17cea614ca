"""From what a task returned or raised to an outcome."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import procrastinate
from procrastinate import exceptions
from procrastinate.retry import RetryDecision

from workrow.arguments.codec import Codec
from workrow.arguments.jsonb import dump_result
from workrow.arguments.payload import MAX_RESULT, Arguments, Misfit
from workrow.arguments.results import Kind
from workrow.arguments.secrets import EVERYTHING, concealed, concealing, values_of
from workrow.declare.retry_policy import Retry, checked, decision, directive, later
from workrow.directives import Directive, RateLimited, RetryLater, Snooze
from workrow.errors import LeaseLost, ProcessCrashed
from workrow.job import UNKEPT
from workrow.logs import get_logger, job_fields, running
from workrow.tasks import Task
from workrow.worker.job_logs import Unsaid, message_of, report, shown
from workrow.worker.outcome import Claimed, Hold, Outcome, Suspended, describe, entry
from workrow.worker.running.children.loading import result_of
from workrow.workflows.start import replacing
from workrow.workflows.values import Flow

logger = get_logger(__name__)

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
    if task is None:
        claimed.hidden = frozenset({EVERYTHING})  # nobody here knows what is not to be shown
    if isinstance(error, ProcessCrashed):
        return Outcome(claimed, "crashed", cause=error.cause)
    if problem := _misfit(task, claimed, error):
        logger.error("%s: quarantined: %s", claimed, problem)
        told = describe(error, claimed.attempts + 1, discarded=True)
        return Outcome(claimed, "failed", error=told, cause=problem)
    if (said := directive(error)) is not None:
        return _directed(task, claimed, error, said, asked)
    aborted = isinstance(error, exceptions.JobAborted)
    decided = _decided(task, claimed, error) if task and not (aborted and asked) else Decided()
    told = describe(error, claimed.attempts + 1, discarded=decided.discarded, policy=decided.error)
    if decided.retry and not asked:  # a row that was asked to abort takes no retry
        _report(logging.WARNING, "%s: attempt failed, to be retried: %s", claimed, error)
        return Outcome(claimed, "todo", error=told, retry=decided.retry, hold=decided.hold)
    if aborted:
        logger.info("%s: aborted", claimed)
        return Outcome(claimed, "aborted", error=told)
    if decided.discarded:
        logger.warning("%s: discarded: %s", claimed.job.call_string, shown(error))
    else:
        why = ", and not retried, for it was asked to abort" if decided.retry else ""
        _report(logging.ERROR, f"%s: failed{why}: %s", claimed, error)
    return Outcome(claimed, "failed", error=told, hold=decided.hold)


def suspended(claimed: Claimed, error: BaseException, *, asked: bool = False) -> Outcome | None:
    """The outcome of an attempt that gives its slot away; None if it has another one.

    Args:
        claimed: the job.
        error: what it raised; a group counts if nothing else is in it.
        asked: the job was asked to end.
    """
    if isinstance(error, BaseExceptionGroup):
        ours, others = error.split(Suspended)
        return None if ours is None or others else suspended(claimed, ours.exceptions[0], asked=asked)
    if not isinstance(error, Suspended):
        return None
    if asked:
        logger.info("%s: aborted, for it was asked to, and would wait", claimed)
        return Outcome(claimed, "aborted")
    logger.debug("%s: %s", claimed, error)
    return Outcome(claimed, "snoozed", waits=dump_result(error.waits))


def _report(level: int, text: str, claimed: Claimed, error: BaseException) -> None:
    report(logger, level, text, claimed.job.call_string, shown(error), error=error)


@dataclass(frozen=True, slots=True)
class Decided:
    """What a retry policy says of an error.

    Attributes:
        retry: when it is tried again; None: it is not.
        discarded: it is given up on purpose.
        error: what the policy raised instead.
        hold: the other side has asked for a pause.
    """

    retry: RetryDecision | None = None
    discarded: bool = False
    error: BaseException | None = None
    hold: Hold | None = None


def _decided(task: procrastinate.tasks.Task[Any, Any, Any], claimed: Claimed, error: BaseException) -> Decided:
    """What the task's policy says. One that fails itself, or says nothing that can be done, gives up."""
    policy = task.retry_strategy
    try:
        if isinstance(policy, Retry):
            # not through procrastinate's JobRetry: the policy is asked once
            retry = policy.get_retry_decision(exception=error, job=claimed.job)
            asked = policy.asked_seconds(error)
            return Decided(checked(retry), policy.discards(error), hold=Hold(asked, guessed=True) if asked else None)
        raised = task.get_retry_exception(exception=error, job=claimed.job)
        return Decided(checked(raised.retry_decision) if raised else None)
    except Unsaid as broken:
        report(logger, logging.ERROR, "%s: its retry policy failed on %s", claimed, shown(error), error=broken)
        return Decided(error=broken)


def _directed(
    task: procrastinate.tasks.Task[Any, Any, Any] | None,
    claimed: Claimed,
    error: BaseException,
    told: Directive,
    asked: bool,
) -> Outcome:
    """The outcome of an attempt that said itself how its job goes on."""
    if isinstance(told, Snooze) and asked:
        logger.info("%s: aborted, for it was asked to, and would snooze", claimed)
        return Outcome(claimed, "aborted")
    if isinstance(told, Snooze):
        logger.info("%s: snoozes, %s", claimed, concealed(str(told)))
        hold = Hold(told.seconds, told.at, told.limit) if isinstance(told, RateLimited) else None
        return Outcome(claimed, "snoozed", retry=decision(told), at=told.at, hold=hold)
    attempt = claimed.attempts + 1
    if not isinstance(told, RetryLater):
        logger.warning("%s: discarded: %s", claimed, message_of(told))
        return Outcome(claimed, "failed", error=describe(told, attempt, discarded=True))
    broken: BaseException | None = None
    try:
        retry = checked(later(task.retry_strategy if task else None, told, claimed.job))
    except Unsaid as raised:
        report(logger, logging.ERROR, "%s: its retry policy failed on %s", claimed, message_of(told), error=raised)
        retry, broken = None, raised
    entry = describe(told, attempt, discarded=False, policy=broken)
    call, words = claimed.job.call_string, message_of(told)
    if retry is None or asked:
        why = "attempt %d was the last one" if retry is None else "for it was asked to abort, after attempt %d"
        text = f"%s: failed, {why}: %s"
        report(logger, logging.ERROR, text, call, attempt, words, error=error)
        return Outcome(claimed, "failed", error=entry)
    report(logger, logging.WARNING, "%s: attempt failed, to be retried: %s", call, words, error=told.__cause__)
    return Outcome(claimed, "todo", error=entry, retry=retry, at=told.at)


def succeeded(claimed: Claimed, result: Any, limit: int, app: Any, kind: Kind | None = None) -> Outcome:
    """The outcome of an attempt that returned.

    Args:
        claimed: the job.
        result: what it returned.
        limit: bytes that the result's JSON may take.
        app: the worker's.
        kind: what the task says that it returns.

    Raises:
        WorkrowError: it is a workflow that cannot be.
    """
    if isinstance(result, Flow):
        return Outcome(claimed, "succeeded", flow=replacing(result, app))
    try:
        return Outcome(claimed, "succeeded", dump_result(kind.dump(result) if kind else result, limit))
    except Unsaid as error:
        # the work is done: failing the job now would do it again
        return unkept(claimed, message_of(error))


def unkept(claimed: Claimed, why: str) -> Outcome:
    """The outcome of one whose result is no JSON, or too much of it: the row says so to who asks for it."""
    report(logger, logging.WARNING, "%s: its result is not kept: %s", claimed, why, error=None)
    return Outcome(claimed, "succeeded", error=entry(claimed, UNKEPT, why))


def finisher_of(app: Any, claimed: Claimed, task: procrastinate.tasks.Task[Any, Any, Any]) -> Callable[[Any], Outcome]:
    """What makes an outcome of what a transactional task returned, if it is none yet; the app is the worker's."""
    codec: Codec | None = getattr(app, "codec", None)
    kept = not isinstance(task, Task) or task.execution.results
    dump = partial(succeeded, claimed, limit=limit_of(task), app=app, kind=result_of(task, codec))

    def finish(returned: Any) -> Outcome:
        if isinstance(returned, Outcome):
            return returned
        return dump(returned) if kept or isinstance(returned, Flow) else Outcome(claimed, "succeeded")

    return finish


def limit_of(task: procrastinate.tasks.Task[Any, Any, Any]) -> int:
    """Bytes of JSON that are kept of what its jobs return."""
    return task.max_result if isinstance(task, Task) else MAX_RESULT


def forgetting(runner: Runner) -> Runner:
    """The same without its result, which is not to be kept."""

    async def run(claimed: Claimed) -> Any:
        result = await runner(claimed)
        return result if isinstance(result, Outcome | Flow) else None

    return run


def hiding(runner: Runner, hidden: frozenset[str], defaults: Arguments) -> Runner:
    """The same, and nothing that is said of the job tells these arguments of it.

    Args:
        runner: what runs it.
        hidden: their names.
        defaults: what they are where the row has none.
    """

    async def run(claimed: Claimed) -> Any:
        claimed.hidden = hidden
        args = {**defaults, **claimed.args} if isinstance(claimed.args, dict) else claimed.args
        concealing.set(values_of(args, hidden))
        return await runner(claimed)

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
        return concealed(f"its arguments do not fit {task.shown}: {error}")
    try:
        task.signature.bind(**claimed.args)
    except TypeError as unfit:
        return f"its arguments do not fit {task.shown}: {unfit}"
    return None
