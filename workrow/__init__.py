"""Background jobs that commit with your data.

Jobs are rows in the Postgres you already run. Start at `App`, `Blueprint` and ``task.enqueue``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from procrastinate.exceptions import AlreadyEnqueued

    from workrow import logs as records  # noqa: F401
    from workrow import schema
    from workrow.app import App
    from workrow.arguments.secrets import Secret
    from workrow.blueprint import Blueprint, TaskNameTaken
    from workrow.context import JobContext, SyncJobContext
    from workrow.database import clock as clock
    from workrow.database import urls as urls
    from workrow.declare import retry_rules as retries
    from workrow.declare import schedule as schedule
    from workrow.declare.backoff import exponential, fixed, linear
    from workrow.declare.batch import Batch
    from workrow.declare.failure import Failure
    from workrow.declare.hooks import Enqueue
    from workrow.declare.limits import Limit, Rate
    from workrow.declare.resources import inject
    from workrow.declare.retry_policy import Retry, Rule
    from workrow.declare.schedule import Cron, Schedule
    from workrow.declare.unique import Debounce, Throttle, Unique
    from workrow.directives import Discard, RateLimited, RetryLater, Snooze
    from workrow.enqueue.signal import signal
    from workrow.errors import (
        ArgumentError,
        ConfigurationError,
        DatabaseUnavailable,
        InsufficientPrivilege,
        JobCancelled,
        JobEnded,
        JobFailed,
        JobNotFound,
        NoResult,
        OptionError,
        QueueFull,
        ResultInTask,
        ResultTimeout,
        SchemaError,
        SignalTimeout,
        SoftTimeLimitExceeded,
        StepError,
        TransactionError,
        WorkflowError,
        WorkrowError,
    )
    from workrow.job import Job
    from workrow.tasks import Task
    from workrow.workflows.batches import batch
    from workrow.workflows.errors import WorkflowCancelled, WorkflowFailed
    from workrow.workflows.handle import Workflow
    from workrow.workflows.shapes import chain, chord, chunks, graph, group, map, starmap
    from workrow.workflows.values import Signature
    from workrow.workflows.wire import from_json

__version__ = "0.1.0"

__all__ = [
    "AlreadyEnqueued",
    "App",
    "ArgumentError",
    "Batch",
    "Blueprint",
    "ConfigurationError",
    "Cron",
    "DatabaseUnavailable",
    "Debounce",
    "Discard",
    "Enqueue",
    "Failure",
    "InsufficientPrivilege",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobEnded",
    "JobFailed",
    "JobNotFound",
    "Limit",
    "NoResult",
    "OptionError",
    "QueueFull",
    "Rate",
    "RateLimited",
    "ResultInTask",
    "ResultTimeout",
    "Retry",
    "RetryLater",
    "Rule",
    "Schedule",
    "SchemaError",
    "Secret",
    "SignalTimeout",
    "Signature",
    "Snooze",
    "SoftTimeLimitExceeded",
    "StepError",
    "SyncJobContext",
    "Task",
    "TaskNameTaken",
    "Throttle",
    "TransactionError",
    "Unique",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowError",
    "WorkflowFailed",
    "WorkrowError",
    "__version__",
    "batch",
    "chain",
    "chord",
    "chunks",
    "exponential",
    "fixed",
    "from_json",
    "graph",
    "group",
    "inject",
    "linear",
    "map",
    "retries",
    "schema",
    "signal",
    "starmap",
]

# Each name is imported when it is first used: a process that only enqueues never loads the worker.
_HOMES = {
    "procrastinate.exceptions": ("AlreadyEnqueued",),
    "workrow.app": ("App",),
    "workrow.arguments.secrets": ("Secret",),
    "workrow.blueprint": ("Blueprint", "TaskNameTaken"),
    "workrow.context": ("JobContext", "SyncJobContext"),
    "workrow.declare.batch": ("Batch",),
    "workrow.declare.failure": ("Failure",),
    "workrow.declare.hooks": ("Enqueue",),
    "workrow.declare.limits": ("Limit", "Rate"),
    "workrow.declare.resources": ("inject",),
    "workrow.declare.retry_policy": ("Retry", "Rule"),
    "workrow.declare.schedule": ("Cron", "Schedule"),
    "workrow.declare.unique": ("Debounce", "Throttle", "Unique"),
    "workrow.declare.backoff": ("exponential", "fixed", "linear"),
    "workrow.directives": ("Discard", "RateLimited", "RetryLater", "Snooze"),
    "workrow.enqueue.signal": ("signal",),
    "workrow.errors": (
        "ArgumentError",
        "ConfigurationError",
        "DatabaseUnavailable",
        "InsufficientPrivilege",
        "JobCancelled",
        "JobEnded",
        "JobFailed",
        "JobNotFound",
        "NoResult",
        "OptionError",
        "QueueFull",
        "ResultInTask",
        "ResultTimeout",
        "SchemaError",
        "SignalTimeout",
        "SoftTimeLimitExceeded",
        "StepError",
        "TransactionError",
        "WorkflowError",
        "WorkrowError",
    ),
    "workrow.job": ("Job",),
    "workrow.tasks": ("Task",),
    "workrow.workflows.batches": ("batch",),
    "workrow.workflows.errors": ("WorkflowCancelled", "WorkflowFailed"),
    "workrow.workflows.handle": ("Workflow",),
    "workrow.workflows.shapes": ("chain", "chord", "chunks", "graph", "group", "map", "starmap"),
    "workrow.workflows.values": ("Signature",),
    "workrow.workflows.wire": ("from_json",),
}
_MODULES = {
    "clock": "workrow.database.clock",
    "records": "workrow.logs",
    "retries": "workrow.declare.retry_rules",
    "schedule": "workrow.declare.schedule",
    "schema": "workrow.schema",
    "urls": "workrow.database.urls",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # or type checkers would believe in every name

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name in _MODULES:
            value: Any = import_module(_MODULES[name])
        elif name in _HOME_OF:
            value = getattr(import_module(_HOME_OF[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_MODULES})
