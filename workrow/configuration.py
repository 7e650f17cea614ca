"""What ``workrow.App(…)`` is told, checked where it is said: a mistake must not wait for the first worker."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from procrastinate.app import WorkerOptions
from procrastinate.connector import BaseConnector

from workrow.arguments.payload import check_max_payload, check_max_result
from workrow.errors import (
    ConfigurationError,
    OptionError,
    brief,
    check_names_known,
    is_number,
    is_whole,
    seconds_in,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Lease = float | timedelta
AsyncSessions = Callable[[], Any]
SyncSessions = Callable[[], "Session"]
LEASE_LEAST, LEASE_MOST = 2.0, 86400.0
CRASHES_LEAST = 2
WORKFLOW_MOST = 1_000_000
HISTORY_MOST = timedelta(days=36500)
LIFE = ("max_jobs", "max_memory", "max_jobs_per_child", "max_memory_per_child", "slow_callback_duration")
WORKER_OPTIONS = (*WorkerOptions.__annotations__, "health", "queue_concurrency", "priority_ageing", *LIFE)


def check_connection(url: object, connector: object) -> None:
    """Raise ConfigurationError unless there is exactly one of them."""
    if (url is None) == (connector is None):
        raise ConfigurationError("App() takes a database URL or connector=…, one of the two")
    if connector is not None and not isinstance(connector, BaseConnector):
        raise ConfigurationError(f"connector={brief(connector)}: must be one of procrastinate's connectors")


def check_import_paths(paths: Iterable[str] | None) -> list[str]:
    """The modules to import."""
    if paths is None:
        return []
    example = [paths] if isinstance(paths, str) else ["emails.tasks"]
    problem = ConfigurationError(f"import_paths={brief(paths)}: must be a list of modules, such as {example!r}")
    if isinstance(paths, str | bytes) or not isinstance(paths, Iterable):
        raise problem
    found = list(paths)
    if not all(isinstance(path, str) and path for path in found):
        raise problem
    return found


def check_defaults(worker: Mapping[str, Any] | None, periodic: Mapping[str, Any] | None) -> None:
    """Raise ConfigurationError for default options that no worker could be started with."""
    for name, given in (("worker_defaults", worker), ("periodic_defaults", periodic)):
        if given is not None and not isinstance(given, Mapping):
            raise ConfigurationError(f"{name}={brief(given)}: must be a dict of options by name")
    try:
        check_names_known("option in worker_defaults:", worker or {}, WORKER_OPTIONS)
        check_worker(worker or {})
        check_names_known("option in periodic_defaults:", periodic or {}, ["max_delay"])
    except OptionError as error:
        raise ConfigurationError(str(error)) from None
    late = (periodic or {}).get("max_delay", 0)
    if not is_number(late) or seconds_in(late) is None:
        raise ConfigurationError(
            f"periodic_defaults: max_delay={brief(late)}: must be seconds, 0 or more, up to 100 years"
        )


def check_keep_history(keep: timedelta | None) -> None:
    """Raise ConfigurationError unless it is a time for which something can be kept, or None."""
    if keep is not None and not (isinstance(keep, timedelta) and timedelta(0) < keep <= HISTORY_MOST):
        raise ConfigurationError(
            f"keep_history={brief(keep)}: must be a timedelta above zero, such as timedelta(days=30), at most 100 "
            "years, or None to keep everything"
        )


def check_sessions(**makers: Callable[[], Any] | None) -> None:
    """Raise ConfigurationError unless each makes sessions, or is None."""
    for name, maker in makers.items():
        if maker is not None and not callable(maker):
            example = "an async_sessionmaker" if name == "sessions" else "a sessionmaker"
            raise ConfigurationError(f"{name}={brief(maker)}: must make a session when it is called, as {example} does")


def check_max_crashes(crashes: int) -> None:
    """Raise ConfigurationError unless a job may be blamed after so many."""
    if not is_whole(crashes, CRASHES_LEAST):
        raise ConfigurationError(
            f"max_crashes={brief(crashes)}: must be a whole number, at least {CRASHES_LEAST}: a job is not to blame "
            "for the first death of a worker that it ran in"
        )


def check_sizes(max_payload: int, max_result: int, max_workflow_size: int) -> None:
    """Raise ConfigurationError unless arguments, results and workflows may have these sizes."""
    if not is_whole(max_workflow_size, 1, WORKFLOW_MOST):
        raise ConfigurationError(
            f"max_workflow_size={brief(max_workflow_size)}: must be a number of tasks, from 1 to {WORKFLOW_MOST:,}"
        )
    try:
        check_max_payload(max_payload)
        check_max_result(max_result)
    except OptionError as error:
        raise ConfigurationError(str(error)) from None


def lease_seconds(lease: Lease) -> float:
    """A lease in seconds.

    Raises:
        ConfigurationError: it cannot work.
    """
    seconds = seconds_in(lease)
    if seconds is None or not LEASE_LEAST <= seconds <= LEASE_MOST:
        raise ConfigurationError(
            f"lease={brief(lease)}: must be seconds, at least {LEASE_LEAST:g}, for a heartbeat may be late, and at "
            f"most {LEASE_MOST:g}"
        )
    return seconds


def check_slots(name: str, slots: object) -> None:
    """Raise OptionError unless so many jobs can run at the same time."""
    if not is_whole(slots, 1):
        raise OptionError(f"{name}={brief(slots)}: must be a whole number of slots, at least 1")


def check_ageing(seconds: Any) -> float | None:
    """These seconds.

    Raises:
        OptionError: waiting cannot count as priority at this pace.
    """
    return _above_zero("priority_ageing", seconds, "seconds of waiting that count as one level of priority")


def check_duration(seconds: Any) -> float | None:
    """These seconds.

    Raises:
        OptionError: no event loop can be blocked for so long.
    """
    return _above_zero("slow_callback_duration", seconds, "seconds for which a job may block the event loop")


def _above_zero(name: str, seconds: Any, what: str) -> float | None:
    if seconds is None:
        return None
    if is_number(seconds) and (given := seconds_in(seconds)):
        return given
    raise OptionError(f"{name}={brief(seconds)}: must be {what}, above 0 and up to 100 years, or None")


def check_most(**given: Any) -> int | None:
    """The number of jobs, or of MiB, after which a worker, or a child process of one, ends.

    Raises:
        OptionError: it is none.
    """
    ((name, most),) = given.items()
    if most is None or is_whole(most, 1):
        return most
    unit = "MiB" if name.startswith("max_memory") else "jobs"
    raise OptionError(f"{name}={brief(most)}: must be a whole number of {unit}, at least 1, or None")


def check_worker(options: Mapping[str, Any]) -> None:
    """Raise OptionError for values with which the worker would hang, or do nothing."""
    check_slots("concurrency", options.get("concurrency", 1))
    check_ageing(options.get("priority_ageing"))
    check_most(max_jobs=options.get("max_jobs"))
    check_most(max_memory=options.get("max_memory"))
    check_most(max_jobs_per_child=options.get("max_jobs_per_child"))
    check_most(max_memory_per_child=options.get("max_memory_per_child"))
    check_duration(options.get("slow_callback_duration"))
    queues = options.get("queues")
    if isinstance(queues, str):
        raise OptionError(f"queues={queues!r}: must be a list of names, such as {[queues]!r}")
    for name in SECONDS:
        value = options.get(name, 0)
        endless = name == "shutdown_graceful_timeout"
        if not (endless and value is None) and (not is_number(value) or seconds_in(value) is None):
            hint = ", or None for as long as it takes" if endless else ""
            raise OptionError(f"{name}={brief(value)}: must be a number of seconds, 0 or more, up to 100 years{hint}")


SECONDS = (
    *("fetch_job_polling_interval", "abort_job_polling_interval", "shutdown_graceful_timeout"),
    *("update_heartbeat_interval", "stalled_worker_timeout"),
)
