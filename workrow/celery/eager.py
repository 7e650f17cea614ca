"""Calls that are run where they are made: ``apply()``, and all of them with ``task_always_eager``."""

import socket
from typing import Any
from uuid import uuid4

from workrow.celery import codec, runs
from workrow.celery.canvas.links import listed
from workrow.celery.exceptions import Ignore, Retry
from workrow.celery.request import Context
from workrow.celery.result import EagerResult, denied_join_result, task_join_will_block
from workrow.celery.result.joining import joins_refused


class Replaced(Ignore):
    """An eager task lets another run in its place, which it has.

    Args:
        result: what that has come to.
    """

    def __init__(self, result: Any) -> None:
        super().__init__("Replaced by new task")
        self.result = result


def called(task: Any, args: Any, kwargs: Any, task_id: str | None, options: dict[str, Any]) -> EagerResult:
    """What ``apply_async`` is with ``task_always_eager``: its arguments go through JSON, as those of every call.

    Raises:
        EncodeError: they are no JSON.
    """
    args, kwargs = codec.loads(codec.dumps([[*(args or ())], kwargs or {}]))
    with denied_join_result():
        return apply(task, args, kwargs, task_id=task_id, **options)


def apply(
    task: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    link: Any = None,
    link_error: Any = None,
    task_id: str | None = None,
    retries: int = 0,
    throw: bool | None = None,
    logfile: str | None = None,
    loglevel: int | None = None,
    headers: dict[str, Any] | None = None,
    ignore_result: bool | None = None,
    **options: Any,
) -> EagerResult:
    """Run a task here and now. Its links and errbacks are called as those of every task; its result is kept only with
    ``task_store_eager_result``. Nothing waits: no countdown, no ``expires``, no retry.

    Args:
        task: the task.
        args, kwargs: of the task, which gets them as they are.
        link, link_error: called after it.
        task_id: of the call.
        retries: how many there have been.
        throw: raise what it raises, a Retry too; None: as ``task_eager_propagates`` says.
        logfile, loglevel, headers: for its request.
        ignore_result: keep no result, even with ``task_store_eager_result``.
        **options: ``exchange``, ``routing_key``, ``priority`` and stamps are told by its request, the others are not
            used.
    """
    app = task.app
    task_id = task_id or str(uuid4())
    request = Context(
        id=task_id, root_id=task_id, task=task.name, args=args or (), kwargs=kwargs or {}, retries=retries,
        called_directly=False, is_eager=True, _kept=bool(task.store_eager_result), hostname=socket.gethostname(),
        ignore_result=bool(task.ignore_result if ignore_result is None else ignore_result), headers=headers,
        callbacks=listed(link) or None, errbacks=listed(link_error) or None, logfile=logfile, loglevel=loglevel or 0,
        **_stamps(options),
        delivery_info={"is_eager": True, **{key: options.get(key) for key in ("exchange", "routing_key", "priority")}},
    )  # fmt: skip
    propagate = app.conf.task_eager_propagates if throw is None else throw
    with joins_refused(task_join_will_block()):
        end = runs.run(app, task, request, propagate=bool(propagate))
    if isinstance(end.value, Replaced):
        return end.value.result  # type: ignore[no-any-return]
    if isinstance(end.value, Retry) and end.value.sig is not None:
        return end.value.sig.apply(retries=retries + 1)  # type: ignore[no-any-return]
    return EagerResult(task_id, end.value, end.state, end.traceback, name=task.name)


def _stamps(options: dict[str, Any]) -> dict[str, Any]:
    """For the request: each as a list."""
    if "stamped_headers" not in options:
        return {}
    names = listed(options["stamped_headers"])
    return {"stamped_headers": names, "stamps": {name: listed(options.get(name)) for name in names}}
