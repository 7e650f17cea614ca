"""A group, and what is given the list of its results."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from workrow.celery.canvas.group import group
from workrow.celery.canvas.links import listed
from workrow.celery.canvas.parts import in_short
from workrow.celery.canvas.signature import Signature, as_signature, maybe_signature, signature
from workrow.celery.current import Host


@Signature.register_type("chord")
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
        """Send the header, at the time that is said; the last of it to end sends the body."""
        group_id = header.options.get("task_id") or str(uuid4())
        root_id = body.options.get("root_id")
        when = {name: options.pop(name) for name in ("countdown", "eta") if name in options}
        body = linked(body, listed(options.pop("link", None)), listed(options.pop("link_error", None)))
        body.options.update({name: value for name, value in options.items() if name != "parent_id"})
        last = body.freeze(task_id, root_id=root_id)
        for name in ("chain", "chord", "group_index"):
            options.pop(name, None)
        result = header.freeze(group_id=group_id, chord=body, root_id=root_id)
        if len(result):
            with self.app.together():
                self.app.backend.apply_chord(result, body)
                result = header.apply_async(args, kwargs, task_id=group_id, **options, **when)
        else:
            with self.app.together():
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
                task.link_error(as_signature(errback).clone())
            elif isinstance(task, _chord):
                task.link_error(errback)
        self.body.link_error(errback)
        return errback

    def stamp(self, visitor: Any = None, append_stamps: bool = False, **headers: Any) -> None:
        """Its header; the body only with a visitor, as in Celery. See `Signature.stamp`."""
        visited = None if visitor is None else visitor.on_chord_header_start(self, **headers) or {}
        headers = self._stamps(visited, append_stamps, headers)
        self.stamp_links(visitor, append_stamps, **headers)
        for task in self.tasks.tasks if isinstance(self.tasks, group) else self.tasks:
            task.stamp(visitor, append_stamps, **headers)
        if visitor is None:
            return
        visitor.on_chord_header_end(self, **headers)
        if self.body is not None:
            headers = self._stamps(visitor.on_chord_body(self, **headers) or {}, append_stamps, headers)
            self.body.stamp(visitor, append_stamps, **headers)

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
        body = self.body
        if not body:
            return f"<chord without body: {header!r}>"
        if body.get("subtask_type") != "chain":
            return "%" + in_short(body["task"], body.reprcall(header))
        rest = body.tasks[1:]
        text = " | ".join([body.tasks[0].reprcall(header), *map(repr, rest)])
        return in_short(body.tasks[0]["task"], f"%({text})")


chord = _chord


def linked(body: Any, callbacks: list[Any], errbacks: list[Any]) -> Any:
    """A body with more links and errbacks; what it was made of stays as it is."""
    if callbacks or errbacks:
        body = copied(body)
    for callback in callbacks:
        callback = copied(as_signature(callback, body._app))
        if isinstance(body, group) and not body.tasks:
            body.append_to_list_option("link", callback)
        else:
            body.link(callback)
    for errback in errbacks:
        if isinstance(body, group):
            add_errback(body, as_signature(errback, body._app))
        else:
            body.append_to_list_option("link_error", errback)
    return body


def copied(sig: Any) -> Any:
    """A copy, with copies of what a link to it is a link of."""
    copy = sig.clone()
    if isinstance(copy, group):
        copy.tasks = [copied(as_signature(task)) for task in copy.tasks]
    elif isinstance(copy, _chord) and copy.body is not None:
        copy.body = copied(copy.body)
    return copy


def add_errback(sig: Any, errback: Any, alone: bool = True) -> None:
    """An errback of a body that is a group: of its members, unless it runs by itself and has some of its own."""
    if isinstance(sig, _chord):
        add_errback(sig.body, errback)
    elif not isinstance(sig, group):
        sig.link_error(errback.clone())
    elif alone and sig.options.get("link_error") is not None:
        sig.append_to_list_option("link_error", errback.clone())
    else:
        for task in sig.tasks:
            add_errback(task, errback, alone=False)


def members_of(header: Any, app: Host | None) -> list[Any]:
    """A header as a list: of a group or a chain its parts."""
    if isinstance(header, dict):
        header = maybe_signature(header, app)
        return header.tasks if header["subtask_type"] in ("group", "chain") else [header]
    return [signature(task, app=app) for task in header]
