"""A group, and what is given the list of its results."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from workrow.celery.canvas.group import group
from workrow.celery.canvas.signature import Signature, listed, maybe_signature, signature
from workrow.celery.current import Host


@Signature.register
class _chord(Signature):
    """A header, side by side, and then the body.

    Args:
        header: signatures, or a group.
        body: takes the list of their results.
        options: of ``apply_async``.
    """

    def __init__(
        self,
        header: Any,
        body: Any = None,
        task: str = "celery.chord",
        args: Any = None,
        kwargs: Any = None,
        app: Host | None = None,
        **options: Any,
    ) -> None:
        header = members_of(header, app)
        parts = {"kwargs": {}, **(kwargs or {}), "header": header, "body": maybe_signature(body, app)}
        super().__init__(task, args, parts, app=app, **options)
        self["subtask_type"] = "chord"

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: Host | None = None) -> "_chord":
        rest = dict(d["kwargs"])
        header, body = rest.pop("header"), rest.pop("body")
        made = _chord(header, body, args=d.get("args"), kwargs=rest, app=app, **d["options"])
        made.immutable = bool(d.get("immutable"))
        return made

    @property
    def tasks(self) -> Any:
        return self.kwargs["header"]

    @tasks.setter
    def tasks(self, value: Any) -> None:
        self.kwargs["header"] = value

    @property
    def body(self) -> Any:
        return self.kwargs["body"]

    @body.setter
    def body(self, value: Any) -> None:
        self.kwargs["body"] = value

    @property
    def app(self) -> Host:
        return self._app or (self.body.app if self.body is not None else super().app)

    def __call__(self, body: Any = None, **options: Any) -> Any:
        return self.apply_async((), {"body": body} if body else {}, **options)

    def clone(self, *args: Any, **kwargs: Any) -> Any:
        copy = super().clone(*args, **kwargs)
        header = copy.tasks
        copy.tasks = header.clone() if isinstance(header, group) else [task.clone() for task in header]
        if copy.body is not None:
            copy.body = copy.body.clone()
        return copy

    def apply_async(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, task_id: str | None = None, **options: Any
    ) -> Any:
        kwargs = dict(kwargs or {})
        args = (*(args or ()), *self.args) if args and not self.immutable else self.args
        if self.app.conf.task_always_eager:
            return self.apply(args, kwargs, task_id=task_id, **options)
        body = (kwargs.pop("body", None) or self.body).clone()
        header = self.tasks.clone() if isinstance(self.tasks, group) else group(self.tasks, app=self._app)
        options = {**self.options, **options}
        task_id = task_id or options.pop("task_id", None)
        options.pop("task_id", None)
        return self.run(header, body, args, kwargs, task_id=task_id, **options)

    def apply(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        propagate: bool = True,
        body: Any = None,
        **options: Any,
    ) -> Any:
        """Run the header here and now, and then the body.

        Args:
            propagate: raise what a task of the header raises; otherwise the body has it in its list.
        """
        kwargs = dict(kwargs or {})
        body = (kwargs.pop("body", None) or body or self.body).clone()
        for callback in listed(options.pop("link", None)):
            body.link(callback)
        header = group(members_of(self.tasks, self._app), app=self._app).apply((*(args or ()), *self.args), kwargs)
        given = header.get(propagate=propagate, disable_sync_subtasks=False)
        return body.apply((given,), **{**self.options, **options})

    def run(
        self, header: Any, body: Any, args: Any, kwargs: dict[str, Any], task_id: str | None = None, **options: Any
    ) -> Any:
        """Send the header; the last of it to end sends the body."""
        group_id = header.options.get("task_id") or str(uuid4())
        root_id = body.options.get("root_id")
        body.options.update(options)
        last = body.freeze(task_id, root_id=root_id)
        for name in ("chain", "chord", "group_index", "link", "link_error"):
            options.pop(name, None)
        result = header.freeze(group_id=group_id, chord=body, root_id=root_id)
        if len(result):
            with self.app.together():
                self.app.backend.apply_chord(result, body)
                result = header.apply_async(args, kwargs, task_id=group_id, **options)
        else:
            body.delay([])
        last.parent = result
        return last

    def set_immutable(self, immutable: bool) -> None:
        """Of the header alone."""
        for task in self.tasks.tasks if isinstance(self.tasks, group) else self.tasks:
            task.set_immutable(immutable)

    def link(self, callback: Any) -> Any:
        self.body.link(callback)
        return callback

    def link_error(self, errback: Any) -> Any:
        """The body's; of chords in the header too."""
        members = self.tasks.tasks if isinstance(self.tasks, group) else self.tasks
        for task in members:
            if self.app.conf.task_allow_error_cb_on_chord_header:
                task.link_error(errback.clone())
            elif isinstance(task, _chord):
                task.link_error(errback)
        self.body.link_error(errback)
        return errback

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        if not isinstance(self.tasks, group):
            self.tasks = group(self.tasks, app=self._app)
        header = self.tasks.freeze(parent_id=parent_id, root_id=root_id, chord=self.body)
        if self.body is None:
            return None
        body = self.body.freeze(_id, root_id=root_id, chord=chord, group_id=group_id, group_index=group_index)
        first = body
        while first.parent is not None:
            first = first.parent
        first.parent = header
        self.id = body.id
        return body

    _freeze = freeze

    def __repr__(self) -> str:
        header = self.tasks.tasks if isinstance(self.tasks, group) else self.tasks
        return f"chord({header!r}, {self.body!r})"


chord = _chord


def members_of(header: Any, app: Host | None) -> list[Any]:
    """A header as a list: of a group or a chain its parts."""
    if isinstance(header, dict):
        header = maybe_signature(header, app)
        return header.tasks if header["subtask_type"] in ("group", "chain") else [header]
    return [signature(task, app=app) for task in header]
