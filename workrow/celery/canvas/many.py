"""One task for each of many items: in one run, or in runs of a few."""

from itertools import islice
from typing import Any

from workrow.celery.canvas.group import group
from workrow.celery.canvas.signature import Signature, maybe_signature


class _basemap(Signature):
    """One run that calls a task for each item."""

    _task_name = ""

    def __init__(self, task: Any, it: Any, **options: Any) -> None:
        app = options.pop("app", None)
        super().__init__(self._task_name, (), {"task": _named(task), "it": it}, options, immutable=True, app=app)

    def apply_async(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        task, it = self.kwargs["task"], self.kwargs["it"]
        return self.type.apply_async((), {"task": task, "it": [*it]}, **{**self.options, **options})

    def apply(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        task, it = self.kwargs["task"], self.kwargs["it"]
        return self.type.apply((), {"task": task, "it": [*it]}, **{**self.options, **options})


class xmap(_basemap):
    """``task.map(items)``."""

    _task_name = "celery.map"

    def __repr__(self) -> str:
        return f"[{_text(self.kwargs['task'])}(x) for x in {self.kwargs['it']!r}]"


class xstarmap(_basemap):
    """``task.starmap(rows)``."""

    _task_name = "celery.starmap"

    def __repr__(self) -> str:
        return f"[{_text(self.kwargs['task'])}(*x) for x in {self.kwargs['it']!r}]"


class chunks(Signature):
    """``task.chunks(rows, n)``: runs of `n` rows each."""

    def __init__(self, task: Any, it: Any, n: int, **options: Any) -> None:
        super().__init__(
            "celery.chunks",
            (),
            {"task": _named(task), "it": it, "n": n},
            immutable=True,
            app=options.pop("app", None),
            options=options,
        )

    def __call__(self, **options: Any) -> Any:
        return self.apply_async(**options)

    def apply_async(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        return self.group().apply_async(args or (), kwargs or {}, **options)

    def apply(self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        return self.group().apply(args or (), kwargs or {}, **options)

    @classmethod
    def apply_chunks(cls, task: Any, it: Any, n: int, app: Any = None) -> Any:
        """Send it at once."""
        return cls(task, it, n, app=app)()

    def group(self) -> group:
        """One member for each run."""
        task, it, n = self.kwargs["task"], iter(self.kwargs["it"]), self.kwargs["n"]
        parts = iter(lambda: [*islice(it, n)], [])
        return group((xstarmap(task, part, app=self._app) for part in parts), app=self._app)


def _named(task: Any) -> Any:
    return task if isinstance(task, Signature) else maybe_signature(task) if isinstance(task, dict) else task.s()


def _text(task: Any) -> str:
    return str(task["task"])
