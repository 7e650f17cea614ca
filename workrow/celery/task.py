"""A task: a function with the options of its calls."""

import inspect
import threading
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

from workrow.celery import eager, outbox
from workrow.celery.attributes import Attributes
from workrow.celery.canvas.chain import _chain
from workrow.celery.canvas.group import group
from workrow.celery.canvas.many import chunks, xmap, xstarmap
from workrow.celery.canvas.signature import Signature, listed, signature
from workrow.celery.exceptions import Ignore, ImproperlyConfigured, MaxRetriesExceededError, Retry
from workrow.celery.hooks import Hooks
from workrow.celery.request import Context


class Task(Attributes, Hooks):
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
        stack = self._stack()
        return stack[-1] if stack else Context()

    def push_request(self, request: Context) -> None:
        self._stack().append(request)

    def pop_request(self) -> None:
        self._stack().pop()

    def _stack(self) -> list[Context]:
        requests = self.__dict__.setdefault("_requests", threading.local())
        if not hasattr(requests, "stack"):
            requests.stack = []
        return requests.stack  # type: ignore[no-any-return]

    @property
    def call(self) -> Callable[..., Any]:
        """What a worker calls: ``run``, unless a subclass has a ``__call__``."""
        return self.run if type(self).__call__ is Task.__call__ else self

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
        options.setdefault("ignore_result", self.ignore_result)
        if self.app.conf.task_always_eager:
            return eager.called(self, args, kwargs, task_id, options)
        told = {**self.call_options(), **options}
        return self.app.send_task(self.name, args, kwargs, task_id=task_id or str(uuid4()), task_type=self, **told)

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
        self.backend.store(task_id or self.request.id, state, meta)

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

    # ---------------------------------------------------------------- again, or another instead

    def retry(
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: Any = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Run it again later; raises.

        Args:
            args: of the next run; None: the same.
            exc: what is raised when there are no more retries, and kept until then.
            countdown: seconds; None: ``default_retry_delay``.
            max_retries: None: the task's.

        Raises:
            Retry: it will be.
            MaxRetriesExceededError: no more retries, and no `exc`.
        """
        request = self.request
        most = self.max_retries if max_retries is None else max_retries
        if request.called_directly:
            if exc is not None:
                raise exc
            raise Retry("Task can be retried", None)
        if eta is None and countdown is None:
            countdown = self.default_retry_delay
        again = self.signature_from_request(
            request, args, kwargs, countdown=countdown, eta=eta, retries=request.retries + 1, **options
        )
        if most is not None and request.retries + 1 > most:
            if exc is not None:
                raise exc
            raise MaxRetriesExceededError(
                f"Can't retry {self.name}[{request.id}] args:{tuple(request.args)} kwargs:{request.kwargs}"
            )
        when = eta if eta is not None else countdown
        if request.is_eager:
            told = Retry(exc=exc, when=when, is_eager=True, sig=again)
            if throw:
                raise told
            return told
        told = Retry(exc=exc, when=when)
        with outbox.with_the_end():
            again.apply_async()
        if throw:
            raise told
        return told

    def signature_from_request(self, request: Context, args: Any, kwargs: Any, **options: Any) -> Signature:
        """This call once more."""
        same = {
            "task_id": request.id, "parent_id": request.parent_id, "root_id": request.root_id, "add_to_parent": False,
            "link": request.callbacks, "link_error": request.errbacks, "chain": request.chain, "chord": request.chord,
            "group_id": request.group, "group_index": request.group_index, "ignore_result": request.ignore_result,
            "queue": (request.delivery_info or {}).get("routing_key"),
        }  # fmt: skip
        return self.signature(
            request.args if args is None else args, request.kwargs if kwargs is None else kwargs, {**same, **options}
        )

    def replace(self, sig: Signature) -> Any:
        """Let this signature run in place of this task, under its id; raises Ignore."""
        request = self.request
        if "chord" in sig.options:
            raise ImproperlyConfigured("A signature replacing a task must not be part of a chord")
        if isinstance(sig, _chain) and not sig.tasks:
            raise ImproperlyConfigured("Cannot replace with an empty chain")
        if isinstance(sig, group) or (isinstance(sig, _chain) and isinstance(sig.tasks[-1], group)):
            sig = sig | self.app.tasks["celery.accumulate"].s(index=0)
        for callback in listed(request.callbacks):
            sig.link(callback)
        for errback in listed(request.errbacks):
            sig.link_error(errback)
        if isinstance(sig, _chain) and "link" in sig.options:
            sig.tasks[-1].extend_list_option("link", sig.options.pop("link"))
        sig.freeze(request.id)
        sig.set(
            chord=request.chord,
            group_id=request.group,
            group_index=request.group_index,
            root_id=request.root_id,
            replaced_task_nesting=(request.replaced_task_nesting or 0) + 1,
        )
        for part in reversed(request.chain or ()):
            sig = sig | signature(part, app=self.app)
        if request.is_eager:
            raise eager.Replaced(sig.apply())
        with outbox.with_the_end():
            sig.delay()
        raise Ignore("Replaced by new task")

    def add_to_chord(self, sig: Signature, lazy: bool = False) -> Any:
        """Let the chord whose header this task is in wait for this signature too."""
        request = self.request
        if not request.chord:
            raise ValueError("Current task is not member of any chord")
        sig.set(group_id=request.group, chord=request.chord, root_id=request.root_id)
        result = sig.freeze()
        with outbox.with_the_end():
            self.app.backend.add_to_chord(request.group, result)
            return sig.delay() if not lazy else sig
