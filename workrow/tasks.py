"""A task: a function that can be enqueued, and what is declared of it."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from types import EllipsisType
from typing import TYPE_CHECKING, Any, ParamSpec, cast

from procrastinate import tasks as upstream_tasks
from procrastinate.exceptions import UnboundTaskError
from typing_extensions import TypeVar

from workrow.arguments.codec import Codec
from workrow.arguments.jsonb import dump_arguments
from workrow.arguments.parameters import Parameters, without
from workrow.arguments.payload import MAX_PAYLOAD, MAX_RESULT, Payload
from workrow.arguments.results import Result
from workrow.arguments.secrets import RESULT, check_hide, masked, signature_shown
from workrow.declare.execution import PLAIN, Execution
from workrow.declare.hooks import Hooked, HookedDeferrer, Hooks
from workrow.declare.limits import Limits, Line
from workrow.declare.options import Options
from workrow.declare.resources import injected_names
from workrow.declare.unique import check_names
from workrow.enqueue.call import Call
from workrow.enqueue.deferrer import Deferrer, counted_later
from workrow.enqueue.insert import Arguments
from workrow.enqueue.target import Producer
from workrow.errors import ArgumentError, OptionError
from workrow.workflows.signed import Signed

if TYPE_CHECKING:
    from workrow.declare.schedule import Schedule

PLAIN_PAYLOAD = Payload()
P = ParamSpec("P")
R = TypeVar("R")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Task(Signed[P, R], upstream_tasks.Task[P, Any, P]):
    """A function that can be enqueued: a ``procrastinate.tasks.Task`` with a typed ``enqueue``.

    ``P`` are the function's arguments without the context, ``R`` is what it returns (awaited).

    Attributes:
        on_failure: what is called when one of its jobs has ended badly; ``...``: what the app says.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        options: Options,
        schedules: "Sequence[Schedule]" = (),
        execution: Execution = PLAIN,
        limits: Limits = (),
        payload: Payload = PLAIN_PAYLOAD,
        on_failure: "Task[..., Any] | str | EllipsisType | None" = ...,
        hide: tuple[str, ...] = (),
        **kwargs: Any,
    ):
        # mypy infers the type parameters of a base class's __init__ in some orders of checking, and not in others
        init: Any = upstream_tasks.Task.__init__
        own = {name: getattr(options, name) for name in ("queue", "priority", "lock", "queueing_lock")}
        init(self, func, **own, **kwargs)
        Call.__init__(self, self, options)
        self._hooks = self.blueprint.hooks if isinstance(self.blueprint, Hooked) else Hooks()
        self.execution = execution
        self.payload = payload
        self.on_failure = on_failure
        self._check_signature()
        hidden = check_hide(hide, self.signature, older=payload.version > 1)
        self.parameters = Parameters(func, self.signature, hidden)
        self.returns = Result(execution.batch.job if execution.batch else func, hidden)
        self.line = Line(self.name, self.queue, limits, self.signature, lambda: self.hidden) if limits else None
        check_names(options.rule, self.signature)
        if hasattr(self.blueprint, "codec"):
            self.check_annotations(self.codec)
        self.schedules = self._named(schedules)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, here and now."""
        return self.func(*args, **kwargs)

    @property
    def codec(self) -> Codec | None:
        """The connector's own functions for JSON, if its app has such."""
        return getattr(self.blueprint, "codec", None)

    def check_annotations(self, codec: Codec | None) -> None:
        """Raise OptionError if neither pydantic nor the ``codec`` of an app's connector has a way to JSON for one."""
        if self.parameters.unknown is not None and codec is None:
            raise OptionError(f"task {self.name}: {self.parameters.unknown}")

    @property
    def declared(self) -> Options:
        """The options that its jobs start from."""
        return self._options

    @property
    def schedule(self) -> "Schedule | None":
        """The schedule declared with it, or the first of several; `schedules` has all, by their names."""
        return next(iter(self.schedules.values()), None)

    @property
    def producer(self) -> Producer:
        """The app that the task was registered on.

        Raises:
            UnboundTaskError: it is on a blueprint that no app includes yet.
        """
        if not hasattr(self.blueprint, "job_manager"):
            raise UnboundTaskError(f"{self.name}: its blueprint is on no app yet: call app.include(blueprint) first")
        return cast("Producer", self.blueprint)

    @cached_property
    def signature(self) -> inspect.Signature:
        """The arguments that a job carries: the function's own without the transaction, the context and resources."""
        if self.execution.batch:
            return self.execution.batch.signature
        first = bool(self.execution.transaction) + bool(self.pass_context)
        return without(inspect.signature(self.func), first, injected_names(self.func))

    @property
    def hidden(self) -> frozenset[str]:
        """The names of the arguments that are stored as they are, and never shown; see `workrow.arguments.secrets`."""
        return self.parameters.hidden | {RESULT} if self.returns.secret else self.parameters.hidden

    @property
    def shown(self) -> str:
        """Its name and signature, without what is hidden."""
        return f"{self.name}{signature_shown(self.signature, self.hidden)}"

    def enqueue_hooks(self) -> Sequence[Any]:
        """The hooks around every enqueue, outermost first: the app's, then those of its blueprint."""
        own, app = self._hooks, getattr(self.blueprint, "hooks", None)
        if app is None or app is own:
            return own.enqueue
        return (*app.enqueue, *own.enqueue) if app.enqueue or own.enqueue else ()

    def run_hooks(self) -> Sequence[Any]:
        """The hooks around every attempt, in the shape of procrastinate's worker middleware, in the same order."""
        own, app = self._hooks, getattr(self.blueprint, "hooks", None)
        return own.run if app is None or app is own else (*app.run, *own.run)

    @cached_property
    def _plain_names(self) -> frozenset[str] | None:
        """The names of the arguments; None where any name will do."""
        parameters = self.signature.parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return None
        return frozenset(parameter.name for parameter in parameters)

    @property
    def max_payload(self) -> int:
        """Bytes of JSON that the arguments of one job may take: the task's, or the app's."""
        own = self.payload.max_payload
        return getattr(self.blueprint, "max_payload", MAX_PAYLOAD) if own is None else own

    @property
    def max_result(self) -> int:
        """Bytes of JSON that are kept of what one job returns: the task's, or the app's."""
        own = self.execution.max_result
        return getattr(self.blueprint, "max_result", MAX_RESULT) if own is None else own

    def load(self, arguments: Arguments, version: int | None, codec: Codec | None = None) -> Arguments:
        """The arguments of a row, as the app that runs the job has read them with its ``codec``, as the function takes
        them; upcast if they are of an older version.

        Raises:
            Misfit: they do not fit.
        """
        return self.loads(codec)(self.payload.upcasted(arguments, version))

    def loads(self, codec: Codec | None) -> Callable[[Arguments], Arguments]:
        """The same of arguments of this version."""
        return self.parameters.load if codec is None else self.parameters.load_read

    def load_result(self, stored: Any, codec: Codec | None = None) -> R:
        """What the task returned, from the value of the JSON that is stored of it, as an app has read it.

        Raises:
            ResultError: it does not fit the return annotation.
        """
        return cast("R", self.returns.load(stored) if codec is None else self.returns.load_read(stored))

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, json_too: bool = False) -> Arguments:
        """The arguments by name, as they are stored: JSON values.

        Args:
            args: by position.
            kwargs: by name.
            json_too: see `workrow.arguments.Parameters.dump`.

        Raises:
            ArgumentError: they do not fit the function's signature.
        """
        bound = self._bound(args, kwargs)
        converted = self.parameters.dump(self.name, bound, json_too=json_too)
        if self.execution.batch:
            made = self.parameters.load(converted) if json_too else bound
            self.execution.batch.check(made, lambda: self.shown, hidden=bool(self.hidden))
        return codec.arguments(self.name, bound, converted, self.hidden) if (codec := self.codec) else converted

    def bind_rows(self, rows: Iterable[Mapping[str, Any]], *, json_too: bool = False) -> Iterator[Arguments]:
        """`bind` of many jobs, by their rows: what is the same for all is looked up once, 0.3 of 0.7 us a job."""
        odd, bound, dump = self.execution.batch or self.codec, self._bound, self.parameters.dump
        for row in rows:
            yield self.bind((), row, json_too=json_too) if odd else dump(self.name, bound((), row), json_too=json_too)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
        if not args and self._plain_names is not None and kwargs.keys() == self._plain_names:
            return dict(kwargs)  # the common case: each by its name, nothing left to a default
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self.shown}: {error}") from None
        arguments = bound.arguments
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(name, {}))
        return arguments

    def check_rule(self, options: Options) -> None:
        """Raise OptionError if the rule of these options names no argument of this task."""
        try:
            check_names(options.rule, self.signature)
        except OptionError as error:
            raise OptionError(f"task {self.name}: {error}") from None

    def configure(self, **options: Any) -> Any:
        """procrastinate's way to `options`; see there. The arguments are checked as `enqueue` does; their JSON will do.

        Raises:
            OptionError: the task has a rule or an expiry, which only ``enqueue()`` and ``delay()`` know; or
                ``schedule_in`` leads to no time that there is.
        """
        if self._conditional:
            raise OptionError(
                f"task {self.name}: procrastinate's defer() and configure() know nothing of unique, debounce, throttle "
                "and expires; use enqueue() or delay()"
            )
        checked = partial(Deferrer.of, self)
        deferrer = super().configure(**counted_later(options))
        hooks = self.enqueue_hooks()
        return HookedDeferrer(deferrer, hooks, checked) if hooks else checked(deferrer)

    def _check_signature(self) -> None:
        if self.execution.run_in and (injected := injected_names(self.func)):
            raise OptionError(
                f"task {self.name}: run_in='process' and {sorted(injected)[0]} = inject() do not go together: the "
                "resources live in the worker's process; make it inside of the task"
            )
        for name, parameter in self.signature.parameters.items():
            if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL):
                raise OptionError(
                    f"task {self.name}: parameter {parameter} has no name of its own, and arguments are stored "
                    f"by name; declare {name} as a normal parameter (a list, perhaps)"
                )

    def _named(self, schedules: "Sequence[Schedule]") -> "dict[str, Schedule]":
        """The schedules under the names that the database knows them by."""
        named: dict[str, Schedule] = {}
        for schedule in schedules:
            name = f"{self.name}:{schedule.name}" if schedule.name else self.name
            if name in named:
                raise OptionError(f"task {self.name}: two schedules are named {name!r}; give each its own name=…")
            self.check_schedule(schedule)
            named[name] = schedule
        return named

    def check_schedule(self, schedule: "Schedule") -> Arguments:
        """What the schedule's jobs carry, but for the due time.

        Raises:
            OptionError: its arguments do not fit the signature or cannot be stored; or its options contradict it.
        """
        changes = (("queue", schedule.queue), ("priority", schedule.priority))
        self._options.changed({option: value for option, value in changes if value is not None})
        if schedule.overlap == "queue" and self._options.lock is not None:
            raise OptionError(
                f"overlap='queue' and the task's lock={self._options.lock!r} contradict each other: jobs of one lock "
                "queue already; drop one"
            )
        try:
            bound = self.bind((), {**schedule.args, **self.due_arguments(EPOCH, schedule.args)}, json_too=True)
            dump_arguments(self.name, bound, hidden=self.hidden)
        except ArgumentError as error:
            raise OptionError(
                f"the schedule's args={masked(dict(schedule.args), self.hidden)!r}: {error}; give what is missing in "
                "Schedule(args=…), or a default in the function"
            ) from None
        return {name: value for name, value in bound.items() if name in schedule.args}

    def due_arguments(self, due_at: datetime, args: Mapping[str, Any]) -> Arguments:
        """What parameters get that are named for the due time, and are not among ``args``."""
        known = {"due_at": due_at.isoformat(), "timestamp": int(due_at.timestamp())}
        return {name: value for name, value in known.items() if name in self.signature.parameters and name not in args}
