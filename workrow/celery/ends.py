"""The end of a task: what it makes of itself, of what follows it, and of who waits for it."""

from traceback import format_exception
from typing import Any

from workrow.celery import hooks, states
from workrow.celery.canvas.group import group
from workrow.celery.canvas.links import listed
from workrow.celery.canvas.signature import as_signature
from workrow.celery.exceptions import ChordError, EncodeError, Ignore, NotRegistered, Reject, Retry
from workrow.celery.keeping import keep, members, never_run
from workrow.celery.request import Context, ignores_result
from workrow.celery.result import AsyncResult, GroupResult, result_from_tuple
from workrow.logs import get_logger

logger, KEPT_AS_TUPLE = get_logger(__name__), (AsyncResult, GroupResult)


def raised(app: Any, request: Context, error: BaseException) -> str:
    """What follows from what a task has raised; returns the state it came to. What only ends programs is raised on."""
    match error:
        case Reject():
            if rejected(request, error):
                failed(app, request, error)
            return states.REJECTED
        case Ignore():
            return states.IGNORED
        case Retry():
            keep(app, request, error.exc, states.RETRY, error)
            return states.RETRY
        case Exception():
            return failed(app, request, error)
    raise error


def rejected(request: Context, error: BaseException | None) -> bool:
    """Whether the task has refused its call for good."""
    return isinstance(error, Reject) and not error.requeue and not request.is_eager


def succeeded(app: Any, request: Context, value: Any) -> tuple[str, BaseException | None]:
    """Send what follows, keep the result, tell the chord; returns the state it came to, and what went wrong."""
    given = value  # what a call has returned is kept as a tuple; who follows gets the object, which is no JSON
    try:
        if request._kept and (request.chord or not ignores_result(app.tasks.get(request.task), request)):
            value = app.encoded(value.as_tuple() if isinstance(value, KEPT_AS_TUPLE) else value)
        if request.callbacks or request.chain:
            ids = {"parent_id": request.id, "root_id": request.root_id or request.id}
            follow(request, given if isinstance(given, KEPT_AS_TUPLE) else value, ids)
    except EncodeError as error:
        return failed(app, request, error), error
    except Exception as error:
        if request.is_eager:
            raise
        failed(app, request, error)
        return states.SUCCESS, error  # so its signals say, and its result does not
    keep(app, request, value, states.SUCCESS)
    if request.chord:
        app.backend.add_part(request, states.SUCCESS, value)
    return states.SUCCESS, None


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
    keep(app, request, error, state, error)
    if request.chord:
        app.backend.add_part(request, state, error)
    _rest_failed(app, request.chain, error, state)
    if request.errbacks:
        try:
            call_errbacks(app, request, error, "".join(format_exception(error)))
        except Exception:
            logger.exception("an errback of %s[%s] failed", request.task, request.id)
    return state


def _rest_failed(app: Any, chain: Any, error: BaseException, state: str, kept: Any = None) -> None:
    """The parts of a chain that never run have this error; of one of them it is kept already."""
    for part in (each for one in listed(chain) for each in members(one)):
        never = never_run(part)
        if never.id != kept:
            keep(app, never, error, state, error)
        if never.chord:
            app.backend.add_part(never, state, error)


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
    if old and request.is_eager:
        group(old, app=app).apply((request.id,))
    elif old:
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
    """The body never runs, nor what follows it: they have this error, and its errbacks are called."""
    kept: BaseException
    _rest_failed(app, body.options.get("chain"), error, states.FAILURE)
    if isinstance(body, group):
        cause = error.__cause__ or error
        body.freeze()
        own = listed(body.options.get("link_error"))
        for member in body.tasks:
            errbacks = listed(member.options.get("link_error"))
            errbacks += [each for each in own if each not in errbacks]
            never = Context(id=member.id, errbacks=errbacks, args=None, kwargs=None)
            kept = cause
            try:
                call_errbacks(app, never, cause, None)
            except Exception as worse:
                kept = worse
            _rest_failed(app, [member], kept, states.FAILURE)
        return
    never = Context(body, id=body.id, errbacks=listed(body.options.get("link_error")), delivery_info={})
    never.children = children
    kept = error
    try:
        call_errbacks(app, never, error, None)
    except Exception as worse:
        kept = worse
    keep(app, never, kept, states.FAILURE, kept)
    _rest_failed(app, [body], kept, states.FAILURE, kept=body.id)


def revoked(app: Any, request: Context, error: BaseException) -> None:
    """A call does not run, or was ended: keep that, tell the chord and who listens. Nobody is called."""
    keep(app, request, error, states.REVOKED, error)
    if request.chord:
        app.backend.add_part(request, states.REVOKED, error)
    hooks.revoked(app.tasks.get(request.task), request, str(error))
