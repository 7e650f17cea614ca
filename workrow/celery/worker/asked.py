"""What workers say when they are asked; see `workrow.celery.inspecting.Inspect`."""

import os
import resource
import time
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from workrow.celery.message import delivery_of, request_of
from workrow.celery.worker.calls import JOIN
from workrow.celery.worker.panel import inspect_command, ok

TIMER_PRIORITY = 6
"""What Celery's timer says of a call that waits for its time, whatever the priority of the call."""
MOST_LATER = 10_000
"""Calls that wait for their time and are told of at most."""
READY_OF_ALL = 1000
"""Calls that are told of at most where ``worker_prefetch_multiplier`` is 0: without a bound, in Celery."""


@inspect_command(default_timeout=0.2)
def ping(state: Any, **_: Any) -> Any:
    """Ping worker(s)."""
    return ok("pong")


@inspect_command
def report(state: Any) -> Any:
    """Information about the worker's installation and settings."""
    return ok(state.app.bugreport())


@inspect_command(alias="dump_conf", signature="[include_defaults=False]", args=[("with_defaults", bool)])
def conf(state: Any, with_defaults: bool = False, **_: Any) -> Any:
    """Settings."""
    table = state.app.conf.table(with_defaults=with_defaults)
    return {name: _plain(value) for name, value in table.items() if not name.startswith("__")}


@inspect_command
def clock(state: Any, **_: Any) -> Any:
    """The number of the command."""
    return {"clock": state.command_id}


@inspect_command(alias="dump_active")
def active(state: Any, safe: bool | None = False, **_: Any) -> Any:
    """Calls that run."""
    return [_running(state, one, safe) for one in state.door.active if one.claimed.task != JOIN]


@inspect_command(alias="dump_reserved")
def reserved(state: Any, **_: Any) -> Any:
    """Calls that would start next."""
    rows = _waiting(state, ready=prefetch_count(state) or READY_OF_ALL)
    return [_info(state, name, queue, args) for name, queue, _, args, _ in rows]


@inspect_command(alias="dump_schedule")
def scheduled(state: Any, **_: Any) -> Any:
    """Calls that wait for their time."""
    return [
        {"eta": eta.isoformat(), "priority": TIMER_PRIORITY, "request": _info(state, name, queue, args)}
        for name, queue, _, args, eta in _waiting(state, later=MOST_LATER)
    ]


@inspect_command(alias="dump_revoked")
def revoked(state: Any, **_: Any) -> Any:
    """Ids that are revoked."""
    return state.revoked.ids


@inspect_command(variadic="ids", signature="[id1 [id2 [... [idN]]]]")
def query_task(state: Any, ids: Any, **_: Any) -> Any:
    """What becomes of calls."""
    wanted = [ids] if isinstance(ids, str) else [*ids]
    found = {one.told["id"]: ["active", _running(state, one)] for one in state.door.active}
    found = {task_id: said for task_id, said in found.items() if task_id in wanted}
    for name, queue, _, args, later in _rows(state, "celery_queried", ids=wanted):
        if queue in state.worker.queues:
            found.setdefault(args["id"], ["scheduled" if later else "reserved", _info(state, name, queue, args)])
    return found


@inspect_command(alias="dump_tasks", variadic="taskinfoitems", signature="[attr1 [attr2 [... [attrN]]]]")
def registered(state: Any, taskinfoitems: Any = None, builtins: bool = False, **_: Any) -> Any:
    """Names of tasks."""
    wanted = [each for each in taskinfoitems or ["exchange", "routing_key", "rate_limit"] if each[:1] not in ("", "_")]

    def told(name: str) -> str:
        task = state.app.tasks[name]
        rate = {"rate_limit": state.rates[name]} if name in state.rates else {}
        found = ((each, rate.get(each, getattr(task, each, None))) for each in wanted)
        said = [f"{each}={value}" for each, value in found if value is not None]
        return f"{name} [{' '.join(said)}]" if said else name

    return [told(name) for name in sorted(state.app.tasks) if builtins or not name.startswith("celery.")]


