"""The end of a task: what it makes of itself, of what follows it, and of who waits for it."""

from dataclasses import dataclass
from traceback import format_exception
from typing import Any

from workrow.celery import outbox, states
from workrow.celery.canvas.group import group
from workrow.celery.canvas.signature import as_signature, listed
from workrow.celery.current import running
from workrow.celery.exceptions import ChordError, Ignore, NotRegistered, Reject, Retry, WorkerLostError
from workrow.celery.request import Context
from workrow.celery.result import result_from_tuple
from workrow.logs import get_logger

logger = get_logger(__name__)


@dataclass(slots=True)
class End:
    """How a run of a task has ended.

    Attributes:
        state: that it came to.
        error: what it raised.
        box: what is to be written with its end.
    """

    state: str
    error: BaseException | None
    box: outbox.Outbox


def run(app: Any, task: Any, request: Context) -> End:
    """Run a task with its call, and say all that follows from its end; nothing of that is written yet."""
    request.children = []
    box = outbox.Outbox()
    task.push_request(request)
    try:
        with running(task, app), outbox.of_run(box):
            try:
                value = task.call(*request.args, **request.kwargs)
            except BaseException as error:
                with outbox.into(box):
                    return End(raised(app, request, error), error, box)
            with outbox.into(box):
                return End(succeeded(app, request, value), None, box)
    finally:
        task.pop_request()


def raised(app: Any, request: Context, error: BaseException) -> str:
    """What follows from what a task has raised; returns the state it came to. What only ends programs is raised on."""
    match error:
        case Reject():
            if not error.requeue:
                failed(app, request, error)
            return states.REJECTED
        case Ignore():
            return states.IGNORED
        case Retry():
            _store(app, request, error.exc, states.RETRY, error)
            return states.RETRY
        case SystemExit():
            code = 0 if error.code is None else error.code if isinstance(error.code, int) else 1
            return failed(app, request, WorkerLostError(f"Worker exited prematurely: exitcode {code}."))
        case KeyboardInterrupt():
            return failed(app, request, WorkerLostError("Worker exited prematurely: KeyboardInterrupt."))
        case Exception():
            return failed(app, request, error)
    raise error


def succeeded(app: Any, request: Context, value: Any) -> str:
    """Send what follows, keep the result, tell the chord."""
    ids = {"parent_id": request.id, "root_id": request.root_id or request.id}
    try:
        value = app.encoded(value)
        follow(request, value, ids)
    except Exception as error:
        failed(app, request, error)
        return states.SUCCESS  # so its signals say, and its result does not
    _store(app, request, value, states.SUCCESS)
    if request.chord:
        app.backend.add_part(request, states.SUCCESS, value)
    return states.SUCCESS


def follow(request: Context, value: Any, ids: dict[str, Any]) -> None:
    """Call the links, each group of them by itself and the others as one, and the next part of the chain."""
    callbacks = [as_signature(each) for each in listed(request.callbacks)]
    if len(callbacks) == 1:
        callbacks[0].apply_async((value,), **ids)
    else:
        for each in callbacks:
            if isinstance(each, group):
                each.apply_async((value,), **ids)
        if single := [each for each in callbacks if not isinstance(each, group)]:
            group(single).apply_async((value,), **ids)
    if request.chain:
        *rest, following = request.chain
        as_signature(following).apply_async((value,), chain=rest, **ids)


def failed(app: Any, request: Context, error: BaseException, state: str = states.FAILURE) -> str:
    """Keep the error, for the rest of the chain too, tell the chords, call the errbacks."""
    _store(app, request, error, state, error)
    if request.chord:
        app.backend.add_part(request, state, error)
    for part in listed(request.chain):
        options = part["options"]
        never = Context(part, options, id=options.get("task_id"), group=options.get("group_id"))
        _store(app, never, error, state, error)
        if never.chord:
            app.backend.add_part(never, state, error)
    if request.errbacks:
        try:
            call_errbacks(app, request, error, "".join(format_exception(error)))
        except Exception:
            logger.exception("an errback of %s[%s] failed", request.task, request.id)
    return state


def call_errbacks(app: Any, request: Context, error: BaseException, traceback: str | None) -> None:
    """Those that take more than an id are called here, with the request, the error and its traceback."""
    old = []
    for each in listed(request.errbacks):
        errback = as_signature(each, app)
        try:
            kind = errback["subtask_type"]
            is_new = errback.type.takes_more_than_an_id if kind is None else kind not in ("group", "chord")
        except NotRegistered:
            is_new = False
        if is_new:
            errback(request, error, traceback)
        else:
            old.append(errback)
    if old:
        group(old, app=app).apply_async((request.id,), parent_id=request.id, root_id=request.root_id or request.id)


def header_ended(app: Any, group_id: str, chord: Any, children: Any, parts: Any) -> None:
    """All parts of a chord's header have ended: send the body.

    Args:
        app: the app.
        group_id: of the header.
        chord: the body.
        children: results of the calls that the last part has made.
        parts: ids, states and values, in the order of the header.
    """
    body = as_signature(chord, app)
    try:
        saved = app.backend.saved_group(group_id)
        if saved is not None:
            given = result_from_tuple(saved, app).join(disable_sync_subtasks=False)
        else:
            given = [_value(*part) for part in parts]
    except ChordError as error:
        chord_failed(app, children, body, error)
        return
    except Exception as error:
        chord_failed(app, children, body, ChordError(f"Join error: {error!r}"))
        return
    try:
        body.delay(given)
    except Exception as error:
        chord_failed(app, children, body, ChordError(f"Callback error: {error!r}"))


def _value(task_id: str, state: str, value: Any) -> Any:
    if state in states.PROPAGATE_STATES:
        raise ChordError(f"Dependency {task_id} raised {value!r}") from value
    return value


def chord_failed(app: Any, children: Any, body: Any, error: ChordError) -> None:
    """The body never runs: it has this error, and its errbacks are called."""
    if isinstance(body, group):
        cause = error.__cause__ or error
        body.freeze()
        for member in body.tasks:
            never = Context(id=member.id, errbacks=listed(member.options.get("link_error")), args=None, kwargs=None)
            call_errbacks(app, never, cause, None)
            _store(app, never, cause, states.FAILURE, cause)
        return
    never = Context(body, id=body.id, errbacks=listed(body.options.get("link_error")), delivery_info={})
    never.children = children
    kept: BaseException = error
    try:
        call_errbacks(app, never, error, None)
    except Exception as worse:
        kept = worse
    _store(app, never, kept, states.FAILURE, kept)


def _store(app: Any, request: Context, value: Any, state: str, error: BaseException | None = None) -> None:
    if request.ignore_result and not (error is not None and app.conf.task_store_errors_even_if_ignored):
        return
    children = [child.as_tuple() for child in request.children or ()]
    traceback = "".join(format_exception(error)) if error is not None and error.__traceback__ else None
    app.backend.store(request.id, state, value, children=children, traceback=traceback, request=request)


def revoked(app: Any, request: Context, error: BaseException) -> None:
    """A call does not run, or was ended: keep that, and tell the chord. Nobody is called."""
    _store(app, request, error, states.REVOKED, error)
    if request.chord:
        app.backend.add_part(request, states.REVOKED, error)
