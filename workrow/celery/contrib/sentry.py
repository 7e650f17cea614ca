"""Sentry, on the calls of the door: ``sentry_sdk.init(integrations=[CeleryIntegration()])`` with this module's class.

That of ``sentry_sdk.integrations.celery`` takes parts of Celery's worker in its hands, of which there are none here.
"""

import threading
import time
from contextlib import ExitStack
from typing import Any, ClassVar

import sentry_sdk
from sentry_sdk.integrations import Integration
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.utils import event_from_exception

from workrow.celery import signals
from workrow.celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

ORIGIN = "auto.queue.celery"
ENQUEUED, PROPAGATE = "sentry-task-enqueued-time", "sentry-propagate-traces"
PRINTED = "celery.redirected"
"""The logger of what tasks print, be it an error or not."""


class CeleryIntegration(Integration):  # type: ignore[misc]  # sentry_sdk is not there where this is checked
    """Failures of tasks become events, runs become transactions, and traces go from who calls to who runs.

    Where the app is made, so that child processes do it too.

    Args:
        propagate_traces: calls carry the trace of who sends them. A call says otherwise by the header
            ``sentry-propagate-traces``.
    """

    identifier = "workrow_celery"
    origin = ORIGIN
    open_runs: ClassVar[dict[tuple[int, Any], ExitStack]] = {}

    def __init__(self, propagate_traces: bool = True) -> None:
        self.propagate_traces = propagate_traces

    @staticmethod
    def setup_once() -> None:
        signals.before_task_publish.connect(_sends, weak=False)
        signals.task_prerun.connect(_starts, weak=False)
        signals.task_failure.connect(_fails, weak=False)
        signals.task_retry.connect(_retries, weak=False)
        signals.task_postrun.connect(_ends, weak=False)
        ignore_logger(PRINTED)


def _integration() -> Any:
    return sentry_sdk.get_client().get_integration(CeleryIntegration)


def _sends(sender: str, headers: dict[str, Any], routing_key: str, **_: Any) -> None:
    """A call is sent: it carries the trace."""
    integration = _integration()
    if integration is None or not headers.get(PROPAGATE, integration.propagate_traces):
        return
    with sentry_sdk.start_span(op="queue.publish", name=sender, origin=ORIGIN) as span:
        span.set_data("messaging.message.id", headers["id"])
        span.set_data("messaging.destination.name", routing_key)
        span.set_data("messaging.system", "postgresql")
        for name, value in sentry_sdk.get_isolation_scope().iter_trace_propagation_headers(span=span):
            headers.setdefault(name, value)
        headers.setdefault(ENQUEUED, time.time())


def _starts(sender: Any, task_id: Any, args: Any, kwargs: Any, **_: Any) -> None:
    """A run begins: a scope and a transaction of its own."""
    if _integration() is None:
        return
    stack = ExitStack()
    CeleryIntegration.open_runs[threading.get_ident(), task_id] = stack
    scope = stack.enter_context(sentry_sdk.isolation_scope())
    scope.clear_breadcrumbs()
    scope.add_event_processor(_about(sender, task_id, args, kwargs))
    request = sender.request
    headers = request.headers or {}
    run = sentry_sdk.continue_trace(headers, op="queue.task.celery", name=sender.name, source="task", origin=ORIGIN)
    run.set_status("ok")
    told = {"celery_job": {"task": sender.name, "args": list(args or ()), "kwargs": kwargs}}
    stack.enter_context(sentry_sdk.start_transaction(run, custom_sampling_context=told))
    span = stack.enter_context(sentry_sdk.start_span(op="queue.process", name=sender.name, origin=ORIGIN))
    span.set_data("messaging.message.id", task_id)
    span.set_data("messaging.message.retry.count", request.retries)
    span.set_data("messaging.system", "postgresql")
    if request.delivery_info:
        span.set_data("messaging.destination.name", request.delivery_info["routing_key"])
    if isinstance(sent := headers.get(ENQUEUED), int | float):
        span.set_data("messaging.message.receive.latency", 1000 * (time.time() - sent))


def _fails(sender: Any, task_id: Any, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
    """A run has failed, here or, where its process was ended, there."""
    if _integration() is None:
        return
    _status("internal_error")
    if isinstance(exception, (Retry, Ignore, Reject, *(getattr(sender, "throws", None) or ()))):
        return
    mechanism = {"type": "celery", "handled": False}
    event, hint = event_from_exception(exception, client_options=sentry_sdk.get_client().options, mechanism=mechanism)
    with ExitStack() as stack:
        if (threading.get_ident(), task_id) not in CeleryIntegration.open_runs:
            scope = stack.enter_context(sentry_sdk.isolation_scope())
            scope.add_event_processor(_about(sender, task_id, args, kwargs))
        sentry_sdk.capture_event(event, hint=hint)


def _retries(**_: Any) -> None:
    if _integration() is not None:
        _status("aborted")


def _ends(task_id: Any, **_: Any) -> None:
    """A run is over."""
    stack = CeleryIntegration.open_runs.pop((threading.get_ident(), task_id), None)
    if stack is not None:
        stack.close()


def _status(status: str) -> None:
    span = sentry_sdk.get_current_scope().span
    if span is not None:
        span.set_status(status)
        if span.containing_transaction is not None:
            span.containing_transaction.set_status(status)


def _about(task: Any, task_id: Any, args: Any, kwargs: Any) -> Any:
    def processor(event: Any, hint: Any) -> Any:
        event.setdefault("tags", {})["celery_task_id"] = task_id
        shown = {"args": args, "kwargs": kwargs}
        if not sentry_sdk.get_client().options.get("send_default_pii"):
            shown = dict.fromkeys(shown, "[Filtered]")
        name = getattr(task, "name", str(task))
        event.setdefault("extra", {})["celery-job"] = {"task_name": name, **shown}
        if "exc_info" in hint and issubclass(hint["exc_info"][0], SoftTimeLimitExceeded):
            event["fingerprint"] = ["celery", "SoftTimeLimitExceeded", name]
        return event

    return processor
