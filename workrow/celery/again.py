"""What a running task may do about its call: run it again, let another one run instead, let a chord wait for more."""

import inspect
import sys
from datetime import datetime
from typing import Any

from workrow.celery import eager, outbox
from workrow.celery.canvas.chain import _chain
from workrow.celery.canvas.group import group
from workrow.celery.canvas.links import listed
from workrow.celery.canvas.signature import Signature, signature
from workrow.celery.exceptions import Ignore, ImproperlyConfigured, MaxRetriesExceededError, OperationalError, Retry
from workrow.celery.request import Context, ignores_result

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
PLACED = (*NAMED, inspect.Parameter.POSITIONAL_ONLY)


class Again:
    """The part of a task that is about its own call."""

    name: str
    app: Any
    request: Any
    run: Any
    signature: Any
    max_retries: int | None
    default_retry_delay: float
    MaxRetriesExceededError = MaxRetriesExceededError
    OperationalError = OperationalError

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
            args, kwargs: of the next run; None: the same, but for what the other one names.
            exc: what is raised when there are no more retries, and kept until then.
            throw: raise; otherwise it is returned, and the task goes on.
            countdown: seconds; None: ``default_retry_delay``.
            max_retries: None: the task's.
            **options: of ``apply_async``, instead of those of this call.

        Raises:
            Retry: it will be.
            MaxRetriesExceededError: no more retries, and no `exc`.
        """
        request = self.request
        most = self.max_retries if max_retries is None else max_retries
        if request.called_directly:
            raise_because(exc or Retry("Task can be retried", None))
        if not eta and countdown is None:
            countdown = self.default_retry_delay
        args, kwargs = self._next_arguments(args, kwargs)
        again = self.signature_from_request(
            request, args, kwargs, countdown=countdown, eta=eta, retries=request.retries + 1, **options
        )
        if most is not None and request.retries + 1 > most:
            if exc:
                raise_because(exc)
            raise self.MaxRetriesExceededError(
                f"Can't retry {self.name}[{request.id}] args:{tuple(again.args)} kwargs:{again.kwargs}",
                task_args=again.args,
                task_kwargs=again.kwargs,
            )
        is_eager = bool(request.is_eager)
        told = Retry(exc=exc, when=eta or countdown, is_eager=is_eager, sig=again if is_eager else None)
        if not is_eager:
            with outbox.with_the_end():
                again.apply_async(add_to_parent=False)
        if throw:
            raise told
        return told

    def _next_arguments(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Of the next run, where only one kind is told: what it names does not stay in the other."""
        request = self.request
        if (args is None) == (kwargs is None) or not (request.kwargs if kwargs is None else request.args):
            return args, kwargs
        signature = inspect.signature(self.run)
        if kwargs is None:
            placed = [each for each in signature.parameters.values() if each.kind in PLACED][: len(args)]
            given = {each.name for each in placed if each.kind in NAMED}
            return args, {name: value for name, value in request.kwargs.items() if name not in given}
        try:
            bound = signature.bind_partial(*request.args)
        except TypeError:  # which the next run raises
            return args, kwargs
        own = dict(kwargs)
        for name in [*own]:
            if name in bound.arguments and signature.parameters[name].kind in NAMED:
                bound.arguments[name] = own.pop(name)
        return bound.args, {**bound.kwargs, **own}

    def signature_from_request(
        self,
        request: Context | None = None,
        args: Any = None,
        kwargs: Any = None,
        queue: str | None = None,
        **options: Any,
    ) -> Signature:
        """A call once more, with all that it was sent with.

        Args:
            request: of the call; None: the one of the moment.
            args, kwargs: instead of its own.
            queue: instead of the one that it came from.
            **options: of ``apply_async``, instead of its own.
        """
        request = self.request if request is None else request
        info = request.delivery_info or {}
        same = {
            **request.as_execution_options(),
            "ignore_result": ignores_result(self, request),
            "priority": info.get("priority"),
            "queue": queue or info.get("routing_key"),
        }
        args = request.args if args is None else args
        made: Signature = self.signature(args, request.kwargs if kwargs is None else kwargs, {**same, **options})
        return made

    subtask_from_request = signature_from_request

    def replace(self, sig: Signature) -> Any:
        """Let this signature run in place of this task, under its id; raises Ignore.

        What the task was stamped with is not given to it.
        """
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
        nesting = (request.replaced_task_nesting or 0) + 1
        sig.set(
            chord=request.chord,
            group_id=request.group,
            group_index=request.group_index,
            root_id=request.root_id,
            replaced_task_nesting=nesting,
        )
        for part in sig.tasks if isinstance(sig, _chain) else ():
            part.set(replaced_task_nesting=nesting)
        for part in reversed(request.chain or ()):
            sig = sig | signature(part, app=self.app).set(replaced_task_nesting=nesting)
        return self.on_replace(sig)

    def on_replace(self, sig: Signature) -> Any:
        """Send what runs in place of this task; who overrides it returns ``super().on_replace(sig)``."""
        if self.request.is_eager:
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


def raise_because(error: Any) -> Any:
    """Raise it because of the exception of the moment, if there is one."""
    reason = sys.exc_info()[1]
    if reason is None or reason is error:
        raise error
    raise error from reason
