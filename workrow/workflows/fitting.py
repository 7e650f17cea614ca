"""Whether a task's arguments fit where some are the results of others, and its options where its job comes later."""

from collections.abc import Collection, Sequence
from functools import cache
from inspect import Parameter
from typing import Any

from workrow.errors import ArgumentError, OptionError
from workrow.workflows.values import Signature


def missing(signature: Signature[Any, Any]) -> bool:
    """Whether an argument is left for what it follows: one without a default is not given."""
    try:
        signature.call._task.signature.bind(*signature.args, **signature.kwargs)
    except TypeError:
        return True
    return False


def bound(signature: Signature[Any, Any], *, first: bool, names: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Its own arguments as JSON values by name, and the name of its first one where that is taken from elsewhere.

    Raises:
        ArgumentError: they do not fit.
    """
    task: Any = signature.call._task
    try:
        return _bound(task, signature, first, names)
    except ArgumentError as error:
        taken = [*(["the result of what it follows first"] if first else []), *names]
        hint = f"; it is given {', '.join(taken)}, which task.si(…) is not" if taken else ""
        raise ArgumentError(f"{error}{hint}") from None


def check_fit(giver: Signature[Any, Any] | str, taker: Signature[Any, Any], name: str) -> None:
    """Raise ArgumentError if nothing that is given can fit the argument that takes it, by what both are annotated with.

    Args:
        giver: the task whose result it is; or the kind of a node: ``"gather"`` comes to a list, ``"object"`` to a dict.
        taker: the task that is given it.
        name: the argument's.
    """
    given: Any = giver if isinstance(giver, str) else giver.call._task
    takes: Any = taker.call._task
    if (problem := _misfit(given, takes, name)) is not None:
        raise ArgumentError(problem)


@cache
def _misfit(giver: Any, taker: Any, name: str) -> str | None:
    found: tuple[Any, ...] = ()
    if isinstance(giver, str):
        found = {"gather": ([],), "object": ({},)}.get(giver, ())
        what = {"gather": "a list of results", "object": "a dict of results"}.get(giver)
    elif giver.codec is None:
        found, what = giver.returns.samples, f"the result of {giver.name}, which returns {giver.returns.shown}"
    if taker.codec is not None or not found or any(taker.parameters.takes_kind_of(name, each) for each in found):
        return None
    expects = taker.parameters.expects(name)
    return (
        f"{taker.name}: {name} takes {expects}, and is given {what}: annotate one of them otherwise, or write "
        f"{taker.name}.si(…), which is given nothing"
    )


def check_later(signature: Signature[Any, Any], takes: Collection[str]) -> None:
    """Raise OptionError for options that need arguments which nobody knows before others have ended, or the caller."""
    task, options = signature.call._task, signature.call._options
    if not options.conditional and task.line is None:
        return
    for name in ("debounce", "throttle"):
        if getattr(options, name) is not None:
            raise OptionError(f"{task.name}: {name} and workflows do not go together: its job might never come to be")
    if options.unique is not None and (options.unique.within is not None or options.unique.on_conflict != "skip"):  # type: ignore[union-attr]
        raise OptionError(f"{task.name}: in a workflow, unique= can neither look back (within) nor do other than skip")
    by = options.unique and options.unique.by  # type: ignore[union-attr]
    keyed = set(by if isinstance(by, tuple) else takes if by == "args" else ())
    keyed |= {key for _, key in task.line._named if key} if task.line is not None else set()
    if unknown := keyed & set(takes):
        raise OptionError(
            f"{task.name}: {sorted(unknown)[0]} makes a key (of unique= or limits=), and is the result of another "
            "task, which nobody knows yet: give it as an argument"
        )


def _bound(task: Any, signature: Signature[Any, Any], first: bool, names: Sequence[str]) -> tuple[dict[str, Any], str]:
    plain = None if first or names or signature.kwargs else by_position(task)
    if plain is not None and len(signature.args) == len(plain):
        known = dict(zip(plain, signature.args, strict=True))  # the common case: a tenth of the time
        return _stored(task, known), ""
    later: Any = object()
    args = (later, *signature.args) if first else signature.args
    all_of_them = task._bound(args, {**signature.kwargs, **dict.fromkeys(names, later)})
    taken = [name for name, value in all_of_them.items() if value is later and name not in names]
    known = {name: value for name, value in all_of_them.items() if value is not later}
    return _stored(task, known), taken[0] if taken else ""


@cache
def by_position(task: Any) -> tuple[str, ...] | None:
    """The names of its arguments, if each of them can be given by its position."""
    parameters = task.signature.parameters
    plain = all(each.kind is Parameter.POSITIONAL_OR_KEYWORD for each in parameters.values())
    return tuple(parameters) if plain else None


def _stored(task: Any, known: dict[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = task.parameters.dump(task.name, known, json_too=True)
    return converted if task.codec is None else task.codec.arguments(task.name, known, converted, task.hidden)
