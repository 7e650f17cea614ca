"""Batch handlers: a function that gets many jobs of its task at once, and answers for each."""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, ForwardRef, Generic, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints, overload

import procrastinate

from workrow.arguments.parameters import resolved
from workrow.arguments.payload import Arguments, Misfit
from workrow.declare.resources import injected_names
from workrow.errors import ArgumentError, OptionError, brief, is_whole, seconds_in

P = ParamSpec("P")
T = TypeVar("T")

SIZE_MAX = 10_000
WITHIN_MAX = 3600.0
"""Seconds. Jobs that gather are claimed: what is to wait longer waits better in the table, by a delay or a schedule."""
LISTS = (list, Sequence, Collection, Iterable)
FIX = "annotate it list[…] of a NamedTuple, dataclass or pydantic model, or of tuple[int, str]"


@dataclass(frozen=True, slots=True, init=False)
class Batch(Generic[P, T]):
    """The function gets a list of jobs of its task, instead of one. Checked when made.

    Args:
        of: the NamedTuple, dataclass or pydantic model that the list is of. The function's annotation says it too;
            given here, type checkers know what ``enqueue()`` takes.
        size: jobs in a call, at most.
        within: seconds, or a timedelta, after its first job came that a batch which is not full starts; up to an hour.
            0: with what is there.
        by: the name of an argument, or several: the jobs of a call have the same values of them.

    Raises:
        OptionError: a value that cannot work.
    """

    of: Callable[P, T] | None
    size: int
    within: float
    by: tuple[str, ...]

    @overload
    def __init__(
        self: "Batch[..., None]",
        *,
        size: int = 100,
        within: float | timedelta = 1.0,
        by: str | tuple[str, ...] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        of: Callable[P, T],
        *,
        size: int = 100,
        within: float | timedelta = 1.0,
        by: str | tuple[str, ...] | None = None,
    ) -> None: ...
    def __init__(self, of: Any = None, *, size: Any = 100, within: Any = 1.0, by: Any = None) -> None:
        if of is not None and not _is_item(of):
            raise OptionError(
                f"Batch({brief(of)}): must be a NamedTuple, a dataclass or a pydantic model; or say size=…"
            )
        if not is_whole(size, 1, SIZE_MAX):
            raise OptionError(f"Batch(size={brief(size)}): must be a whole number of jobs, from 1 to {SIZE_MAX:,}")
        seconds = seconds_in(within)
        if seconds is None or seconds > WITHIN_MAX:
            raise OptionError(
                f"Batch(within={brief(within)}): must be a number of seconds or a timedelta, up to an hour"
            )
        names = (by,) if isinstance(by, str) else () if by is None else by
        if (
            not isinstance(names, tuple)
            or not all(isinstance(name, str) for name in names)
            or (by is not None and not names)
        ):
            raise OptionError(f"Batch(by={brief(by)}): must be the name of an argument, or a tuple of names")
        for name, value in (("of", of), ("size", size), ("within", seconds), ("by", names)):
            object.__setattr__(self, name, value)


