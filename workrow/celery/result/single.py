"""What became of one call."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NoReturn, Self

from workrow.celery import states
from workrow.celery.current import Host, current_app
from workrow.celery.exceptions import TimeoutError
from workrow.celery.result.base import Callbacks, ResultBase, result_from_tuple
from workrow.celery.result.graph import Dependencies
from workrow.celery.result.joining import assert_will_not_block

LOOK_SECONDS, BEFORE_SECONDS = 0.05, 1.0
"""How often who is told of each state looks; and who waits for one result, whether one before it has failed, as in
Celery."""


def _kept(key: str) -> Any:
    return property(lambda self: self._meta().get(key))


class AsyncResult(Dependencies, ResultBase):
    """What a task comes to.

    Args:
        id: of the task.
        parent: the result that it follows.
    """

    existing = False
    """The call was not sent, and this is the result of the one that there was: see ``unique=``."""
    TimeoutError = TimeoutError

    def __init__(
        self, id: str, backend: Any = None, task_name: str | None = None, app: Host | None = None, parent: Any = None
    ) -> None:
        if id is None:
            raise ValueError(f"AsyncResult requires valid id, not {type(id)}")
        self.id = id
        self.app: Any = app or current_app()
        self.backend = backend or self.app.backend
        self.parent = parent
        self.ignored = False
        self._forgotten = False
        self._kept: dict[str, Any] | None = None
        self._callbacks = Callbacks()

    @property
    def task_id(self) -> str:
        return str(self.id)

    @task_id.setter
    def task_id(self, id: str) -> None:
        self.id = id

    # ---------------------------------------------------------------- what is kept of it

    @property
    def state(self) -> str:
        return str(self._meta()["status"])

    status = state

    @property
    def result(self) -> Any:
        """What it returned, or the exception that it raised; before that, what `update_state` told."""
        return self._meta()["result"]

    info = result

    @property
    def traceback(self) -> str | None:
        return self._meta().get("traceback")

    @property
    def children(self) -> Any:
        """Results of the calls that the task has made; None: it has not ended."""
        return self._meta().get("children")

    @property
    def date_done(self) -> datetime | None:
        done = self._meta().get("date_done")
        return datetime.fromisoformat(done) if isinstance(done, str) else done

    name = _kept("name")
    """Of the task; as those below it is None without the setting ``result_extended``."""
    args = _kept("args")
    kwargs = _kept("kwargs")
    worker = _kept("worker")
    retries = _kept("retries")
    queue = _kept("queue")

    @property
    def supports_native_join(self) -> bool:
        return True

    def exists(self) -> bool:
        """Whether anything is known of it."""
        return self.state != states.PENDING

    def ready(self) -> bool:
        return self.state in states.READY_STATES

    def successful(self) -> bool:
        return self.state == states.SUCCESS

    def failed(self) -> bool:
        return self.state == states.FAILURE

    # ---------------------------------------------------------------- waiting

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float | None = None,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, Any], Any] | None = None,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
        disable_sync_subtasks: bool = True,
        EXCEPTION_STATES: Any = states.EXCEPTION_STATES,  # noqa: N803
        PROPAGATE_STATES: Any = states.PROPAGATE_STATES,  # noqa: N803
    ) -> Any:
        """What it returned, once it has.

        Args:
            timeout: seconds; None is without end.
            propagate: raise what the task has raised; otherwise it is returned.
            interval: seconds between two looks; None: a fiftieth of what it has waited, from 2 ms to one second.
            follow_parents: raise what a task before it has raised, too.
            callback: gets the id and the result.
            on_message: gets what is kept of it, as often as that changes.
            on_interval: is called between two looks.
            disable_sync_subtasks: refuse inside a task.
            no_ack, EXCEPTION_STATES, PROPAGATE_STATES: Celery takes them, and they change nothing, there and here.

        Raises:
            TimeoutError: it has not ended in time.
            RuntimeError: inside a task.
            Exception: what the task, or one before it, has raised.
        """
        if self.ignored or (self._forgotten and not self.ready()):
            return None
        if disable_sync_subtasks:
            assert_will_not_block()
        before = reversed([*self._parents()]) if propagate and follow_parents else ()
        self._await([*before], timeout, interval, on_message, on_interval)
        return self.maybe_throw(propagate=propagate, callback=callback)

    wait = get

    def _await(self, before: list[Any], timeout: float | None, interval: float | None, *on: Any) -> None:
        """Wait for the end; what one of ``before`` has raised is raised now and then meanwhile, as in Celery."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            for node in before:
                node.maybe_throw()
            left = None if until is None else max(0.0, until - time.monotonic())
            now = min(BEFORE_SECONDS, BEFORE_SECONDS if left is None else left) if before else left
            try:
                if on == (None, None):
                    self.backend.wait(self, now, interval)
                else:
                    self._watch(now, LOOK_SECONDS if interval is None else interval, *on)
            except TimeoutError:
                if now == left:
                    raise
            else:
                return

    def _watch(self, timeout: float | None, interval: float, on_message: Any, on_interval: Any) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        told: Any = None
        while True:
            meta = {**self._meta(), "task_id": self.id}
            if on_message is not None and meta != told and meta["status"] != states.PENDING:
                on_message(meta)
                told = meta
            if meta["status"] in states.READY_STATES:
                return
            if until is not None and time.monotonic() >= until:
                raise TimeoutError("The operation timed out.")
            if on_interval is not None:
                on_interval()
            time.sleep(interval if until is None else max(0.0, min(interval, until - time.monotonic())))

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> Any:
        """Raise what it has raised, if it has."""
        meta = self._meta()
        if propagate and meta["status"] in states.PROPAGATE_STATES:
            raise meta["result"]
        if callback is not None:
            callback(self.id, meta["result"])
        return meta["result"]

    maybe_reraise = maybe_throw

    def throw(self, error: BaseException) -> NoReturn:
        """Raise this."""
        raise error

    def then(self, callback: Callable[[Any], Any], on_error: Any = None, weak: bool = False) -> Self:
        """Call this with the result, as soon as the result knows that the task has ended: when it is asked, or now.

        Args:
            on_error: gets what the callback raises.
            weak: forget the callback when nobody else knows it.
        """
        self._callbacks.add(callback, on_error, weak)
        if self._kept is not None:
            self._callbacks.call(self)
        return self

    # ---------------------------------------------------------------- what is done to it

    def forget(self) -> None:
        """Delete what is kept of it, and of those before it."""
        if self.parent is not None:
            self.parent.forget()
        self._kept = None
        self._forgotten = True
        self.backend.forget(self.id)

    def revoke(
        self,
        connection: Any = None,
        terminate: bool = False,
        signal: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Tell the workers not to run it; see ``app.control.revoke``.

        Args:
            terminate: end it, if it runs.
            signal: how.
            wait: for the replies of workers, up to `timeout` seconds.
        """
        self.app.control.revoke(
            self.id, connection=connection, terminate=terminate, signal=signal, reply=wait, timeout=timeout
        )

    def revoke_by_stamped_headers(
        self,
        headers: dict[str, Any],
        connection: Any = None,
        terminate: bool = False,
        signal: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Tell the workers not to run what has these stamps; see `revoke`."""
        self.app.control.revoke_by_stamped_headers(
            headers, connection=connection, terminate=terminate, signal=signal, reply=wait, timeout=timeout
        )

    # ---------------------------------------------------------------- itself

    def _parents(self) -> Iterator[Any]:
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def _meta(self) -> dict[str, Any]:
        return self._know(self.backend.meta(self.id)) if self._kept is None else self._kept

    def _know(self, meta: dict[str, Any]) -> dict[str, Any]:
        if meta["status"] in states.READY_STATES:
            if meta.get("children"):
                meta["children"] = [result_from_tuple(child, self.app) for child in meta["children"]]
            self._kept = meta
            self._callbacks.call(self)
        return meta

    def as_tuple(self) -> Any:
        return (self.id, self.parent and self.parent.as_tuple()), None

    def as_list(self) -> list[str]:
        return [self.id, *(self.parent.as_list() if self.parent else ())]

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return bool(self.id == (other.id if isinstance(other, AsyncResult) else other))

    def __reduce__(self) -> Any:
        return type(self), (self.id, None, None, None, self.parent)
