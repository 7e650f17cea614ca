"""What a task's own hooks, and whoever listens to signals, are told of its runs."""

import logging
from signal import SIGTERM
from typing import Any

from workrow.celery import signals, states
from workrow.celery.exceptions import Reject
from workrow.celery.kept_errors import ExceptionInfo
from workrow.celery.request import Context
from workrow.logs import get_logger

logger = get_logger(__name__)


class Hooks:
    """Methods of a task that are called when it runs; for subclasses. Here they do nothing."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Before `run`. What it raises is the task's failure."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """It has returned this."""

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: ExceptionInfo) -> None:
        """It has raised this, or what it returned cannot be kept."""

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: ExceptionInfo) -> None:
        """It will run again, for this reason; None: for none that it has told."""

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """After `on_success` or `on_failure`. `retval` is what it returned or raised, `einfo` is None."""


def starts(task: Any, request: Context) -> None:
    """A run begins."""
    if signals.task_prerun.receivers:
        signals.task_prerun.send(task, **_said(task, request))


def ended(task: Any, request: Context, state: str, value: Any, seconds: float) -> None:
    """A run has come to this: what it returned, or the exception that it raised."""
    call = request.id, request.args, request.kwargs
    if state == states.SUCCESS:
        _call(task, request, "on_success", value, *call)
        if logger.isEnabledFor(logging.DEBUG):
            text = repr(value)[: task.resultrepr_maxsize]
            logger.debug("Task %s[%s] succeeded in %ss: %s", request.shadow or task.name, request.id, seconds, text)
        if signals.task_success.receivers:
            signals.task_success.send(task, result=value, runtime=seconds)
    elif state == states.FAILURE:
        failed(task, request, value)
    elif state == states.RETRY:
        logger.info("Task %s[%s] retry: %s", request.shadow or task.name, request.id, value)
        if _has(task, "on_retry") or signals.task_retry.receivers:
            einfo = _einfo(value)
            _call(task, request, "on_retry", value.exc, *call, einfo)
            signals.task_retry.send(task, request=request, reason=value, einfo=einfo)
        return
    else:
        _log_refusal(task, request, state, value)
        return
    _call(task, request, "after_return", state, value, *call, None)


def failed(task: Any, request: Context, error: BaseException) -> None:
    """It has failed."""
    if _has(task, "on_failure"):
        _call(task, request, "on_failure", error, request.id, request.args, request.kwargs, _einfo(error))
    failure_told(task, request, error)


def failure_told(task: Any, request: Context, error: BaseException) -> None:
    """It has failed, and it was not the task that has said so: only the signal and the log tell."""
    if not isinstance(error, Reject):
        _log(task, request, error)
    if signals.task_failure.receivers:
        signals.task_failure.send(task, **_of_error(request, error))


def _log(task: Any, request: Context, error: BaseException) -> None:
    """An error that the task says it raises in normal operation is no more than an information."""
    from workrow.worker.job_logs import report, shown  # who only sends calls does without

    expected = isinstance(error, getattr(task, "throws", ()) or ())
    word, level = ("expected", logging.INFO) if expected else ("unexpected", logging.ERROR)
    named = request.shadow or request.task, request.id
    report(logger, level, f"Task %s[%s] raised {word}: %s", *named, shown(error), error=None if expected else error)


def _log_refusal(task: Any, request: Context, state: str, error: BaseException) -> None:
    """The task wants no result, or no more of its call: `Ignore`, `Reject`."""
    from workrow.worker.job_logs import report, shown

    named = request.shadow or task.name, request.id
    if state == states.REJECTED:
        report(logger, logging.WARNING, "Task %s[%s] %s", *named, shown(error), error=error)
    else:
        logger.info("Task %s[%s] ignored", *named)


def leaves(task: Any, request: Context, state: str | None, value: Any) -> None:
    """A run is over."""
    if signals.task_postrun.receivers:
        signals.task_postrun.send(task, **_said(task, request), retval=value, state=state)


def internal_error(task: Any, request: Context, error: BaseException) -> None:
    """Something that belongs to a run went wrong, and it was not the task."""
    if signals.task_internal_error.receivers:
        signals.task_internal_error.send(task, **_of_error(request, error), request=vars(request))


def revoked(task: Any, request: Context, why: str) -> None:
    """It does not run, or was ended: it is ``revoked``, ``expired`` or ``terminated``."""
    if signals.task_revoked.receivers:
        signals.task_revoked.send(
            task,
            request=request,
            terminated=why == "terminated",
            signum=SIGTERM if why == "terminated" else None,
            expired=why == "expired",
        )


def _call(task: Any, request: Context, name: str, *args: Any) -> None:
    """A hook. Its errors change nothing, but in ``apply()``, where they are raised."""
    try:
        getattr(task, name)(*args)
    except Exception as error:
        if request.is_eager:
            raise
        logger.exception("%s of %s[%s] failed", name, task.name, request.id)
        internal_error(task, request, error)


def _has(task: Any, name: str) -> bool:
    return getattr(type(task), name) is not getattr(Hooks, name)


def _said(task: Any, request: Context) -> dict[str, Any]:
    return {"task_id": request.id, "task": task, "args": request.args, "kwargs": request.kwargs}


def _of_error(request: Context, error: BaseException) -> dict[str, Any]:
    return {
        "task_id": request.id, "exception": error, "args": request.args, "kwargs": request.kwargs,
        "traceback": error.__traceback__, "einfo": _einfo(error),
    }  # fmt: skip


def _einfo(error: BaseException) -> ExceptionInfo:
    return ExceptionInfo((type(error), error, error.__traceback__))