class BatchHandler:
    """What the function of a batch takes and answers, as its signature says.

    Args:
        func: the function.
        batch: what was declared.
        transactional: the first parameter takes the transaction, as `transaction_kind` says.

    Attributes:
        size, within, by, transactional: as declared.
        signature: of one job: its arguments, and what is answered for it.
        job: what stands for the function where the signature of one job is asked for.

    Raises:
        OptionError: the function takes or answers something else.
    """

    def __init__(self, func: Callable[..., Any], batch: "Batch[..., Any]", *, transactional: bool = False) -> None:
        self.size, self.within, self.by, self.transactional = batch.size, batch.within, batch.by, transactional
        self._contexts, self._items, of = _taken(func, batch.of, transactional)
        if get_origin(of) is tuple:
            names = [f"arg{number}" for number in range(len(get_args(of)))]
            annotations = zip(names, get_args(of), strict=True)
            parameters = [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=each)
                for name, each in annotations
            ]
            self._make: Callable[..., Any] = _tuple_of(names)
        else:
            parameters = _parameters(of)
            self._make = of
        self.signature = inspect.Signature(parameters, return_annotation=_answered(func))
        self.job = _standing_for(func, self.signature)
        known = self.signature.parameters
        for name in self.by:
            if name not in known:
                raise OptionError(f"Batch(by={name!r}): is no argument; known are {', '.join(known) or 'none'}")

    def check(self, arguments: Arguments, shown: Callable[[], str], *, hidden: bool) -> None:
        """Raise ArgumentError if nothing can be made of the arguments.

        Args:
            arguments: by name.
            shown: the task, for the message.
            hidden: some of them are not to be shown.
        """
        try:
            self.item(arguments)
        except Misfit as error:
            why = "why is not told, for some are hidden" if hidden else error
            raise ArgumentError(f"{shown()}: the arguments do not fit: {why}") from None

    def item(self, arguments: Arguments) -> Any:
        """What the list has for a job of these arguments.

        Raises:
            Misfit: they do not fit.
        """
        try:
            return self._make(**arguments)
        except Exception as error:
            from pydantic import ValidationError

            from workrow.arguments.conversion import reason

            problem = reason(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise Misfit(problem)

    def arguments(self, contexts: list[Any], items: list[Any]) -> Arguments:
        """What the function is called with, by name."""
        return {self._items: items} if self._contexts is None else {self._contexts: contexts, self._items: items}


def _taken(func: Callable[..., Any], of: Any, after: int) -> tuple[str | None, str, Any]:
    """The names of the parameters for the contexts, if any, and for the list; and what that is a list of."""
    injected = injected_names(func)
    parameters = [each for each in inspect.signature(func).parameters.values() if each.name not in injected]
    parameters = parameters[after:]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if not 1 <= len(parameters) <= 2 or any(each.kind not in named for each in parameters):
        raise OptionError(
            "batch=…: the function must take one list of jobs, and before it a list[JobContext] if it wants that; "
            f"here it takes {inspect.signature(func)}"
        )
    kinds = [_listed(func, each, of) for each in parameters]
    if len(parameters) == 2 and not _is_context(kinds[0]):
        raise OptionError(f"batch=…: of two parameters the first, {parameters[0]}, must be annotated list[JobContext]")
    kind, last = kinds[-1], parameters[-1]
    if kind is None:
        kind = of
    elif of is not None and kind is not of:
        raise OptionError(f"batch=…: parameter {last} is no list of the {of.__name__} that Batch({of.__name__}) names")
    if get_origin(kind) is tuple:
        if not get_args(kind) or Ellipsis in get_args(kind):
            raise OptionError(
                f"batch=…: parameter {last}: a tuple of any length says nothing of a job's arguments; {FIX}"
            )
    elif not _is_item(kind):
        raise OptionError(f"batch=…: parameter {last}: what are the arguments of a job? {FIX}")
    return (parameters[0].name if len(parameters) == 2 else None), last.name, kind


def _listed(func: Callable[..., Any], parameter: inspect.Parameter, of: Any) -> Any:
    """What a parameter is annotated to be a list of; None if it is not, or nobody needs to know."""
    if parameter.annotation is inspect.Parameter.empty:
        return None
    try:
        annotation = resolved(func, parameter.annotation)
    except NameError as error:
        if of is not None:
            return None
        raise OptionError(f"batch=…: parameter {parameter} is needed at run time: {error}") from None
    if isinstance(annotation, type) and issubclass(annotation, procrastinate.JobContext):
        raise OptionError(f"batch=…: parameter {parameter}: each job has its context; annotate it list[JobContext]")
    if (get_origin(annotation) or annotation) not in LISTS:
        raise OptionError(f"batch=…: parameter {parameter} is no list of jobs; {FIX}")
    return next(iter(get_args(annotation)), Any)


def _is_context(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, procrastinate.JobContext)


def _is_item(kind: Any) -> bool:
    marks = ("_fields", "__dataclass_fields__", "model_fields")
    return isinstance(kind, type) and any(hasattr(kind, mark) for mark in marks)


def _parameters(of: Any) -> list[inspect.Parameter]:
    """Of the class's constructor, with what its annotations name, and the values of defaults that are made anew."""
    found = []
    try:
        hints = get_type_hints(of, include_extras=True)
    except NameError:
        hints = {}  # a name that comes later, or exists for type checkers only: `Parameters` looks again
    for parameter in inspect.signature(of).parameters.values():
        annotation, default = parameter.annotation, parameter.default
        if isinstance(annotation, str | ForwardRef):
            annotation = hints.get(parameter.name, annotation)
        if repr(default) == "<factory>":  # both of dataclasses and of pydantic
            fields = getattr(of, "model_fields", None) or of.__dataclass_fields__
            with contextlib.suppress(Exception):  # pydantic's may want to see the other values
                default = fields[parameter.name].default_factory()
        found.append(parameter.replace(annotation=annotation, default=default))
    return found


def _tuple_of(names: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
    def make(**arguments: Any) -> tuple[Any, ...]:
        if arguments.keys() != set(names):
            raise TypeError(f"there are {', '.join(arguments) or 'none'}, and not {', '.join(names)}")
        return tuple(arguments[name] for name in names)

    return make


def _answered(func: Callable[..., Any]) -> Any:
    """What the function answers for one job that succeeds; `inspect.Signature.empty` where it does not say."""
    annotation = inspect.signature(func).return_annotation
    try:
        annotation = resolved(func, annotation)
    except NameError:
        return inspect.Signature.empty
    if get_origin(annotation) in (Awaitable, Coroutine):
        annotation = get_args(annotation)[-1]
    if annotation in (inspect.Signature.empty, Any, None, NoneType):
        return None if annotation is NoneType else annotation
    parts = [each for each in _members(annotation) if each is not NoneType]
    if any((get_origin(each) or each) not in (*LISTS, tuple) for each in parts):
        raise OptionError(
            f"batch=…: the function answers {annotation}: it must return a list with an answer for each job, in their "
            "order (a result, or an exception in its place), or None"
        )
    answers = [each for part in parts for one in get_args(part) for each in _members(one) if each is not Ellipsis]
    results = [each for each in answers if not (isinstance(each, type) and issubclass(each, BaseException))]
    return Union[tuple(results)] if results else inspect.Signature.empty  # noqa: UP007


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _standing_for(func: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    def job() -> None: ...

    job.__signature__ = signature  # type: ignore[attr-defined]
    job.__wrapped__ = func  # type: ignore[attr-defined]
    return job
