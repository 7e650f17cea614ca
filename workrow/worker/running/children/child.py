"""What runs in a child process: one job after the other, as the parent sends them."""

import asyncio
import contextlib
import ctypes
import importlib
import inspect
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job

from workrow.arguments.parameters import Parameters, without
from workrow.context import JobContext
from workrow.database import forks
from workrow.enqueue.collecting import collecting
from workrow.errors import SoftTimeLimitExceeded, WorkflowError
from workrow.job import at_work
from workrow.worker.running.children.answer import Answer, failure, returned
from workrow.worker.running.children.outbox import Outbox
from workrow.worker.running.coroutines import run_limited
from workrow.workflows.batches import Members
from workrow.workflows.handle import Workflow
from workrow.workflows.start import replacing
from workrow.workflows.values import Flow

PR_SET_PDEATHSIG = 1
PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""A terminal's Ctrl-C reaches everybody; what becomes of the jobs is the parent's to say."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the parent sends.

    Attributes:
        module, name: where the task's function is found.
        job_id, shown: of the job: its id, and what it is called where somebody asks what runs.
        app: ``module:attribute`` of the App; None: it is none.
        pass_context: the task takes its context.
        job: for the context; None where the task takes none, for it takes longer to send than all the rest.
        worker: its name and its queues, for the context.
        arguments: by name, as they are stored; the child makes the function's of them.
        soft_limit: seconds.
        limit: bytes of JSON that are kept of what it returns; None: nothing is.
        whole: somebody in the parent looks at what it returns.
        batch: the id of the batch that the job is a member of.
        around: ``module:attribute`` of what makes the context manager around the call; None: nothing is.
    """

    module: str
    name: str
    job_id: int
    shown: str
    app: str | None
    pass_context: bool
    job: Job | None
    worker: tuple[str | None, list[str] | None]
    arguments: dict[str, Any]
    soft_limit: float | None
    limit: int | None
    whole: bool
    batch: int | None = None
    around: str | None = None


ABORT = "abort"
"""The other thing that the parent sends: the job that runs is asked to abort."""
READY = "ready"
"""The first thing that the child sends: it has started."""


def main(connection: Connection, parent: int, level: int) -> None:
    """Serve the parent until the connection ends. The entry point of a child process."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # what a task starts is killed with it
    _ignore_signals()
    _close_stdin()
    os.set_inheritable(connection.fileno(), False)
    _die_with(parent)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    inbox, outbox = _Inbox(connection), Outbox(connection, (*PARENTS_SIGNALS, signal.SIGALRM))
    connection.send(READY)
    while True:
        call = inbox.next()
        answer = _run(call, inbox, outbox)
        _flush()  # the end of a child is always sudden
        outbox.send(answer)


class _Inbox:
    """Receives in a thread: the end of the parent, and a request to abort, must not wait for the task."""

    def __init__(self, connection: Connection) -> None:
        self.asked = False
        self._connection = connection
        self._calls: deque[Call] = deque()
        self._arrived = threading.Semaphore(0)
        threading.Thread(target=self._receive, daemon=True).start()

    def next(self) -> Call:
        self._arrived.acquire()
        return self._calls.popleft()

    def _receive(self) -> None:
        # a signal that arrives here would not wake the main thread
        signal.pthread_sigmask(signal.SIG_BLOCK, (*PARENTS_SIGNALS, signal.SIGALRM))
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                os._exit(0)
            except BaseException:
                traceback.print_exc()  # without this thread the parent would wait for ever
                os._exit(1)
            if message == ABORT:
                self.asked = True
            else:
                self.asked = False
                self._calls.append(message)
                self._arrived.release()


