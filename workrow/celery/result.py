"""What became of a call: results by the ids of tasks, and groups of them."""

import time
from collections.abc import Iterator
from typing import Any, Self

from workrow.celery import states
from workrow.celery.current import Host, current_app, current_worker_task

NEVER_IN_A_TASK = """Never call result.get() within a task!
See https://docs.celeryq.dev/en/latest/userguide/tasks.html#avoid-launching-synchronous-subtasks
"""
LOOK_SECONDS = 0.05


class AsyncResult:
    """What a task comes to.

    Args:
        id: of the task.
        parent: the result that it follows.
    """

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
        self._kept: dict[str, Any] | None = None

    @property
    def task_id(self) -> str:
        return self.id

    @property
    def state(self) -> str:
        return str(self._meta()["status"])

    status = state

    @property
    def result(self) -> Any:
        return self._meta()["result"]

    info = result

    @property
    def traceback(self) -> str | None:
        return self._meta().get("traceback")

    @property
    def children(self) -> Any:
        return self._meta().get("children")

    @property
    def date_done(self) -> Any:
        return self._meta().get("date_done")

    def ready(self) -> bool:
        return self.state in states.READY_STATES

    def successful(self) -> bool:
        return self.state == states.SUCCESS

    def failed(self) -> bool:
        return self.state == states.FAILURE

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = LOOK_SECONDS,
        callback: Any = None,
        disable_sync_subtasks: bool = True,
        **_: Any,
    ) -> Any:
        """What it returned, once it has; `timeout` and `interval` in seconds.

        Raises:
            TimeoutError: it has not ended in time.
            RuntimeError: inside a task.
            Exception: what the task, or one before it, has raised.
        """
        if self.ignored:
            return None
        if disable_sync_subtasks:
            refuse_inside_a_task()
        if propagate:
            for node in reversed([*self._parents()]):
                node.maybe_throw()
        self.backend.wait(self, timeout, interval)
        return self.maybe_throw(propagate=propagate, callback=callback)

    wait = get

    def maybe_throw(self, propagate: bool = True, callback: Any = None) -> Any:
        """Raise what it has raised, if it has."""
        meta = self._meta()
        if propagate and meta["status"] in states.PROPAGATE_STATES:
            raise meta["result"]
        if callback is not None:
            callback(self.id, meta["result"])
        return meta["result"]

    maybe_reraise = maybe_throw

    def _parents(self) -> Iterator[Any]:
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def _meta(self) -> dict[str, Any]:
        if self._kept is None:
            meta = self.backend.meta(self.id)
            if meta["status"] not in states.READY_STATES:
                return meta  # type: ignore[no-any-return]
            if meta.get("children"):
                meta["children"] = [result_from_tuple(child, self.app) for child in meta["children"]]
            self._kept = meta
        return self._kept

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
        return self.id == (other.id if isinstance(other, AsyncResult) else other)


class GroupResult:
    """What the members of a group come to, in their order."""

    def __init__(
        self, id: str | None = None, results: Any = None, app: Host | None = None, parent: Any = None, **_: Any
    ) -> None:
        self.id = id
        self.results = list(results or ())
        self.app: Any = app or current_app()
        self.parent = parent

    def __len__(self) -> int:
        return len(self.results)

    def __bool__(self) -> bool:
        return bool(self.id or self.results)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __getitem__(self, index: int) -> Any:
        return self.results[index]

    def ready(self) -> bool:
        return all(each.ready() for each in self.results)

    def successful(self) -> bool:
        return all(each.successful() for each in self.results)

    def failed(self) -> bool:
        return any(each.failed() for each in self.results)

    def waiting(self) -> bool:
        return any(not each.ready() for each in self.results)

    def completed_count(self) -> int:
        return sum(int(each.successful()) for each in self.results)

    def maybe_throw(self, propagate: bool = True, callback: Any = None) -> None:
        for each in self.results:
            each.maybe_throw(propagate=propagate, callback=callback)

    maybe_reraise = maybe_throw

    def get(
        self, timeout: float | None = None, propagate: bool = True, disable_sync_subtasks: bool = True, **_: Any
    ) -> Any:
        """The list of what they return; the first failure in their order is raised."""
        return self.join(timeout, propagate, disable_sync_subtasks=disable_sync_subtasks)

    def join(
        self, timeout: float | None = None, propagate: bool = True, disable_sync_subtasks: bool = True, **_: Any
    ) -> list[Any]:
        if disable_sync_subtasks:
            refuse_inside_a_task()
        until = None if timeout is None else time.monotonic() + timeout
        found = []
        for each in self.results:
            left = None if until is None else max(0.0, until - time.monotonic())
            found.append(each.get(timeout=left, propagate=propagate, disable_sync_subtasks=disable_sync_subtasks))
        return found

    join_native = join

    def as_tuple(self) -> Any:
        return (self.id, self.parent and self.parent.as_tuple()), [each.as_tuple() for each in self.results]

    def save(self) -> Self:
        """Keep it, so that `restore` finds it by its id."""
        self.app.backend.save_group(self.id, self.as_tuple())
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GroupResult) and (other.id, other.results) == (self.id, self.results)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<GroupResult: {self.id} [{', '.join(each.id for each in self.results)}]>"


def result_from_tuple(told: Any, app: Host | None = None) -> Any:
    """The result that `as_tuple` was called of."""
    app = app or current_app()
    if not isinstance(told, (list, tuple)):
        return told
    (own, parent), members = told
    parent = result_from_tuple(parent, app) if parent else None
    if members is not None:
        return app.GroupResult(own, [result_from_tuple(each, app) for each in members], parent=parent)
    return app.AsyncResult(own, parent=parent)


def refuse_inside_a_task() -> None:
    """Raises RuntimeError inside a task: a worker whose slots all wait for others never ends."""
    if current_worker_task() is not None:
        raise RuntimeError(NEVER_IN_A_TASK)
