"""What ``@blueprint.task(…)`` is told: the options' names and types, and what is made of them."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import procrastinate
from procrastinate import middleware as upstream_middleware
from procrastinate.retry import RetryValue

from workrow.arguments.payload import Upcast
from workrow.declare.batch import Batch, BatchHandler
from workrow.declare.execution import Execution, check_findable
from workrow.declare.failure import Hook
from workrow.declare.signatures import transaction_kind
from workrow.errors import OptionError, brief, check_names_known
from workrow.logs import get_logger

if TYPE_CHECKING:
    from workrow.declare.limits import Limits
    from workrow.declare.retry_policy import Exceptions, Retry, Rule
    from workrow.declare.schedule import Schedule
    from workrow.declare.unique import Debounce, Throttle, Unique

logger = get_logger(__name__)


class TaskDefaults(TypedDict, total=False):
    """What all tasks of a blueprint may share; see `workrow.blueprint.Tasks.task`."""

    queue: str
    priority: int
    lock: str | None
    queueing_lock: str | None
    retry: "Retry | Rule | tuple[Rule, ...] | RetryValue"
    retry_on: "Exceptions"
    discard_on: "Exceptions"
    pass_context: bool
    task_middleware: list[upstream_middleware.TaskMiddleware] | None
    transactional: bool
    run_in: Literal["process"] | None
    soft_time_limit: float | timedelta | None
    time_limit: float | timedelta | None
    max_memory: int | None
    limits: "Limits"
    results: bool
    max_result: int | None
    unique: "Unique | tuple[str, ...] | None"
    debounce: "Debounce | float | timedelta | None"
    throttle: "Throttle | None"
    expires: float | timedelta | datetime | None
    max_payload: int | None
    on_failure: Hook


class TaskOptions(TaskDefaults, total=False):
    """The keyword arguments of ``@blueprint.task(…)``; see `workrow.blueprint.Tasks.task`."""

    name: str | None
    aliases: list[str] | None
    cron: str
    every: timedelta
    timezone: str
    schedule: "Schedule | list[Schedule] | tuple[Schedule, ...]"
    version: int
    upcast: Upcast | None
    hide: tuple[str, ...]


class AllTaskOptions(TaskOptions, total=False):
    """With ``batch``, of which type checkers make another signature."""

    batch: Batch[..., Any] | None


CELERY = {
    "acks_late": "the rule, without an option: a job is in the database until it has ended",
    "autoretry_for": "retry_on=(…,)",
    "base": "app.hooks, or a function that both call",
    "bind": "a first parameter annotated JobContext",
    "compression": "nothing: arguments are stored as JSON",
    "countdown": "delay, in task.options(delay=seconds)",
    "default_retry_delay": "retry=Retry(wait=seconds)",
    "dont_autoretry_for": "discard_on=(…,)",
    "eta": "at, in task.options(at=datetime)",
    "flush_every": "batch=Batch(size=…)",
    "flush_interval": "batch=Batch(within=seconds)",
    "link_error": "on_failure=a task that takes a workrow.Failure",
    "ignore_result": "results=False",
    "max_retries": "retry=Retry(max_attempts=…), which counts the first attempt too",
    "rate_limit": "limits=Rate('10/m')",
    "reject_on_worker_lost": "App(max_crashes=…)",
    "retry_backoff": "retry=Retry(wait=exponential(seconds))",
    "retry_backoff_max": "retry=Retry(wait=exponential(seconds, cap=seconds))",
    "retry_jitter": "retry=Retry(wait=exponential(seconds, jitter=True))",
    "retry_kwargs": "retry=Retry(max_attempts=…, wait=…)",
    "serializer": "nothing: arguments are stored as JSON",
    "throws": "discard_on=(…,)",
    "track_started": "the rule, without an option: job.status() says 'doing'",
}
"""Options of Celery's tasks that have another name here. https://docs.celeryq.dev/en/stable/userguide/tasks.html"""


def read_execution(func: Callable[..., Any], options: AllTaskOptions) -> Execution:
    """How its jobs are run."""
    own = chosen(options, Execution)
    if options.get("transactional", False):
        own["transaction"] = transaction_kind(func)
    if options.get("batch") is not None:
        own["batch"] = _read_batch(func, options)
    execution = Execution(**own)
    if execution.run_in:
        check_findable(func)
    return execution


def _read_batch(func: Callable[..., Any], options: AllTaskOptions) -> BatchHandler:
    """What the function takes and answers, which gets many jobs at once."""
    batch = options["batch"]
    if not isinstance(batch, Batch):
        raise OptionError(f"batch={brief(batch)}: must be a workrow.Batch, such as Batch(size=100, within=0.5)")
    refused = {
        "pass_context": "annotate the first parameter list[JobContext]",
        "run_in": "a batch runs on the event loop or in a thread; let it hand the work to processes itself",
        "lock": "jobs of one lock run one at a time, so that each batch would have a single one; drop one of the two, "
        "or give each job a lock of its own, task.options(lock=…)",
    }
    for name, why in refused.items():
        if options.get(name):
            raise OptionError(f"batch=… and {name}={options.get(name)!r} do not go together: {why}")
    return BatchHandler(func, batch, transactional=bool(options.get("transactional")))