def _run(call: Call, inbox: _Inbox, outbox: Outbox) -> Answer:
    made_in = forks.generation
    at_work.set(call.shown)
    collecting.set(None if call.batch is None else Members(Workflow(call.batch), call.job_id))
    try:
        with contextlib.nullcontext() if call.around is None else _load(call.around)():
            function = resolve(call.module, call.name)
            result = _result(call, function, inbox, outbox)
        flow = _laid_out(result, call.app) if isinstance(result, Flow) else None
    except BaseException as error:
        forks.leave_worker(call.name, made_in, error)
        return failure(error)
    forks.leave_worker(call.name, made_in)
    if flow is not None:
        return Answer(flow=flow)
    return returned(function, result, limit=call.limit, whole=call.whole)


def _result(call: Call, function: Callable[..., Any], inbox: _Inbox, outbox: Outbox) -> Any:
    injected = [_context(call, inbox, outbox)] if call.pass_context else []
    arguments = _parameters(function, len(injected)).load(call.arguments)
    if inspect.iscoroutinefunction(function):
        return asyncio.run(_await(function(*injected, **arguments), call.soft_limit))

    def run() -> Any:
        result = function(*injected, **arguments)
        # a sync function may return an awaitable, as procrastinate has it
        return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result

    return run() if call.soft_limit is None else _limited(run, call.soft_limit)


def _laid_out(flow: Flow[Any, Any], app: str | None) -> dict[str, Any]:
    """What the parent writes of a workflow that a task returned: of its tasks as they are in the app."""
    if app is None:
        raise WorkflowError(
            f"{flow!r:.80}: a workflow that a task with run_in='process' returns needs the app, and the app is no "
            "attribute of an imported module; assign it at the top of one"
        )
    return replacing(flow, _load(app))


@cache
def _parameters(function: Callable[..., Any], injected: int) -> Parameters:
    return Parameters(function, without(inspect.signature(function), injected))


async def _await(coroutine: Any, soft_limit: float | None) -> Any:
    return await run_limited(coroutine, soft_limit=soft_limit, time_limit=None, grace=0, on_abandoned=lambda _: None)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _limited(call: Callable[[], Any], seconds: float) -> Any:
    running = True

    def raise_inside(*_: object) -> None:
        if running:
            raise SoftTimeLimitExceeded(f"the task ran into its soft_time_limit of {seconds:g} s")

    signal.signal(signal.SIGALRM, raise_inside)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return call()
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def _context(call: Call, inbox: _Inbox, outbox: Outbox) -> JobContext:
    assert call.app is not None
    assert call.job is not None
    outbox.open()
    worker_name, queues = call.worker
    return JobContext(
        app=_load(call.app),
        worker_name=worker_name,
        worker_queues=queues,
        job=call.job,
        abort_reason=lambda: AbortReason.USER_REQUEST if inbox.asked else None,
        on_progress=outbox.say,
        batch=getattr(collecting.get(), "batch", None),
        start_timestamp=time.time(),
    )


def _load(app: str) -> Any:
    module, _, attribute = app.partition(":")
    return getattr(importlib.import_module(module), attribute)


def resolve(module: str, name: str) -> Callable[..., Any]:
    """The function of that name; where the name holds its task, the task's function."""
    found: Any = importlib.import_module("__mp_main__" if module == "__main__" else module)
    for part in name.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = getattr(found, "func", found)
    return function


def _ignore_signals() -> None:
    for number in PARENTS_SIGNALS:
        # a handler, because what is ignored stays ignored in the programs that a task starts, and they could not be
        # terminated
        signal.signal(number, _nothing)
        signal.siginterrupt(number, False)
    os.register_at_fork(after_in_child=_heed_signals)
    # the parent blocks them until here
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENTS_SIGNALS)


def _nothing(*_: object) -> None: ...


def _heed_signals() -> None:
    """In a fork, such as a worker of a multiprocessing.Pool, which is ended by SIGTERM."""
    for number in PARENTS_SIGNALS:
        if signal.getsignal(number) is _nothing:
            signal.signal(number, signal.SIG_DFL)


def _close_stdin() -> None:
    # multiprocessing replaces sys.stdin only; programs that a task starts would read from descriptor 0
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
