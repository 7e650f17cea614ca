"""A worker of an app: its tasks on workrow's own."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from workrow.app import App
from workrow.celery import ends, outbox, signals
from workrow.celery.beat.process import beside
from workrow.celery.bridge import shadow
from workrow.celery.exceptions import ImproperlyConfigured, TaskRevokedError
from workrow.celery.foreign_errors import WorkerLostError
from workrow.celery.message import request_of
from workrow.celery.worker.calls import JOIN, join_failed, run_async, run_call, serve, served, told_to_children
from workrow.celery.worker.door import Door
from workrow.celery.worker.mailbox import CHANNEL, Mailbox
from workrow.celery.worker.revoked import Revoked
from workrow.celery.worker.state import State
from workrow.database.link import connect
from workrow.declare.backoff import exponential
from workrow.declare.found import MAINS, found_as
from workrow.declare.limits import Rate
from workrow.declare.retry_policy import Retry
from workrow.logs import get_logger

logger = get_logger(__name__)

ENDED = "workrow.celery.ended"
"""The task that is called of calls that have ended without a word: their workers died too often, say."""
PRIVATE = (JOIN, ENDED)
"""Tasks that are no calls of anybody's."""
OF_THE_JOB = "workrow.queue_of_the_job"
"""Its queue: ``workrow.call_failure_hook_v1`` puts that of the job in its place."""
TELLING = Retry(max_attempts=10, wait=exponential(1, cap=300))
"""How often that is tried: nobody else tells it."""
FORGET_SECONDS = 300.0
"""How often expired results are deleted."""
UNLIMITED = Rate("1000000/s")
"""What a rate is with ``worker_disable_rate_limits``: calls that wait in its line, whoever sent them, start at once."""
POOLS = {"prefork": True, "processes": True, "threads": False, "solo": False, "gevent": False, "eventlet": False}
"""Kinds of pools, and whether each call runs in a child process."""


def host_name(given: str | None = None) -> str:
    """A worker's name: ``celery@host``; ``%h``, ``%n``, ``%d`` are the host's name, its first part and its domain."""
    host = socket.gethostname()
    name, _, domain = host.partition(".")
    text = given or f"celery@{host}"
    for sign, value in (("%h", host), ("%n", name), ("%d", domain), ("%%", "%")):
        text = text.replace(sign, value)
    return text if "@" in text else f"{text}@{host}"


def find(app: Any) -> str:
    """``module:attribute`` of an app, for child processes.

    Raises:
        ImproperlyConfigured: it is no attribute of a module.
    """
    path = found_as(app)
    if path is not None and not path.startswith(MAINS):
        return path
    raise ImproperlyConfigured(
        "-P prefork needs the app at the top of a module that can be imported, `app = Celery(…)`; or use -P threads"
    )


def engine_of(app: Any, hostname: str, in_process: bool) -> tuple[App, Door, Revoked]:
    """workrow's app with the tasks of a Celery app; what its calls pass, and which of them are not to start.

    Args:
        app: the app of the door, loaded.
        hostname: of the worker.
        in_process: calls run in child processes.
    """
    engine = App(app.database_url)
    revoked = Revoked(app)
    door = Door(app, hostname, in_process, revoked)
    engine.hooks.runner = door.runner_of
    options: dict[str, Any] = {"run_in": "process" if in_process else None, "results": False, "on_failure": ENDED}
    declare: Any = engine.task
    for name, task in app.tasks.items():
        found = task.limits_told()
        if task.rate_limit and app.conf.worker_disable_rate_limits:
            found[0] = UNLIMITED
        limits = {"limits": found} if found else {}
        run = run_async if task.is_async and not in_process else run_call
        declare(name=name, queue=task.queue or app.conf.task_default_queue, **options, **limits)(run)
    declare(name=JOIN, **options)(run_call)
    declare(name=shadow.SHADOW, **{**options, "on_failure": None})(shadow.run)
    # in the queue of the call that has ended: whoever serves that one tells its result
    declare(name=ENDED, queue=OF_THE_JOB, on_failure=None, results=False, retry=TELLING)(bury)
    return engine, door, revoked


