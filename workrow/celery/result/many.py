"""What became of many calls."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from workrow.celery import states
from workrow.celery.current import Host, current_app
from workrow.celery.exceptions import ImproperlyConfigured, TimeoutError
from workrow.celery.result.base import Callbacks, ResultBase
from workrow.celery.result.joining import assert_will_not_block
from workrow.celery.result.single import LOOK_SECONDS

LOOK_SHARE = 4
"""How much longer than a look at many results is the pause after it, at least."""


class ResultSet(ResultBase):
    """Some results, in their order.

    Args:
        results: of tasks or groups.
    """

    def __init__(self, results: Iterable[Any], app: Host | None = None, **_: Any) -> None:
        self.results = list(results)
        self._app = app
        self._callbacks = Callbacks()
        self._unknown: set[Any] = set()

    @property
    def app(self) -> Any:
        return self._app or (self.results[0].app if self.results else None) or current_app()

    @property
    def backend(self) -> Any:
        return self.app.backend

    @property
    def supports_native_join(self) -> Any:
        return all(each.supports_native_join for each in self.results) if self.results else None

    # ---------------------------------------------------------------- which

    def add(self, result: Any) -> None:
        """Add it, or the result of this id, if it is not in it."""
        result = self._result(result)
        if result not in self.results:
            self.results.append(result)

    def update(self, results: Iterable[Any]) -> None:
        """Add each that is not in it."""
        for each in results:
            self.add(each)

    def remove(self, result: Any) -> None:
        """Take it, or the result of this id, out. Raises KeyError: it is not in it."""
        result = self._result(result)
        if result not in self.results:
            raise KeyError(result)
        self.results.remove(result)

    def discard(self, result: Any) -> None:
        """Take it, or the result of this id, out, if it is in it."""
        result = self._result(result)
        if result in self.results:
            self.results.remove(result)

    def clear(self) -> None:
        """Take all out."""
        self.results[:] = []

    def _result(self, told: Any) -> Any:
        return self.app.AsyncResult(told) if isinstance(told, str) else told

    # ---------------------------------------------------------------- how far

    def ready(self) -> bool:
        return all(each.ready() for each in self.results)

    def successful(self) -> bool:
        return all(each.successful() for each in self.results)

    def failed(self) -> bool:
        return any(each.failed() for each in self.results)

    def waiting(self) -> bool:
        return any(not each.ready() for each in self.results)

    def completed_count(self) -> int:
        """How many were successful."""
        return sum(int(each.successful()) for each in self.results)

    def maybe_throw(self, callback: Callable[[str, Any], Any] | None = None, propagate: bool = True) -> None:
        """Raise what the first of them has raised that has failed."""
        for each in self.results:
            each.maybe_throw(callback=callback, propagate=propagate)

    maybe_reraise = maybe_throw

    # ---------------------------------------------------------------- waiting

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = LOOK_SECONDS,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> Any:
        """The list of what they return: `join_native`, or `join` where that cannot be."""
        join = self.join_native if self.supports_native_join else self.join
        return join(
            timeout=timeout, propagate=propagate, interval=interval, callback=callback, no_ack=no_ack,
            on_message=on_message, disable_sync_subtasks=disable_sync_subtasks, on_interval=on_interval,
        )  # fmt: skip

    def join(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = LOOK_SECONDS,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> list[Any]:
        """The list of what they return: wait for each after the other.

        Args:
            timeout: seconds, for all of them.
            propagate: raise what the first in their order raised that failed; otherwise exceptions are in the list.
            interval: seconds between two looks.
            callback: gets the id and the result of each, and the list stays empty.
            on_interval: is called between two looks.
            disable_sync_subtasks: refuse inside a task.

        Raises:
            TimeoutError: one of them has not ended in time.
            RuntimeError: inside a task.
            ImproperlyConfigured: there is an `on_message`: nothing tells the messages of many results.
        """
        self._check(disable_sync_subtasks, on_message)
        until = None if timeout is None else time.monotonic() + timeout
        found = []
        for each in self.results:
            left = None if until is None else max(0.0, until - time.monotonic())
            value = each.get(
                timeout=left, propagate=propagate, interval=interval, on_interval=on_interval,
                disable_sync_subtasks=disable_sync_subtasks,
            )  # fmt: skip
            if callback is None:
                found.append(value)
            else:
                callback(each.id, value)
        return found

    def join_native(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = LOOK_SECONDS,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Callable[[], Any] | None = None,
        disable_sync_subtasks: bool = True,
    ) -> list[Any] | None:
        """`join`, which takes each when it has ended: whatever fails first is raised. None with a `callback`."""
        self._check(disable_sync_subtasks, on_message)
        found: dict[Any, Any] = {}
        groups = (each for each in dict.fromkeys(self.results) if isinstance(each, ResultSet))
        tasks = {each.id: each for each in self.results if not isinstance(each, ResultSet)}
        for id, meta in self.iter_native(timeout, interval, on_interval=on_interval):
            if isinstance(meta, list):
                options = {"timeout": timeout, "interval": interval, "on_interval": on_interval}
                value: Any = [each.get(propagate=propagate, disable_sync_subtasks=False, **options) for each in meta]
            else:
                value = meta["result"]
                if propagate and meta["status"] in states.PROPAGATE_STATES:
                    raise value
            if callback is not None:
                callback(id, value)
            found[next(groups) if isinstance(meta, list) else tasks[id]] = value  # groups may have the same id
        return [found[each] for each in self.results] if callback is None else None

    def iter_native(
        self,
        timeout: float | None = None,
        interval: float = LOOK_SECONDS,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Callable[[], Any] | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """The id and what is kept of each, when it has ended; of a group in it the id and its results, at once.

        Raises:
            TimeoutError: one of them has not ended in time.
        """
        self._check(False, on_message)
        until = None if timeout is None else time.monotonic() + timeout
        waiting = []
        for each in dict.fromkeys(self.results):
            if isinstance(each, ResultSet):
                yield each.id, each.results
            else:
                waiting.append(each)
        while waiting:
            asked = time.monotonic()
            unknown = [each.id for each in waiting if each._kept is None]
            metas = self.backend.metas(unknown) if unknown else {}
            for each in waiting[:]:
                meta = each._know(metas[each.id]) if each._kept is None else each._kept
                if meta["status"] in states.READY_STATES:
                    waiting.remove(each)
                    yield each.id, {**meta, "task_id": each.id}
            if not waiting:
                return
            now = time.monotonic()
            if until is not None and now >= until:
                raise TimeoutError("The operation timed out.")
            if on_interval is not None:
                on_interval()
            pause = max(interval, LOOK_SHARE * (now - asked))
            time.sleep(pause if until is None else min(pause, until - now))

    def _check(self, refuse_inside_a_task: bool, on_message: Any) -> None:
        if refuse_inside_a_task:
            assert_will_not_block()
        if on_message is not None:
            raise ImproperlyConfigured("on_message is for the get() of one task's result: leave it out for many")

    def then(self, callback: Callable[[Any], Any], on_error: Any = None, weak: bool = False) -> Self:
        """Call this with the set as soon as each of its results knows that its task has ended."""
        self._callbacks.add(callback, on_error, weak)
        self._unknown = set(self.results)
        for each in self.results:
            each.then(self._known)
        return self

    def _known(self, result: Any) -> None:
        self._unknown.discard(result)
        if not self._unknown:
            self._callbacks.call(self)

    # ---------------------------------------------------------------- what is done to them

    def forget(self) -> None:
        """Delete what is kept of each."""
        for each in self.results:
            each.forget()

    def revoke(
        self,
        connection: Any = None,
        terminate: bool = False,
        signal: str | None = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Tell the workers to run none of them; see `AsyncResult.revoke`."""
        self.app.control.revoke(
            [each.id for each in self.results],
            connection=connection, terminate=terminate, signal=signal, reply=wait, timeout=timeout,
        )  # fmt: skip

    # ---------------------------------------------------------------- itself

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __getitem__(self, index: int) -> Any:
        return self.results[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResultSet) and other.results == self.results

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(each.id for each in self.results)}]>"
