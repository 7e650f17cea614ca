"""Signatures one after the other, each with the result of the one before."""

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from typing import Any

from workrow.celery.canvas.chord import _chord
from workrow.celery.canvas.group import group, unrolled
from workrow.celery.canvas.links import listed
from workrow.celery.canvas.parts import Parts, in_short
from workrow.celery.canvas.signature import Signature, maybe_signature
from workrow.celery.current import Host


@Signature.register_type("chain")
class _chain(Parts):
    """What `chain` makes.

    Args:
        tasks: the signatures, or one list of them.
        options: of ``apply_async``.
    """

    def __init__(self, *tasks: Any, **options: Any) -> None:
        app = options.pop("app", None)
        if len(tasks) == 1 and not isinstance(tasks[0], Signature):
            (tasks,) = tasks
        super().__init__("celery.chain", (), {"tasks": [*tasks]}, app=app, options=options)
        self["subtask_type"] = "chain"

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: Host | None = None) -> "_chain":
        tasks = [maybe_signature(task, app) for task in d["kwargs"]["tasks"]]
        return _chain(*tasks, app=app, **d["options"])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs) if self.tasks else None

    def clone(self, *args: Any, **kwargs: Any) -> Any:
        copy = super().clone(*args, **kwargs)
        copy.tasks = [task.clone() for task in copy.tasks]
        return copy

    def unchain_tasks(self) -> list[Any]:
        """Copies of the parts; the links of the chain are those of the last one, its errbacks those of each."""
        tasks = [task.clone() for task in self.tasks]
        for callback in listed(self.options.get("link")):
            tasks[-1].link(callback)
        for errback in listed(self.options.get("link_error")):
            for task in tasks:
                task.link_error(errback)
        return tasks

    def stamp(self, visitor: Any = None, append_stamps: bool = False, **headers: Any) -> None:
        """Each part of it; see `Signature.stamp`."""
        visited = None if visitor is None else visitor.on_chain_start(self, **headers) or {}
        headers = self._stamps(visited, append_stamps, headers)
        self.stamp_links(visitor, **headers)
        for task in self.tasks:
            task.stamp(visitor, append_stamps, **headers)
        if visitor is not None:
            visitor.on_chain_end(self, **headers)

    def apply_async(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        if not self.tasks:
            return None
        if self.app.conf.task_always_eager:
            return self.apply(args, kwargs, **options)
        return self.run(args, kwargs, **{**self.options, **options})

    def apply(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        link: Any = None,
        link_error: Any = None,
        task_id: str | None = None,
        **options: Any,
    ) -> Any:
        """Run its parts here and now, one after the other; raises what one before the last raises."""
        if not self.tasks:
            return None
        args, _, options = self._merge(args, None, options)
        *parts, last = self.unchain_tasks()
        for callback in listed(link):
            last.link(callback)
        for errback in listed(link_error):
            for part in (*parts, last):
                part.link_error(errback)
        options = {name: value for name, value in options.items() if name not in ("link", "link_error", "task_id")}
        before = None
        for part in parts:
            result = part.apply(args, kwargs, **options)
            result.parent, before = before, result
            args, kwargs = (result.get(disable_sync_subtasks=False),), None
        task_id = task_id or self.options.get("task_id")
        result = last.apply(args, kwargs, **options, **({"task_id": task_id} if task_id else {}))
        result.parent = before
        return result

    def run(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        group_id: str | None = None,
        chord: Any = None,
        task_id: str | None = None,
        link: Any = None,
        link_error: Any = None,
        root_id: str | None = None,
        group_index: int | None = None,
        **options: Any,
    ) -> Any:
        """Send the first part, which takes the others with it. The last one has the ids of the chain."""
        own = (*(args or ()), *self.args) if args and not self.immutable else self.args
        frozen = {"group_id": group_id, "chord": chord, "group_index": group_index}
        tasks, results = self.prepared(own, kwargs, root_id, task_id, frozen, link_error=link_error)
        if link:
            tasks[0].extend_list_option("link", link)
        first = tasks.pop()
        options.pop("parent_id", None)
        if tasks:
            options["chain"] = [*(options.get("chain") or ()), *(dict(task) for task in tasks)]
        first.apply_async(**options)
        return results[0]

    def prepared(
        self,
        args: Any,
        kwargs: Any,
        root_id: str | None,
        task_id: str | None,
        last: dict[str, Any],
        *,
        link_error: Any = None,
        clone: bool = True,
    ) -> tuple[list[Any], list[Any]]:
        """The parts and their results, the last one first: unpacked, with ids, and a group before something a chord."""
        waiting = [*self._steps(self.tasks, clone=clone)]
        if not clone:
            self.tasks = [*waiting]  # which have the ids from here on
        tasks: list[Any] = []
        results: list[Any] = []
        before: Any = None
        while waiting:
            task = waiting.pop()
            is_first = not waiting
            if clone:
                task = task.clone(args, kwargs) if is_first else task.clone()
            elif is_first:
                task.args = (*args, *task.args)
            if isinstance(task, group) and tasks:
                body = tasks.pop()
                result = results.pop()
                named = {} if not hasattr(result, "task_id") else {"task_id": result.task_id}
                task = _chord(task, body=body, root_id=root_id, app=self._app, **named)
            result = task.freeze(root_id=root_id) if tasks else task.freeze(task_id, root_id=root_id, **last)
            if before is not None and before.parent is None:
                before.parent = result
            for errback in listed(link_error):
                task.link_error(errback)
            tasks.append(task)
            results.append(result)
            before = result
            if isinstance(task, _chord):
                while before.parent is not None:
                    before = before.parent
        return tasks, results

    def _steps(self, tasks: list[Any], *, clone: bool) -> Iterator[Any]:
        """Its parts without chains among them; what stands in the body of a chord after its first part is one, too."""
        for each in tasks:
            task = unrolled(maybe_signature(each, self._app))
            if isinstance(task, _chain):
                yield from self._steps(task.tasks, clone=clone)
            elif isinstance(task, _chord) and isinstance(task.body, _chain) and task.body.tasks:
                task = task.clone() if clone else task
                task.body, *rest = task.body.unchain_tasks()
                yield task
                yield from self._steps(rest, clone=clone)
            else:
                yield task

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        last = {"group_id": group_id, "chord": chord, "group_index": group_index}
        _, results = self.prepared(self.args, self.kwargs, root_id, _id, last, clone=False)
        self.id = _id or results[0].id
        return results[0]

    _freeze = freeze

    def __repr__(self) -> str:
        if not self.tasks:
            return f"<{type(self).__name__.lstrip('_')}@{id(self):#x}: empty>"
        return in_short(self.tasks[0]["task"], " | ".join(map(repr, self.tasks)))


class chain(_chain):
    """``chain(a, b, c)`` is ``a | b | c``; ``chain()`` is empty."""

    def __new__(cls, *tasks: Any, **options: Any) -> Any:
        """What the parts make together, which need not be a chain."""
        if tasks and not options and (len(tasks) > 1 or not isinstance(tasks[0], Signature)):
            return reduce(or_, tasks[0] if len(tasks) == 1 else tasks, _chain())
        return super().__new__(cls)