@inspect_command
def stats(state: Any, **_: Any) -> Any:
    """Numbers."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "total": dict(state.door.totals),
        "pid": os.getpid(),
        "clock": str(state.command_id),
        "uptime": round(time.monotonic() - state.door.began),
        "pool": _pool(state),
        "broker": _database(state.app.store.url),
        "prefetch_count": prefetch_count(state),
        "rusage": {name[3:]: getattr(used, name) for name in dir(used) if name.startswith("ru_")},
    }


@inspect_command
def active_queues(state: Any) -> Any:
    """Queues that are served."""
    return [_queue(name, state.app.router.binding(name)) for name in state.worker.queues]


def prefetch_count(state: Any) -> int:
    """Of a worker of Celery: so many calls it would have taken from the broker; 0: as many as there are."""
    return int(state.worker.concurrency * state.app.conf.worker_prefetch_multiplier)


def _plain(value: Any) -> Any:
    """What JSON has; of anything else how it is shown."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _rows(state: Any, statement: str, **given: Any) -> list[Any]:
    """Calls of tasks of ours, without their ids."""
    rows = state.app.store.run(statement, tasks=[name for name in state.app.tasks if name != JOIN], **given)
    return [row for row in rows if isinstance(row[3], dict) and "id" in row[3]]


def _waiting(state: Any, ready: int = 0, later: int = 0) -> list[Any]:
    return _rows(state, "celery_waiting", queues=[*state.worker.queues], ready=ready, later=later)


def _info(state: Any, name: str, queue: str, args: Any) -> dict[str, Any]:
    """A call, as Celery shows a request."""
    request = request_of(name, args, hostname=state.hostname, delivery_info=delivery_of(args, queue))
    return {
        "id": request.id,
        "name": name,
        "args": request.args,
        "kwargs": request.kwargs,
        "type": name,
        "hostname": state.hostname,
        "time_start": None,
        "acknowledged": False,
        "delivery_info": request.delivery_info,
        "worker_pid": None,
    }


def _running(state: Any, one: Any, safe: bool | None = False) -> dict[str, Any]:
    claimed, told = one.claimed, one.told
    info = _info(state, claimed.task, claimed.queue, told)
    task = state.app.tasks.get(claimed.task)
    info["time_start"] = one.began
    # as Celery has it; here a call is its worker's until it has ended
    info["acknowledged"] = not getattr(task, "acks_late", False)
    info["worker_pid"] = state.worker.pid_of(claimed.id)
    if safe:
        info |= {"args": repr(tuple(info["args"])), "kwargs": repr(info["kwargs"])}
    return info


def _pool(state: Any) -> dict[str, Any]:
    worker = state.worker
    if state.pool not in ("prefork", "processes"):
        slots = worker.concurrency
        return {"implementation": f"workrow:{state.pool}", "max-concurrency": slots, "threads": slots}
    soft, hard = state.app.conf.task_soft_time_limit, state.app.conf.task_time_limit
    return {
        "implementation": "workrow:prefork",
        "max-concurrency": worker.concurrency,
        "processes": worker.child_pids(),
        "max-tasks-per-child": state.app.conf.worker_max_tasks_per_child or 1000,
        "put-guarded-by-semaphore": True,
        "timeouts": [soft or 0, hard or 0],
        "writes": {},
    }


def _database(url: str) -> dict[str, Any]:
    """Where the calls are, without the password."""
    parts = conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://"))
    return {
        "hostname": parts.get("host"),
        "port": int(parts.get("port") or 5432),
        "userid": parts.get("user"),
        "virtual_host": parts.get("dbname"),
        "transport": "postgresql",
    }


def _queue(name: str, binding: Any) -> dict[str, Any]:
    """A queue, as kombu shows one."""
    unsaid = (
        *("queue_arguments", "binding_arguments", "consumer_arguments", "alias", "no_declare", "expires"),
        *("message_ttl", "max_length", "max_length_bytes", "max_priority"),
    )
    exchange = {"name": binding.exchange.name, "type": binding.exchange.type, "arguments": None, "delivery_mode": None}
    exchange |= {"durable": True, "passive": False, "auto_delete": False, "no_declare": False}
    flags = {"durable": True, "exclusive": False, "auto_delete": False, "no_ack": False, "bindings": []}
    return {"name": name, "exchange": exchange, "routing_key": binding.key, **dict.fromkeys(unsaid), **flags}
