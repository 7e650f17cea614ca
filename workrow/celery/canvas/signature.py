"""A call that can be kept, sent and changed: what ``task.s(…)`` gives."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from operator import itemgetter
from typing import Any, ClassVar, Self, TypeVar
from uuid import uuid4

from workrow.celery.canvas.stamping import Stamped
from workrow.celery.current import Host, current_app
from workrow.celery.exceptions import NotRegistered

FIXED = frozenset({"group_id", "stamped_headers"})
"""Options that, once set, no later call replaces."""


Kind = TypeVar("Kind", bound="type[Signature]")


class Signature(Stamped):
    """The task, its arguments and the options of its call; a dict, so that JSON holds it.

    Args:
        task: the task or its name; or a mapping that was a signature.
        args: positional arguments. Those of a later call go before them.
        kwargs: keyword arguments. Those of a later call go over them.
        options: of ``apply_async``; ``ex`` are more of them.
        subtask_type: of a canvas: ``"chain"``, ``"group"``, …
        immutable: it takes no arguments but its own.
    """

    TYPES: ClassVar[dict[str, type["Signature"]]] = {}
    _app: Host | None = None
    _type: Any = None

    task = property(itemgetter("task"))
    kwargs = property(itemgetter("kwargs"))
    options = property(itemgetter("options"))
    subtask_type = property(itemgetter("subtask_type"))

    def __init__(
        self,
        task: Any = None,
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        type: Any = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: Host | None = None,
        **ex: Any,
    ) -> None:
        self._app, self._type = app, type
        if isinstance(task, dict):
            super().__init__(task)
            return
        name = getattr(task, "name", None)
        if name is not None:
            self._type = task
        super().__init__(
            task=name or task,
            args=tuple(args or ()),
            kwargs=kwargs or {},
            options={**(options or {}), **ex},
            subtask_type=subtask_type,
            immutable=immutable,
        )

    @classmethod
    def register_type(cls, name: str | None = None) -> Callable[[Kind], Kind]:
        """A decorator of canvases: `from_dict` makes one of what has this ``subtask_type``; None: its class's name."""

        def register(kind: Kind) -> Kind:
            cls.TYPES[name or kind.__name__] = kind
            return kind

        return register

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: Host | None = None) -> "Signature":
        """What a mapping describes, for example one that comes from JSON."""
        kind = cls.TYPES.get(d.get("subtask_type") or "")
        if kind is not None and kind is not cls:
            return kind.from_dict(dict(d), app=app)
        return Signature(dict(d), app=app)

    @property
    def app(self) -> Host:
        return self._app or current_app()

    @property
    def type(self) -> Any:
        """The task. Raises NotRegistered."""
        return self._type or self.app.tasks[self["task"]]

    @property
    def args(self) -> Any:
        return self["args"]

    @args.setter
    def args(self, value: Any) -> None:
        self["args"] = value

    @property
    def immutable(self) -> bool:
        return bool(self["immutable"])

    @immutable.setter
    def immutable(self, value: bool) -> None:
        self["immutable"] = value

    @property
    def id(self) -> Any:
        return self.options.get("task_id")

    @id.setter
    def id(self, value: str | None) -> None:
        self.options["task_id"] = value

    @property
    def root_id(self) -> Any:
        return self.options.get("root_id")

    @property
    def parent_id(self) -> Any:
        return self.options.get("parent_id")

    @property
    def name(self) -> str:
        return str(self["task"])

    def AsyncResult(self, task_id: str, **options: Any) -> Any:
        """The result of a call of its task."""
        return self.app.AsyncResult(task_id, **options)

    # ---------------------------------------------------------------- calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here and now."""
        args, kwargs, _ = self._merge(args, kwargs, None)
        return self.type(*args, **kwargs)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """`apply_async` with these arguments."""
        return self.apply_async(args, kwargs)

    def apply_async(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send it, also to an app that has the task where this one has not."""
        args, kwargs, options = self._merge(args, kwargs, options)
        try:
            task = self.type
        except NotRegistered:
            return self.app.send_task(self["task"], args, kwargs, **options)
        return task.apply_async(args, kwargs, **options)

    def apply(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        """Run it here and now; gives an `EagerResult`."""
        args, kwargs, options = self._merge(args, kwargs, options)
        return self.type.apply(args, kwargs, **options)

    def __invert__(self) -> Any:
        """Send it and wait for its result."""
        return self.apply_async().get()

    def _merge(self, args: Any, kwargs: Any, options: Any, force: bool = False) -> tuple[Any, Any, dict[str, Any]]:
        fixed = FIXED.union(self.options.get("stamped_headers", ()))
        options = {**self.options, **(options or {}), **{key: self.options[key] for key in fixed & self.options.keys()}}
        if self.immutable and not force:
            return self.args, self.kwargs, options
        return (*(args or ()), *self.args), {**self.kwargs, **(kwargs or {})}, options

    # ---------------------------------------------------------------- changes

    def clone(self, args: Any = (), kwargs: Any = None, **opts: Any) -> Any:
        """A copy, with more arguments and options."""
        args, kwargs, options = self._merge(args, kwargs, opts)
        same = {**self, "args": tuple(args), "kwargs": kwargs, "options": deepcopy(options)}
        copy = Signature.from_dict(same, app=self._app)
        copy._type = self._type
        return copy

    partial = clone

    def replace(self, args: Any = None, kwargs: Any = None, options: Any = None) -> Any:
        """A copy with other arguments or options."""
        copy = self.clone()
        for name, value in (("args", args), ("kwargs", kwargs), ("options", options)):
            if value is not None:
                copy[name] = value
        return copy

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        """Give it these options; returns itself."""
        if immutable is not None:
            self.set_immutable(immutable)
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        self.immutable = immutable

    def _signature(self, each: Any) -> Any:
        return as_signature(each, self._app)

    # ---------------------------------------------------------------- ids

    def freeze(
        self,
        _id: str | None = None,
        group_id: str | None = None,
        chord: Any = None,
        root_id: str | None = None,
        parent_id: str | None = None,
        group_index: int | None = None,
    ) -> Any:
        """Give it its ids, and return what its result will be found by."""
        options = self.options
        task_id = options.setdefault("task_id", _id or str(uuid4()))
        if group_id:
            options.setdefault("group_id", group_id)
        told = {"chord": chord, "group_index": group_index, "root_id": root_id, "parent_id": parent_id}
        for name, value in told.items():
            if value is not None and (name in ("chord", "group_index") or name not in options):
                options[name] = value
        return self.app.AsyncResult(task_id)

    _freeze = freeze

    def __or__(self, other: Any) -> Any:
        from workrow.celery.canvas.joining import join  # which knows them all

        return join(self, other)

    # ---------------------------------------------------------------- texts

    def __repr__(self) -> str:
        return self.reprcall()

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """As it would be written."""
        args, kwargs, _ = self._merge(args, kwargs, None, force=True)
        words = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        return f"{self['task']}({', '.join(words)})"

    def __json__(self) -> dict[str, Any]:
        return dict(self)

    def __reduce__(self) -> Any:
        return as_signature, (dict(self),)

    def __deepcopy__(self, memo: Any) -> Any:
        # arguments may be what can be read once; options are changed on the way
        memo[id(self)] = copy = {**self, "options": deepcopy(self.options, memo)}
        return copy


def as_signature(d: Any, app: Host | None = None) -> Any:
    """A signature of whatever was one."""
    if not isinstance(d, Signature):
        d = Signature.from_dict(d)
    if app is not None and d._app is None:
        d._app = app
    return d


def maybe_signature(d: Any, app: Host | None = None) -> Any:
    """A signature of a mapping; None and others stay what they are."""
    return as_signature(d, app) if isinstance(d, dict) else d


def signature(varies: Any, *args: Any, **kwargs: Any) -> Any:
    """A new signature of a task or its name; or a copy of one."""
    app = kwargs.get("app")
    if isinstance(varies, dict):
        return varies.clone() if isinstance(varies, Signature) else Signature.from_dict(varies, app=app)
    return Signature(varies, *args, **kwargs)
