"""A task: a function with the options of its calls."""

import inspect
from collections.abc import Callable
from functools import cached_property
from types import CoroutineType
from typing import Any
from uuid import uuid4

from workrow.celery import coroutines, current, eager
from workrow.celery.again import Again
from workrow.celery.attributes import Attributes
from workrow.celery.canvas.many import chunks, xmap, xstarmap
from workrow.celery.canvas.signature import Signature, signature
from workrow.celery.hooks import Hooks
from workrow.celery.request import Context


class Task(Attributes, Hooks, Again):
    """Subclass it for tasks that share hooks or state; ``@app.task`` makes one of a function."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """What it does; a function of ``@app.task`` is this."""
        raise NotImplementedError("Tasks must define the run method.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        if not request.called_directly and not request._protected:
            request._protected = 1  # the worker's own call, by way of a __call__ of a subclass
            return self.run(*args, **kwargs)
        self.push_request(Context(args=args, kwargs=kwargs))
        try:
            return self.run(*args, **kwargs)
        finally:
            self.pop_request()

    # ---------------------------------------------------------------- the call of the moment

    @property
    def request(self) -> Context:
        return current.request_of_the_moment(self) or Context()

    def push_request(self, request: Context) -> None:
        current.push_request(self, request)

    def pop_request(self) -> None:
        current.pop_request(self)

    @property
    def call(self) -> Callable[..., Any]:
        """What a worker calls: ``run``, unless a subclass has a ``__call__``."""
        return self.run if type(self).__call__ is Task.__call__ else self

    def called(self, request: Context) -> Any:
        """What `call` comes to with the arguments of a request, and a coroutine that it returns."""
        value = self.call(*request.args, **request.kwargs)
        if isinstance(value, CoroutineType):
            return coroutines.ended(value)
        return value

    @property
    def is_async(self) -> bool:
        """Whether a call of it is a coroutine."""
        return inspect.iscoroutinefunction(self.run)

    def add_trail(self, result: Any) -> Any:
        if self.trail:
            self.request.children.append(result)
        return result

    # ---------------------------------------------------------------- calls

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """`apply_async` with these arguments."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, task_id: str | None = None, **options: Any
    ) -> Any:
        """Send a call.

        Raises:
            TypeError: the arguments do not fit (with ``typing``).
            EncodeError: they are not JSON.
        """
        if self.typing:
            self.check_arguments(*(args or ()), **(kwargs or {}))
        if self.models is not None:
            args, kwargs = self.models.dumped(args, kwargs)
        options.setdefault("ignore_result", self.ignore_result)
        if "shadow" not in options and (shadow := self.shadow_name(args, kwargs, options)):
            options["shadow"] = shadow
        if self.app.conf.task_always_eager:
            return eager.called(self, args, kwargs, task_id, options)
        told = {**self.call_options(), **options}
        mine = {"task_type": self, "result_cls": self.AsyncResult}
        return self.app.send_task(self.name, args, kwargs, task_id=task_id or str(uuid4()), **mine, **told)

    def apply(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        link: Any = None,
        link_error: Any = None,
        task_id: str | None = None,
        retries: int | None = None,
        throw: bool | None = None,
        logfile: str | None = None,
        loglevel: int | None = None,
        headers: dict[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Run it here and now, retries too, without waiting for their countdowns; see `eager.apply`."""
        return eager.apply(
            self, args, kwargs, link=link, link_error=link_error, task_id=task_id, retries=retries or 0, throw=throw,
            logfile=logfile, loglevel=loglevel, headers=headers, **options,
        )  # fmt: skip

    def check_arguments(self, *args: Any, **kwargs: Any) -> None:
        """Raises TypeError as a call would."""
        self._checker(*args, **kwargs)

    @cached_property
    def _checker(self) -> Callable[..., None]:
        """A function with these parameters that does nothing, so that the complaint is Python's own."""
        own = inspect.signature(getattr(self, "_function", type(self).run)).parameters.values()
        kept = [
            each.replace(annotation=each.empty, default=each.default if each.default is each.empty else None)
            for each in own
        ]
        name = getattr(self, "_function", self.run).__name__
        name = name if name.isidentifier() else "function"
        bound = self.bind or not hasattr(self, "_function")
        scope: dict[str, Any] = {}
        exec(f"def {name}{inspect.Signature(kept[1:] if bound else kept)}: pass", scope)
        return scope[name]  # type: ignore[no-any-return]

    @property
    def takes_more_than_an_id(self) -> bool:
        """Whether as an errback it is called with the request, the error and its traceback."""
        if self.bind:
            return False
        parameters = inspect.signature(self.run).parameters.values()
        if any(each.kind is each.VAR_POSITIONAL for each in parameters):
            return True
        return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters) > 1

    def update_state(self, task_id: str | None = None, state: str | None = None, meta: Any = None, **_: Any) -> None:
        """Say how far it has come, seen at once: ``AsyncResult.state`` and ``info``."""
        self.app.backend.store(task_id or self.request.id, state, meta)

    def shadow_name(self, args: Any, kwargs: Any, options: dict[str, Any]) -> str | None:
        """Another name of the task for the log, ``request.shadow``; for subclasses."""

    def AsyncResult(self, task_id: str, **options: Any) -> Any:
        return self.app.AsyncResult(task_id, task_name=self.name, **options)

    # ---------------------------------------------------------------- calls as values

    def signature(self, args: Any = None, *rest: Any, **options: Any) -> Signature:
        options.setdefault("app", self.app)
        made: Signature = signature(self, args, *rest, **options)
        return made

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        return self.signature(args, kwargs, immutable=True)

    def chunks(self, it: Any, n: int) -> chunks:
        return chunks(self.s(), it, n, app=self.app)

    def map(self, it: Any) -> xmap:
        return xmap(self.s(), it, app=self.app)

    def starmap(self, it: Any) -> xstarmap:
        return xstarmap(self.s(), it, app=self.app)
