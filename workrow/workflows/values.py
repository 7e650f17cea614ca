"""Workflows as values: immutable, comparable, printable. Nothing here knows a database."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Generic, Literal, Self, cast, overload

from typing_extensions import TypeVar

from workrow.context import JobContext
from workrow.declare.options import WORD, is_word
from workrow.enqueue.call import Call
from workrow.enqueue.celery_words import FlowWords
from workrow.enqueue.transaction import FORGOTTEN, AsyncTransaction, SyncTransaction
from workrow.errors import OptionError, WorkflowError, brief
from workrow.workflows.handle import Workflow
from workrow.workflows.own import hash_of, own

A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

IfFailed = Literal["cancel", "continue", "compensate"]
Fires = Literal["success", "failure", "end"]
NONE_GIVEN: Mapping[str, Any] = MappingProxyType({})
POLICIES = ("cancel", "continue", "compensate")
DEEPEST = 100
"""So many levels of parts in parts: what walks a workflow takes up to 5 of Python's 1000 frames for each."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Flow(FlowWords, Generic[A_contra, R_co]):
    """A task or several, in an order. ``A_contra`` is what it is given by what it follows, ``R_co`` what it comes to.

    Attributes:
        name: what it is called in views and logs; None: what it is made of.
        calls: its callbacks, and when each is called.
        failing: what a failed task of it does to the rest of its workflow; None: what is around it says.
    """

    name: str | None = None
    calls: tuple[tuple[Fires, "Signature[Any, Any]"], ...] = ()
    failing: IfFailed | None = None
    _levels: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        levels = 1 + max((each._levels for each in self.inside()), default=0)
        if levels > DEEPEST:
            raise WorkflowError(
                f"{type(self).__name__.lower()}: nested {levels} levels deep, more than {DEEPEST}: put parts side "
                "by side in one group, or one after the other in one chain"
            )
        object.__setattr__(self, "_levels", levels)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # nothing can change it

    def inside(self) -> "Iterator[Flow[Any, Any]]":
        """Its parts, callbacks and compensation."""
        yield from parts_of(self)
        for _, callback in self.calls:
            yield callback

    def named(self, name: str) -> Self:
        """The same under a name, of at most 200 characters.

        Raises:
            OptionError: it is no such name.
        """
        if not is_word(name):
            raise OptionError(f"named({brief(name)}): must be {WORD}")
        return replace(self, name=name)

    def if_failed(self, policy: IfFailed) -> Self:
        """The same, and when a task of it has failed for good, its workflow does so.

        Args:
            policy: "cancel": what waits never runs, what runs goes on to its end, and the workflow has failed; the
                default. "continue": the rest goes on, and gets None for what the failed task would have returned; the
                workflow has failed in the end. "compensate": as "cancel", and then what had succeeded is undone; the
                default where a task says how.

        Raises:
            OptionError: something else.
        """
        if policy not in POLICIES:
            raise OptionError(f"if_failed({brief(policy)}): must be one of {', '.join(map(repr, POLICIES))}")
        return replace(self, failing=policy)

    def on_success(self, callback: "Signature[Any, Any]") -> Self:
        """The same, and this task is enqueued when it has succeeded; given its result, unless it is a ``.si(…)``."""
        return self._calling("success", callback)

    def on_failure(self, callback: "Signature[Any, Any]") -> Self:
        """The same, and this task is enqueued when it has failed; given a `workrow.Failure`, unless it is a ``.si(…)``.

        Of a whole workflow once, with the first task that failed; of a part of one for each task in it that fails.
        """
        return self._calling("failure", callback)

    def on_complete(self, callback: "Signature[Any, Any]") -> Self:
        """The same, and this task is enqueued when it has ended, however.

        Of a whole workflow it is given ``{"workflow_id": …, "state": …}``, of a part of one the result, or None; and
        nothing if it is a ``.si(…)``.
        """
        return self._calling("end", callback)

    link, link_error = on_success, on_failure

    def _calling(self, fires: Fires, callback: "Signature[Any, Any]") -> Self:
        if not isinstance(callback, Signature):
            raise OptionError(f"{brief(callback)}: a callback is one task, such as notify.s()")
        return replace(self, calls=(*self.calls, (fires, callback)))

    @overload
    def enqueue(self, on: AsyncTransaction | None, /) -> Awaitable[Workflow[R_co]]: ...
    @overload
    def enqueue(self, on: SyncTransaction, /) -> Workflow[R_co]: ...
    def enqueue(
        self, on: AsyncTransaction | SyncTransaction | None = FORGOTTEN, /
    ) -> Awaitable[Workflow[R_co]] | Workflow[R_co]:
        """Write down the whole of it, in one statement. It exists exactly if the transaction of ``on`` commits.

        Enqueued twice, it is two workflows. One task alone, without callbacks, is a plain job.

        Args:
            on: as for ``task.enqueue()``; None for a transaction of its own on the opened app of its tasks.

        Returns:
            Its handle; an awaitable of it when ``on`` is async or None.

        Raises:
            WorkflowError: it cannot be: it is empty, has more tasks than ``max_workflow_size``, or no app has them all.
            ArgumentError: arguments, or a result that is handed on, do not fit a task.
            OptionError: an option that cannot be kept for later.
            QueueFull: a queue has no room for what would start at once.
            TransactionError: the transaction cannot take it.
        """
        from workrow.workflows.start import start

        return cast("Awaitable[Workflow[R_co]] | Workflow[R_co]", start(self, on))

    @overload
    def append(self, on: AsyncTransaction | None, to: JobContext | int, /) -> Awaitable[None]: ...
    @overload
    def append(self, on: SyncTransaction, to: JobContext | int, /) -> None: ...
    def append(self, on: AsyncTransaction | SyncTransaction | None, to: JobContext | int, /) -> Awaitable[None] | None:
        """Append it to the workflow that a running task is a part of: what follows that task waits for it, too.

        It begins at once; what it comes to is not handed on, and its failure is the workflow's.

        Args:
            on: as for `enqueue`.
            to: the task's context, or the id of its job.

        Raises:
            WorkflowError: that job does not run, or is part of no workflow; or its app has not all of these tasks.
            OptionError: ``to`` is neither.
            As `enqueue`.
        """
        from workrow.workflows.start import append, check_appended

        job_id = getattr(getattr(to, "job", None), "id", to)
        if type(job_id) is not int:
            raise OptionError(f"append(to={brief(to)}): must be the context of the running task (ctx), or its job's id")
        check_appended(self, to)
        return cast("Awaitable[None] | None", append(self, on, job_id))

    def to_json(self) -> dict[str, Any]:
        """It as a JSON value; `workrow.from_json` reads it.

        Raises:
            ArgumentError: an argument cannot be stored as JSON.
        """
        from workrow.workflows.wire import to_json

        return to_json(self)

    def _said(self) -> str:
        """What follows its parts where it is printed."""
        words = [f".named({self.name!r})"] if self.name else []
        words += [f".if_failed({self.failing!r})"] if self.failing else []
        method = {"success": "on_success", "failure": "on_failure", "end": "on_complete"}
        return "".join([*words, *(f".{method[fires]}({callback!r})" for fires, callback in self.calls)])