def bury(failure: dict[str, Any]) -> None:
    """A call has ended, and its result does not know: keep the error, call the errbacks.

    Args:
        failure: a `workrow.Failure`, as it is stored; or with ``revoked``, of a body that is not sent for that reason.
    """
    app = served()
    if not isinstance(failure["args"], dict) or "id" not in failure["args"]:
        return  # somebody's own row, which no result is kept of
    request = request_of(failure["task"], failure["args"], delivery_info={"routing_key": failure["queue"]})
    error: Exception
    if revoked := failure.get("revoked"):
        error = TaskRevokedError(revoked)
    else:
        error = WorkerLostError(f"{failure['error_type']}: {failure['error_message']}")
    if failure["task"] == JOIN:
        app.store.write(join_failed(app, error, *request.args), follows=True)
        return
    box = outbox.Outbox()
    with outbox.into(box):
        ends.failed(app, request, error)
    app.store.write(box.effects, follows=True)


def run_worker(
    app: Any,
    queues: Sequence[str] | None = None,
    concurrency: int | None = None,
    pool: str = "prefork",
    hostname: str | None = None,
    max_tasks_per_child: int | None = None,
    max_memory_per_child: int | None = None,
    beat: bool = False,
    started: Callable[[App], object] | None = None,
    **options: Any,
) -> None:
    """Run a worker until it is stopped.

    Args:
        app: the app of the door.
        queues: their names; None: those of ``task_queues``, or the default one.
        concurrency: calls at a time; None: the number of processors.
        pool: one of `POOLS`.
        hostname: see `host_name`.
        max_tasks_per_child: so many calls use a child process up.
        max_memory_per_child: KiB of resident memory, after a call, that use it up as well.
        beat: send what is due of ``beat_schedule``, too; see `workrow.celery.beat.Beat`.
        started: called with workrow's app when its connections are open.
        **options: of `workrow.App.run_worker_async`.
    """
    app.load()
    serve(app)
    if pool not in POOLS:
        raise ImproperlyConfigured(f"pool={pool!r}: must be one of {', '.join(POOLS)}")
    if pool in ("gevent", "eventlet"):
        logger.warning("-P %s: calls run in threads", pool)
    in_process = POOLS[pool]
    children = told_to_children(find(app)) if in_process else nullcontext()
    name = host_name(hostname)
    state = State(app, name, pool)
    signals.celeryd_init.send(sender=name, instance=state, conf=app.conf, options=options)
    signals.worker_init.send(sender=state)
    state.engine, state.door, state.revoked = engine_of(app, name, in_process)
    slots = 1 if pool == "solo" else concurrency or app.conf.worker_concurrency or os.cpu_count() or 1
    if max_tasks_per_child:
        options["max_jobs_per_child"] = max_tasks_per_child
    if max_memory_per_child:
        options["max_memory_per_child"] = -(-max_memory_per_child // 1024)
    if timeout := app.conf.worker_soft_shutdown_timeout:
        options.setdefault("shutdown_graceful_timeout", float(timeout))
    run = partial(
        state.engine.run_worker_async,
        queues=[*queues] if queues else app.router.queues(),
        concurrency=slots,
        name=name,
        **options,
    )
    with children, beside(app) if beat else nullcontext():
        asyncio.run(_serve(state, run, started))
    signals.worker_shutdown.send(sender=state)


async def _serve(state: State, run: Any, started: Callable[[App], object] | None) -> None:
    state.loop = asyncio.get_running_loop()
    async with state.engine.open_async():
        if started is not None:
            started(state.engine)
        listen = partial(connect, state.engine.connector, purpose=f"listening {CHANNEL} {state.hostname}")
        loops = [
            asyncio.create_task(each)
            for each in (_tell_ready(state), Mailbox(state, listen).watch(), _forget_expired(state.app))
        ]
        try:
            with state.door.open():
                await run()
        finally:
            for each in loops:
                each.cancel()


async def _tell_ready(state: State) -> None:
    """Send ``worker_ready`` once the worker is registered: from then on it claims, and is told and asked."""
    while state.worker is None or state.worker.worker_id is None:  # noqa: ASYNC110  it tells nobody
        await asyncio.sleep(0.01)
    signals.worker_ready.send(sender=state)


async def _forget_expired(app: Any) -> None:
    """Delete expired results again and again, until cancelled: whether beat runs or not."""
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        try:
            await asyncio.to_thread(app.backend.cleanup)
        except Exception as error:
            logger.warning("expired results are deleted later: %s", error)
