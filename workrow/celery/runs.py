"""One run of a task: its hooks and signals, its call, and its end."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from time import monotonic
from traceback import format_exception
from types import CoroutineType
from typing import Any

from workrow.celery import ends, hooks, outbox, states
from workrow.celery.current import running
from workrow.celery.exceptions import Ignore, Reject, WorkerLostError
from workrow.celery.request import Context

Limit = Callable[[Any], Awaitable[Any]]


def unlimited(coroutine: Any) -> Any:
    """The `Limit` that is none."""
    return coroutine


@dataclass(slots=True)
class End:
    """How a run of a task has ended.

    Attributes:
        state: that it came to; None: none.
        error: what it raised, or what went wrong after it.
        box: what is to be written with its end.
        value: what it returned or raised.
    """

    state: Any
    error: BaseException | None
    box: outbox.Outbox
    value: Any = None

    @property
    def traceback(self) -> str | None:
        """Of the error, as Python prints it."""
        return None if self.error is None else "".join(format_exception(self.error))


def run(app: Any, task: Any, request: Context, propagate: bool = False) -> End:
    """Run a task with its call, and say all that follows from its end; nothing of that is written yet.

    What follows from an eager call is done at once, and what goes wrong after the task is raised.

    Args:
        app: the app.
        task: one of its tasks.
        request: the call.
        propagate: raise what the task raises; a Retry, too.
    """
    whole = _Run(app, task, request, propagate).whole()
    try:
        whole.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise RuntimeError(f"task {task.name}: its run waits outside of an event loop")


def run_on_loop(app: Any, task: Any, request: Context, limit: Limit) -> Awaitable[End]:
    """The same of an async task, on the event loop that runs here. Its hooks and signals are called here too.

    Args:
        app, task, request: as of `run`.
        limit: awaits the task's coroutine, for as long as it may take.
    """
    return _Run(app, task, request, limit=limit).whole()


class _Run:
    """One run. What may wait is ``async``, and nothing waits where there is no loop."""

    __slots__ = ("_app", "_box", "_limit", "_propagate", "_request", "_task")

    def __init__(
        self, app: Any, task: Any, request: Context, propagate: bool = False, limit: Limit | None = None
    ) -> None:
        self._app = app
        self._task = task
        self._request = request
        self._propagate = propagate
        self._limit = limit
        self._box = outbox.Outbox()

    async def whole(self) -> End:
        task, request = self._task, self._request
        vars(request).pop("_children", None)  # of a former run
        task.push_request(request)
        try:
            with running(task, self._app), nullcontext() if request.is_eager else outbox.of_run(self._box):
                end = await self._told()
                if end.error is not None:
                    _tell_more(task, request, end)
                return end
        finally:
            task.pop_request()

    async def _told(self) -> End:
        """Run the task between the signals of its beginning and its end."""
        task, request = self._task, self._request
        hooks.starts(task, request)
        began = monotonic()
        state = value = None
        try:
            try:
                end = await self._end()
                if not isinstance(end.error, WorkerLostError):
                    state, value = end.state, end.value
                    if state != states.SUCCESS or end.error is None:
                        hooks.ended(task, request, state, value, monotonic() - began)
                return end
            finally:
                hooks.leaves(task, request, state, value)
        except Exception as error:
            hooks.internal_error(task, request, error)
            raise

    async def _end(self) -> End:
        app, request, box = self._app, self._request, self._box
        collecting = nullcontext() if request.is_eager else outbox.into(box)
        try:
            value = await self._called()
        except BaseException as error:
            if request.is_eager and not isinstance(error, Exception):
                raise
            if self._propagate and not isinstance(error, Ignore | Reject):
                raise
            kept = lost(error)
            with collecting:
                return End(ends.raised(app, request, kept), kept, box, kept)
        with collecting:
            state, wrong = ends.succeeded(app, request, value)
        if self._propagate and wrong is not None:
            raise wrong
        return End(state, wrong, box, value if state == states.SUCCESS else wrong)

    async def _called(self) -> Any:
        task, request = self._task, self._request
        task.before_start(request.id, request.args, request.kwargs)
        if self._limit is None:
            return task.called(request)
        value = task.call(*request.args, **request.kwargs)
        return await self._limit(value) if isinstance(value, CoroutineType) else value


def _tell_more(task: Any, request: Context, end: End) -> None:
    """What else is told of an error, after the signals of the run."""
    error = end.error
    assert error is not None
    if end.state == states.SUCCESS:
        hooks.internal_error(task, request, error)
        hooks.failed(task, request, error)
    elif isinstance(error, WorkerLostError) or ends.rejected(request, error):
        hooks.failure_told(task, request, error)


def lost(error: BaseException) -> BaseException:
    """What is kept of an error: of one that ends programs, that the worker was lost."""
    match error:
        case SystemExit(code=code):
            code = 0 if code is None else code if isinstance(code, int) else 1
            return WorkerLostError(f"Worker exited prematurely: exitcode {code}.")
        case KeyboardInterrupt():
            return WorkerLostError("Worker exited prematurely: KeyboardInterrupt.")
    return error