@dataclass(frozen=True, repr=False)
class Signature(Flow[A_contra, R_co]):
    """A task with its arguments, or all but the first: ``task.s(…)``, ``task.si(…)``.

    Attributes:
        call: the task, with its options.
        args: by position.
        kwargs: by name.
        immutable: it takes nothing of what it follows.
        undo: what undoes it.
    """

    call: Call[..., Any] = field(compare=False)
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    immutable: bool = False
    undo: "Signature[Any, Any] | None" = None
    _what: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        kwargs = MappingProxyType(own(dict(self.kwargs))) if self.kwargs else NONE_GIVEN
        object.__setattr__(self, "kwargs", kwargs)
        object.__setattr__(self, "args", own(tuple(self.args)))
        object.__setattr__(self, "_what", (self.task, self.call._options))
        super().__post_init__()

    def __hash__(self) -> int:
        return hash((self.task, self.immutable, frozenset(self.kwargs), hash_of(self.args)))

    def inside(self) -> "Iterator[Flow[Any, Any]]":
        yield from super().inside()
        if self.undo is not None:
            yield self.undo

    @property
    def task(self) -> str:
        """The task's name."""
        return self.call._task.name

    def compensate(self, undo: "Signature[Any, Any]") -> Self:
        """The same, and this task undoes it when its workflow has failed after it had succeeded.

        It is given what the task had returned, unless it is a ``.si(…)``. Compensations run one after the other, what
        succeeded last first; one that fails does not keep the others.
        """
        if not isinstance(undo, Signature):
            raise OptionError(f"compensate({brief(undo)}): must be one task, such as refund.s()")
        return replace(self, undo=undo)

    def __repr__(self) -> str:
        hidden = self.call._task.hidden
        shown = ["***"] if hidden else [repr(each) for each in self.args]
        shown += [] if hidden else [f"{name}={value!r}" for name, value in self.kwargs.items()]
        undo = f".compensate({self.undo!r})" if self.undo else ""
        return f"{self.task}.{'si' if self.immutable else 's'}({', '.join(shown)}){undo}{self._said()}"


@dataclass(frozen=True, repr=False)
class Chain(Flow[A_contra, R_co]):
    """One after the other, each given what the one before has come to."""

    steps: tuple[Flow[Any, Any], ...] = ()

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, self.steps))}){self._said()}"


@dataclass(frozen=True, repr=False)
class Group(Flow[A_contra, R_co]):
    """Side by side; it comes to the list of what they have come to, in their order."""

    members: tuple[Flow[Any, Any], ...] = ()

    def __repr__(self) -> str:
        return f"group({', '.join(map(repr, self.members))}){self._said()}"


@dataclass(frozen=True, repr=False)
class Graph(Flow[A_contra, R_co]):
    """Nodes by names; it comes to what those have come to that nobody follows, by their names.

    Attributes:
        nodes: by name.
        after: name → the nodes that it follows, each by the argument that takes what it has come to; an argument of ""
            is the first one.
    """

    nodes: Mapping[str, Flow[Any, Any]] = field(default_factory=dict)
    after: Mapping[str, Mapping[str, str] | Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))
        object.__setattr__(self, "after", MappingProxyType(dict(self.after)))
        super().__post_init__()

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self.nodes.items())))

    def __repr__(self) -> str:
        return f"graph({dict(self.nodes)!r}, after={dict(self.after)!r}){self._said()}"


def parts_of(flow: Flow[Any, Any]) -> Sequence[Flow[Any, Any]]:
    """What it is made of."""
    if isinstance(flow, Chain):
        return flow.steps
    if isinstance(flow, Group):
        return flow.members
    return tuple(flow.nodes.values()) if isinstance(flow, Graph) else ()
