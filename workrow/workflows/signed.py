"""Tasks as parts of workflows: ``task.s(…)`` and ``task.si(…)``."""

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Unpack, overload

from typing_extensions import TypeVar

from workrow.declare.options import EnqueueOptions
from workrow.enqueue.call import Call
from workrow.job import Job

if TYPE_CHECKING:  # who has no workflows never loads them
    from workrow.workflows.values import Signature

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Taking(Protocol[A_contra, Q, R_co]):
    """A call whose first argument is left for what it follows; mypy finds it in no ``Concatenate`` of a class."""

    def delay(self, first: A_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> Job[R_co]:
        """See `workrow.enqueue.celery_words.CeleryWords.delay`."""


class Signed(Call[P, R]):
    """A `Call` that can be part of a workflow."""

    def options(self, **changes: Unpack[EnqueueOptions]) -> "Signed[P, R]":
        """The same with some options changed; see `workrow.declare.options.Options`.

        Raises:
            OptionError: an option is unknown or out of range.
        """
        call = super().options(**changes)
        return Signed(call._task, call._options)

    @overload
    def s(self, *args: P.args, **kwargs: P.kwargs) -> "Signature[Any, R]": ...
    @overload
    def s(self: "Taking[A, Q, R]", *args: Q.args, **kwargs: Q.kwargs) -> "Signature[A, R]": ...
    def s(self, *args: Any, **kwargs: Any) -> "Signature[Any, R]":
        """The task with its arguments, as a part of a workflow. After something, what that has come to is its first
        argument, before these. They are checked when the workflow is enqueued.

        Args:
            *args: the task's own arguments, without the context; after something without the first.
            **kwargs: the same by name.
        """
        from workrow.workflows.values import Signature

        return Signature(self, args, kwargs)

    def si(self, *args: P.args, **kwargs: P.kwargs) -> "Signature[Any, R]":
        """The same, and it takes nothing of what it follows."""
        from workrow.workflows.values import Signature

        return Signature(self, args, kwargs, immutable=True)
