"""Results of both sides, for whoever asks Celery's app."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from workrow.celery import states
from workrow.celery.backend import kept
from workrow.celery.outbox import Outbox
from workrow.logs import get_logger

logger = get_logger(__name__)

SIDE = "_workrow_side"
"""The attribute of a result that says where its call went: True here, False to the old broker; without: not known."""
LONGEST_PAUSE = 0.1
"""Seconds between two looks for a result of which it is not known where it will be."""


def mark(result: Any, here: bool) -> Any:
    """Let a result know where it will be found, with its members and those before it."""
    node = result
    while node is not None:
        for member in getattr(node, "results", None) or ():
            mark(member, here)
        setattr(node, SIDE, here)
        node = getattr(node, "parent", None)
    return result


class Results:
    """What an app's result backend, whichever that is, is asked for.

    Args:
        app: the ``celery.Celery``.
        door: the app of the door.
        collecting: where the calls of a canvas that comes here are collected; None: of none.
    """

    def __init__(self, app: Any, door: Any, collecting: Callable[[], Outbox | None]) -> None:
        self._app = app
        self._door = door
        self._collecting = collecting

    def install(self) -> None:
        """In the way of the app's backends, those that are there and those to come, and of its ``revoke``."""
        from celery.utils.imports import symbol_by_name

        app, make, control = self._app, self._app._get_backend, self._app.control_cls
        app._get_backend = lambda: self._ask_both(make())
        if app._backend is not None:
            self._ask_both(app._backend)
        # made when it is first used: it reads the settings, which may not be said yet
        app.control_cls = lambda app: self._revoke_both(symbol_by_name(control)(app=app))
        if "control" in vars(app):
            self._revoke_both(app.control)

    def _revoke_both(self, control: Any) -> Any:
        own = control.revoke

        def revoke(task_id: Any, *args: Any, **options: Any) -> Any:
            self._safely(lambda: self._door.control.revoke(task_id, terminate=bool(options.get("terminate"))))
            return own(task_id, *args, **options)

        control.revoke = revoke
        return control

    def _ask_both(self, backend: Any) -> Any:
        from celery.backends.base import DisabledBackend

        if isinstance(backend, DisabledBackend):  # who keeps no results asks for none
            return backend
        for name in (
            "get_task_meta", "wait_for_pending", "iter_native", "on_task_call", "add_pending_result",
            "remove_pending_result", "apply_chord", "set_chord_size", "save_group", "restore_group", "forget",
        ):  # fmt: skip
            own = getattr(backend, name, None)
            if own is not None:
                setattr(backend, name, partial(getattr(self, f"_{name}"), backend, own))
        return backend

    # ---------------------------------------------------------------- asked

    def _get_task_meta(self, backend: Any, own: Any, task_id: str, cache: bool = True) -> Any:
        meta = own(task_id, cache=cache)
        if meta.get("status") != states.PENDING:
            return meta
        return self._ours(backend, task_id) or meta

    def _ours(self, backend: Any, task_id: str) -> Any:
        """What is kept here of a call; None: nothing, or the database does not say."""
        rows = self._safely(lambda: self._door.store.run("celery_meta", id=str(task_id)))
        return backend.meta_from_decoded(kept(task_id, *rows[0])) if rows else None

    def _meta_of(self, backend: Any, result: Any) -> Any:
        if getattr(result, SIDE, None):
            return self._ours(backend, result.id) or {"status": states.PENDING, "result": None}
        return backend.get_task_meta(result.id, cache=False)

    def _wait_for_pending(
        self,
        backend: Any,
        own: Any,
        result: Any,
        timeout: float | None = None,
        interval: float = 0.5,
        on_interval: Any = None,
        on_message: Any = None,
        callback: Any = None,
        propagate: bool = True,
        **options: Any,
    ) -> Any:
        if self._is_old(result):
            told = {"timeout": timeout, "interval": interval, "on_interval": on_interval, "on_message": on_message}
            return own(result, callback=callback, propagate=propagate, **told, **options)
        if hasattr(result, "results"):
            for _ in self._looked([*result.results], backend, timeout, on_interval, on_message):
                pass
        else:
            for _, meta in self._looked([result], backend, timeout, on_interval, on_message):
                result._maybe_set_cache(meta)
        return result.maybe_throw(callback=callback, propagate=propagate)

    def _iter_native(
        self, backend: Any, own: Any, result: Any, timeout: float | None = None, interval: float = 0.5,
        no_ack: bool = True, on_message: Any = None, on_interval: Any = None, **options: Any,
    ) -> Iterator[Any]:  # fmt: skip
        if self._is_old(result):
            told = {"timeout": timeout, "interval": interval, "on_interval": on_interval, "on_message": on_message}
            return own(result, no_ack=no_ack, **told, **options)  # type: ignore[no-any-return]
        return self._looked([*result.results], backend, timeout, on_interval, on_message)

    def _looked(
        self, left: list[Any], backend: Any, timeout: float | None, on_interval: Any, on_message: Any
    ) -> Iterator[Any]:
        """Results in the order in which they are there, by looking again and again."""
        from celery.exceptions import TimeoutError

        until = None if timeout is None else time.monotonic() + timeout
        pause = 0.005
        while True:
            for each in [*left]:
                if hasattr(each, "results"):
                    left.remove(each)
                    yield each.id, each.results
                    continue
                meta = self._meta_of(backend, each)
                if meta["status"] in states.READY_STATES:
                    left.remove(each)
                    if on_message is not None:
                        on_message(meta)
                    yield each.id, meta
            if not left:
                return
            if until is not None and time.monotonic() >= until:
                raise TimeoutError("The operation timed out.")
            if on_interval is not None:
                on_interval()
            time.sleep(pause if until is None else max(0.0, min(pause, until - time.monotonic())))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _is_old(self, result: Any) -> bool:
        members = getattr(result, "results", None)
        if members is not None:
            return all(self._is_old(each) for each in members)
        return getattr(result, SIDE, None) is False

    def _restore_group(self, backend: Any, own: Any, group_id: str, cache: bool = True) -> Any:
        from celery.result import result_from_tuple

        found = own(group_id, cache=cache)
        if found is not None:
            return found
        saved = self._safely(lambda: self._door.backend.saved_group(group_id))
        return saved and result_from_tuple(saved, self._app)

    def _forget(self, backend: Any, own: Any, task_id: str) -> None:
        self._safely(lambda: self._door.backend.forget(task_id))
        own(task_id)

    # ---------------------------------------------------------------- told, when a call is sent

    def _on_task_call(self, backend: Any, own: Any, producer: Any, task_id: str) -> Any:
        return {} if self._collecting() is not None else own(producer, task_id)

    def _add_pending_result(self, backend: Any, own: Any, result: Any, **options: Any) -> Any:
        if self._collecting() is not None or getattr(result, SIDE, None):
            return result
        return own(result, **options)

    def _remove_pending_result(self, backend: Any, own: Any, result: Any) -> Any:
        return result if getattr(result, SIDE, None) else own(result)

    def _apply_chord(self, backend: Any, own: Any, header: Any, body: Any, **options: Any) -> None:
        box = self._collecting()
        if box is None:
            own(header, body, **options)
            return
        result = self._app.GroupResult(*header)
        if any(hasattr(each, "results") for each in result.results):
            self._keep_group(box, result)

    def _set_chord_size(self, backend: Any, own: Any, group_id: str, size: int) -> None:
        if (box := self._collecting()) is None:
            own(group_id, size)
        else:
            box.add("sizes", {"group_id": group_id, "size": size})

    def _save_group(self, backend: Any, own: Any, group_id: str, result: Any) -> Any:
        if (box := self._collecting()) is not None:
            return self._keep_group(box, result)
        if getattr(result, SIDE, None):
            return self._door.backend.save_group(group_id, result.as_tuple())
        return own(group_id, result)

    def _keep_group(self, box: Outbox, result: Any) -> None:
        members = result.as_tuple()
        box.add("groups", {"group_id": result.id, "members": members, "lasts": self._door.backend.lasts})

    def _safely(self, ask: Callable[[], Any]) -> Any:
        """The answer; None, and a line in the log, if the database does not give one."""
        try:
            return ask()
        except Exception as error:
            logger.warning("results of calls that went over the bridge cannot be asked for: %s", error)
            return None
