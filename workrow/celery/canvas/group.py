"""Signatures side by side."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from workrow.celery.canvas.parts import Parts, in_short
from workrow.celery.canvas.signature import FIXED, Signature, as_signature, maybe_signature
from workrow.celery.current import Host, current_worker_task


@Signature.register_type()
class group(Parts):
    """Side by side; it comes to the list of what they come to.

    Args:
        tasks: the signatures, or one iterable of them.
        options: of ``apply_async``.
    """

    def __init__(self, *tasks: Any, **options: Any) -> None:
        app = options.pop("app", None)
        given = tasks[0] if len(tasks) == 1 else tasks
        if isinstance(given, group):
            given = given.tasks
        elif isinstance(given, Signature):
            given = [given.clone()]
        members = [maybe_signature(task, app) for task in given]
        super().__init__("celery.group", (), {"tasks": members}, options, app=app)
        self["subtask_type"] = "group"

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: Host | None = None) -> "group":
        return group([maybe_signature(task, app) for task in d["kwargs"]["tasks"]], app=app, **d["options"])

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.apply_async(args, **options)

    def __len__(self) -> int:
        return len(self.tasks)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> "group":
        """Give each a later countdown than the one before, in seconds."""
        at = start
        for task in self.tasks:
            task.set(countdown=at)
            at = at + step if stop is None else min(at + step, stop)
        return self

    def apply_async(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        add_to_parent: bool = True,
        link: Any = None,
        link_error: Any = None,
        **options: Any,
    ) -> Any:
        if link is not None:
            raise TypeError("Cannot add link to group: use a chord")
        if link_error is not None:
            raise TypeError("Cannot add link to group: do that on individual tasks")
        if self.app.conf.task_always_eager:
            return self.apply(args, kwargs, **options)
        if not self.tasks:
            return self.freeze()
        fixed = {name: value for name, value in self.options.items() if name in FIXED}
        options = {**self.options, **options, **fixed}
        group_id = options["group_id"] = options.pop("task_id", None) or str(uuid4())
        chord = options.pop("chord", None)
        for name in ("group_index", "add_to_parent"):
            options.pop(name, None)
        frozen = [*self._frozen(self.tasks, group_id, options.get("root_id"))]
        if chord is None:
            chord = next((task.options["chord"] for task, _ in frozen if task.options.get("chord")), None)
        with self.app.together():
            if chord is not None:
                self.app.backend.set_chord_size(group_id, sum(parts_of(task) for task, _ in frozen))
            for index, (task, _) in enumerate(frozen):
                told = {**options, "chord": chord} if chord is not None else options
                task.apply_async(args=args, kwargs=kwargs, add_to_parent=False, group_index=index, **told)
        result = self.app.GroupResult(group_id, [each for _, each in frozen])
        if len(frozen) == 1 and hasattr(result.results[0], "results"):
            result = result.results[0]
        parent = current_worker_task()
        if add_to_parent and parent is not None:
            parent.add_trail(result)
        return result

    def apply(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        """Run its members here and now, one after the other."""
        if not self.tasks:
            return self.freeze()
        options = {**self.options, **options}
        group_id = options.pop("task_id", None) or str(uuid4())
        members = [task for task, _ in self._frozen(self.tasks, group_id, None)]
        return self.app.GroupResult(group_id, [task.apply(args, kwargs, **options) for task in members])

    def _frozen(self, tasks: Any, group_id: str, root_id: str | None) -> Iterator[tuple[Any, Any]]:
        for each in tasks:
            task = maybe_signature(each, self._app).clone()
            if isinstance(task, group):
                yield from self._frozen(task.tasks, group_id, root_id)
            else:
                yield task, task.freeze(group_id=group_id, root_id=root_id)

    def set_immutable(self, immutable: bool) -> None:
        for task in self.tasks:
            task.set_immutable(immutable)

    def link(self, callback: Any) -> Any:
        """The first of them calls it, without its result."""
        return self.tasks[0].link(as_signature(callback).clone().set(immutable=True))

    def link_error(self, errback: Any) -> Any:
        """Each of them calls it when it fails."""
        return tuple(task.link_error(as_signature(errback).clone()) for task in self.tasks)

    def stamp(self, visitor: Any = None, append_stamps: bool = False, **headers: Any) -> None:
        """Each of them; see `Signature.stamp`."""
        visited = None if visitor is None else visitor.on_group_start(self, **headers) or {}
        headers = self._stamps(visited, append_stamps, headers)
        self.stamp_links(visitor, append_stamps, **headers)
        self.tasks = [maybe_signature(task, self._app) for task in self.tasks]
        for task in self.tasks:
            task.stamp(visitor, append_stamps, **headers)
        if visitor is not None:
            visitor.on_group_end(self, **headers)

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        options = self.options
        own_id = options.setdefault("task_id", group_id or str(uuid4()))
        told = {"group_id": group_id, "chord": chord, "group_index": group_index}
        options.update({name: value for name, value in told.items() if value is not None})
        root_id = options.setdefault("root_id", root_id)
        parent_id = options.setdefault("parent_id", parent_id)
        waiting, flat, results = deque(self.tasks), list[Any](), list[Any]()
        while waiting:
            task = maybe_signature(waiting.popleft(), self._app).clone()
            if isinstance(task, group):
                waiting.extendleft(task.tasks)  # which turns them round: so does Celery
                continue
            ids = {"group_id": group_id, "root_id": root_id, "parent_id": parent_id}
            results.append(task.freeze(chord=chord, group_index=len(flat), **ids))
            flat.append(task)
        self.tasks = flat
        return self.app.GroupResult(own_id, results)

    _freeze = freeze

    def __repr__(self) -> str:
        if not self.tasks:
            return "group(<empty>)"
        return in_short(self.tasks[0]["task"], f"group({[*self.tasks]!r})")


def unrolled(task: Any) -> Any:
    """A group of one is that one."""
    return maybe_signature(task.tasks[0]) if isinstance(task, group) and len(task.tasks) == 1 else task


def parts_of(task: Any) -> int:
    """How many ends of tasks a chord waits for because of this member of its header."""
    kind = task.get("subtask_type")
    if kind == "group":
        return sum(map(parts_of, task.tasks))
    if kind == "chain":
        return next((size for size in map(parts_of, reversed(task.tasks)) if size), 0)
    if kind == "chord":
        return parts_of(task.body)
    return 1
