"""What workers do when they are told; see `workrow.celery.control.Control`."""

from typing import Any

from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.rates import rate_of
from workrow.celery.worker.panel import control_command, nok, ok
from workrow.logs import get_logger

logger = get_logger(__name__)

FREE = (2**31 - 1, 1.0)
"""A rate that lets everything start: jobs a period, and its seconds."""


@control_command(variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(state: Any, task_id: Any, terminate: bool = False, done: bool = False, **_: Any) -> Any:
    """Revoke task by task id (or list of ids)."""
    ids = [task_id] if isinstance(task_id, str) else [*task_id]
    if not done:
        state.app.control.revoke(ids, terminate=terminate)
    logger.info("Tasks flagged as revoked: %s", ", ".join(ids))
    return ok(f"terminate: {', '.join(ids)}" if terminate else f"tasks {set(ids)} flagged as revoked")


@control_command(variadic="headers", signature="[key1=value1 [key2=value2 [... [keyN=valueN]]]]")
def revoke_by_stamped_headers(state: Any, headers: Any, terminate: bool = False, done: bool = False, **_: Any) -> Any:
    """Revoke task by header (or list of headers)."""
    named = headers if isinstance(headers, dict) else dict(each.split("=", 1) for each in headers)
    if not done:
        state.app.control.revoke_by_stamped_headers(named, terminate=terminate)
    return ok(f"headers {named} {'revoked' if terminate else 'flagged as revoked, but not terminated'}")


@control_command(variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]")
def terminate(state: Any, signal: str, task_id: Any, **_: Any) -> Any:
    """Terminate task by task id (or list of ids)."""
    return revoke(state, task_id, terminate=True)


@control_command(
    args=[("task_name", str), ("rate_limit", str)], signature="<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>"
)
def rate_limit(state: Any, task_name: str, rate_limit: Any, **_: Any) -> Any:
    """Tell worker(s) to modify the rate limit for a task by type."""
    free = not rate_limit or str(rate_limit).partition("/")[0].strip() in ("0", "0.0")
    try:
        rate = None if free else rate_of(rate_limit)
    except ImproperlyConfigured as error:
        return nok(f"Invalid rate limit string: {error}")
    task = state.app.tasks.get(task_name)
    if task is None:
        return nok("unknown task")
    rule = state.rate_rule(task)
    if rule is None:
        state.door.set_pace(task_name, rate.seconds / rate.count if rate else None)
    else:
        count, seconds = (rate.count, rate.seconds) if rate else FREE
        state.app.store.run(
            "declare_limits",
            names=[rule.name],
            max_running=[rule.max_running],
            rate_count=[count],
            rate_seconds=[seconds],
            rate_burst=[1 if rate else count],
        )
    state.rates[task_name] = rate_limit
    logger.info("New rate limit for tasks of type %s: %s.", task_name, rate_limit)
    return ok("new rate limit set successfully" if rate_limit else "rate limit disabled successfully")


@control_command(
    args=[("task_name", str), ("soft", float), ("hard", float)], signature="<task_name> <soft_secs> [hard_secs]"
)
def time_limit(
    state: Any, task_name: str | None = None, hard: float | None = None, soft: float | None = None, **_: Any
) -> Any:
    """Tell worker(s) to modify the time limit for task by type."""
    task = state.app.tasks.get(task_name)
    if task is None:
        return nok("unknown task")
    task.soft_time_limit, task.time_limit = soft, hard
    logger.info("New time limits for tasks of type %s: soft=%s hard=%s", task_name, soft, hard)
    return ok("time limits set successfully")


@control_command(args=[("queue", str)], signature="<queue>")
def add_consumer(state: Any, queue: str, **_: Any) -> Any:
    """Tell worker(s) to consume from task queue by name."""
    if queue not in state.worker.queues:
        state.run(state.worker.change(queues=[*state.worker.queues, queue]))
    return ok(f"add consumer {queue}")


@control_command(args=[("queue", str)], signature="<queue>")
def cancel_consumer(state: Any, queue: str, **_: Any) -> Any:
    """Tell worker(s) to stop consuming from task queue by name."""
    if queue in state.worker.queues:
        state.run(state.worker.change(queues=[each for each in state.worker.queues if each != queue]))
    return ok(f"no longer consuming from {queue}")


@control_command(args=[("n", int)], signature="[N=1]")
def pool_grow(state: Any, n: int = 1, **_: Any) -> Any:
    """Grow pool by n processes/threads."""
    _resize(state, n)
    return ok("pool will grow")


@control_command(args=[("n", int)], signature="[N=1]")
def pool_shrink(state: Any, n: int = 1, **_: Any) -> Any:
    """Shrink pool by n processes/threads."""
    _resize(state, -n)
    return ok("pool will shrink")


@control_command
def pool_restart(state: Any, **_: Any) -> Any:
    """Not here: start the worker anew."""
    raise ValueError("Pool restarts not enabled")


@control_command(args=[("max", int), ("min", int)], signature="[max [min]]")
def autoscale(state: Any, **_: Any) -> Any:
    """Not here: slots cost nothing while they are idle."""
    raise ValueError("Autoscale not enabled")


@control_command
def shutdown(state: Any, msg: str = "Got shutdown from remote", **_: Any) -> Any:
    """Shutdown worker(s)."""
    logger.warning("%s", msg)
    # its reply is written before the worker has gone
    state.call(state.worker.stop)
    return ok("shutting down")


def _resize(state: Any, by: int) -> None:
    if state.pool == "solo":
        raise NotImplementedError("the pool solo runs one call at a time")
    wanted = state.worker.concurrency + by
    if wanted < 1:
        raise ValueError(f"the pool runs {state.worker.concurrency} calls at a time: it cannot shrink by {-by}")
    state.run(state.worker.change(concurrency=wanted))
