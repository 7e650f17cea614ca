"""Background jobs that commit with your data.

Jobs are rows in the Postgres you already run. Start at `App`, `Blueprint` and ``task.enqueue``.
"""

from procrastinate.exceptions import AlreadyEnqueued

from workrow import schema
from workrow.app import App
from workrow.blueprint import Blueprint, TaskNameTaken
from workrow.context import JobContext
from workrow.declare import retries
from workrow.declare.hooks import Enqueue
from workrow.declare.limits import Limit, Rate
from workrow.declare.resources import inject
from workrow.declare.retry import Retry, Rule
from workrow.declare.schedule import Schedule
from workrow.declare.unique import Debounce, Throttle, Unique
from workrow.declare.waits import exponential, fixed, linear
from workrow.directives import Discard, RetryLater, Snooze
from workrow.errors import (
    ArgumentError,
    ConfigurationError,
    DatabaseUnavailable,
    JobCancelled,
    JobFailed,
    JobNotFound,
    NoResult,
    OptionError,
    QueueFull,
    ResultTimeout,
    SchemaError,
    SoftTimeLimitExceeded,
    TransactionError,
    WorkrowError,
)
from workrow.job import Job
from workrow.tasks import Task
from workrow.version import __version__

__all__ = [
    "AlreadyEnqueued",
    "App",
    "ArgumentError",
    "Blueprint",
    "ConfigurationError",
    "DatabaseUnavailable",
    "Debounce",
    "Discard",
    "Enqueue",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobNotFound",
    "Limit",
    "NoResult",
    "OptionError",
    "QueueFull",
    "Rate",
    "ResultTimeout",
    "Retry",
    "RetryLater",
    "Rule",
    "Schedule",
    "SchemaError",
    "Snooze",
    "SoftTimeLimitExceeded",
    "Task",
    "TaskNameTaken",
    "Throttle",
    "TransactionError",
    "Unique",
    "WorkrowError",
    "__version__",
    "exponential",
    "fixed",
    "inject",
    "linear",
    "retries",
    "schema",
]