def chosen(options: TaskOptions, kind: Any) -> dict[str, Any]:
    """The options that are fields of this dataclass."""
    return {key: value for key, value in options.items() if key in kind.__dataclass_fields__}


def check_known(options: Mapping[str, Any], known: type) -> None:
    """Raise OptionError for an option that is not of this TypedDict; a word of Celery's is translated."""
    for name, value in options.items():
        if name in CELERY and name not in known.__annotations__:
            ours = f"limits=Rate({value!r})" if name == "rate_limit" and isinstance(value, str) else CELERY[name]
            raise OptionError(f"unknown task option {name}={brief(value)}: a word of Celery's; here it is {ours}")
    check_names_known("task option", options, known.__annotations__)


def read_schedules(options: TaskOptions) -> "tuple[Schedule, ...]":
    """When it is enqueued by itself."""
    given: dict[str, Any] = {}
    for key in ("cron", "every", "timezone"):
        if options.get(key) is not None:
            given[key] = options.get(key)
    if not given and "schedule" not in options:
        return ()
    from workrow.declare.schedule import Schedule

    if "schedule" not in options:
        if given.keys() == {"timezone"}:
            raise OptionError(f"timezone={given['timezone']!r} says nothing without cron=…")
        return (Schedule(**given),)
    if given:
        raise OptionError(f"schedule=… and {', '.join(given)}=… contradict each other; say it in the Schedule")
    schedules = options["schedule"]
    schedules = tuple(schedules) if isinstance(schedules, list | tuple) else (schedules,)
    for each in schedules:
        if not isinstance(each, Schedule):
            raise OptionError(f"schedule={brief(each)}: must be a workrow.Schedule, or a list of them")
    return schedules


def _policy(retry: Any) -> "Retry | RetryValue":
    from workrow.declare.retry_policy import Retry, Rule

    if isinstance(retry, Rule):
        return Retry(rules=(retry,), retry_on=())
    if isinstance(retry, tuple) and retry and all(isinstance(rule, Rule) for rule in retry):
        return Retry(rules=retry, retry_on=())
    if isinstance(retry, procrastinate.BaseRetryStrategy | bool) or (isinstance(retry, int) and retry >= 0):
        return retry
    raise OptionError(
        f"retry={brief(retry)}: must be a workrow.Retry, a Rule or a tuple of them, procrastinate's RetryStrategy, "
        "a number of retries (0 or more), True or False"
    )


def read_middleware(func: Callable[..., Any], options: TaskOptions) -> list[upstream_middleware.TaskMiddleware] | None:
    """What procrastinate is to put around it."""
    given = options.get("task_middleware")
    if given is None:
        return None
    if not isinstance(given, list | tuple) or not all(callable(each) for each in given):
        raise OptionError(f"task_middleware={brief(given)}: must be a list of functions (call_next, context, worker)")
    return list(given)


def read_retry(options: TaskOptions) -> "Retry | RetryValue":
    """Its retry policy."""
    given: Any = options.get("retry", False)
    retry_on, discard_on = options.get("retry_on"), options.get("discard_on")
    if given is False and retry_on is None and discard_on is None:
        return False
    from workrow.declare.retry_policy import Retry

    retry = _policy(given)
    if retry_on is None and discard_on is None:
        return retry
    if retry is False:
        retry = Retry() if retry_on is not None else Retry(max_attempts=1)
    if not isinstance(retry, Retry):
        raise OptionError(f"retry_on and discard_on go with retry=workrow.Retry(…), not with retry={brief(retry)}")
    return retry.narrowed(retry_on, discard_on)


def warn_of_tight_loop(name: str, retry: Any) -> None:
    """Tell of a policy that tries again at once and for ever: 140 times a second, were measured."""
    if not retry:
        return
    from workrow.declare.retry_policy import Retry, Rule

    policies = [retry, *retry.rules] if isinstance(retry, Retry) else retry if isinstance(retry, tuple) else [retry]
    for policy in policies:
        if isinstance(policy, procrastinate.RetryStrategy):
            waits = policy.wait or policy.linear_wait or policy.exponential_wait
            endless = not policy.max_attempts and not waits
        elif isinstance(policy, Retry | Rule):
            endless = policy.max_attempts is None and policy.wait == 0 and not getattr(policy, "discard", False)
        else:
            endless = policy is True
        if endless:
            logger.warning(
                "task %s: retry=%s tries again at once and without end: a job that always fails keeps a slot busy; "
                "say retry=workrow.Retry(max_attempts=…, wait=workrow.exponential(5))",
                name,
                brief(retry),
            )
            return
