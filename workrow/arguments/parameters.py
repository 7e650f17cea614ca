"""Arguments and results as the annotations say: checked at the call, JSON in the row, the same types in the worker."""

import inspect
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Optional, get_type_hints

from workrow.arguments.jsonb import check_keys
from workrow.arguments.kinds import CONVERTED, SCALARS, Kinds, kinds, shown
from workrow.arguments.payload import Arguments, Misfit
from workrow.arguments.secrets import EVERYTHING, MASK, NOTHING, hides
from workrow.errors import ArgumentError, OptionError, brief

if TYPE_CHECKING:
    from workrow.arguments.conversion import Conversion


class Parameters:
    """The parameters of one task.

    Annotations are resolved here, and again at the first use where they name what does not exist yet. Names that exist
    for type checkers only leave their parameter without a type.

    Args:
        func: the task's function.
        signature: the arguments that a job carries.
        hide: the names of those that are not to be shown, beside those whose annotations say so.

    Attributes:
        unknown: what is wrong with an annotation that pydantic has no way to JSON and back for; an app whose connector
            has such a way takes them.
    """

    def __init__(self, func: Callable[..., Any], signature: inspect.Signature, hide: frozenset[str] = NOTHING) -> None:
        self._func = func
        self._hidden = hide
        self._defaults = {
            each.name: each.default for each in signature.parameters.values() if each.default is not each.empty
        }
        self._kinds: dict[str, Kinds] = {}
        self._annotations: dict[str, Any] = {}
        self._conversions: dict[str, Conversion] = {}
        self._others = ""
        self.unknown: OptionError | None = None
        self._pending: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                self._others = parameter.name
            if not self._add(parameter):
                self._pending.append(parameter)
        self._kinds_of = self._kinds_of_other if self._others in self._kinds else self._kinds.get

    @property
    def checked(self) -> bool:
        """Whether there is anything to check, or to convert."""
        return bool(self._kinds or self._pending)

    @property
    def hidden(self) -> frozenset[str]:
        """The names of the arguments that are stored as they are, and never shown."""
        if self._pending:
            self._settle()
        return self._hidden

    @property
    def pending(self) -> bool:
        """Whether annotations name what does not exist, or not yet."""
        return bool(self._pending)

    @property
    def perhaps_hidden(self) -> frozenset[str]:
        """The same while annotations may still name what comes later: with those that these would hide."""
        pending = (EVERYTHING if each.name == self._others else each.name for each in self._pending)
        return self._hidden.union(pending)

    def hidden_defaults(self) -> Arguments:
        """What hidden arguments are where a row has none, as JSON values where they have such."""
        found = {}
        for name, value in self._defaults.items():
            if hides(self.hidden, name):
                try:
                    found.update(self.dump("", {name: value}))
                except ArgumentError:
                    found[name] = value
        return found

    def dump(self, task: str, arguments: Arguments, *, json_too: bool = False) -> Arguments:
        """The arguments as JSON values.

        Args:
            task: the task's name, for errors.
            arguments: by name.
            json_too: take a value that does not fit for the JSON of one that does, as procrastinate's ``defer`` has it.

        Raises:
            ArgumentError: one does not fit its annotation.
        """
        if self._pending:
            self._settle()
        kinds_of = self._kinds_of
        for name, value in arguments.items():
            allowed = kinds_of(name)
            if type(value) not in (SCALARS if allowed is None else allowed):
                return {key: self._dumped(task, key, each, json_too) for key, each in arguments.items()}
        return arguments

    def load(self, arguments: Arguments) -> Arguments:
        """The arguments of a row as the function takes them.

        Raises:
            Misfit: one does not fit its annotation.
        """
        if self._pending:
            self._settle()
        if type(arguments) is not dict:
            return arguments  # which the call itself will say
        kinds_of = self._kinds_of
        for name, value in arguments.items():
            allowed = kinds_of(name)
            if allowed is not None and type(value) not in allowed:
                return {key: self._loaded(key, each) for key, each in arguments.items()}
        return arguments

    def load_read(self, arguments: Arguments) -> Arguments:
        """The same of what a connector's ``json_loads`` has read: a value that fits its annotation is one already.

        Raises:
            Misfit: one does not fit its annotation.
        """
        if self._pending:
            self._settle()
        if type(arguments) is not dict:
            return arguments
        return {name: self._fitting(name, value) for name, value in arguments.items()}

    def takes_kind_of(self, name: str, sample: Any) -> bool:
        """Whether a JSON value of the same kind as this one may fit an argument."""
        if self._pending:
            self._settle()
        allowed = self._kinds_of(name)
        if allowed is None or type(sample) in allowed or (type(sample) is int and float in allowed):
            return True
        return allowed == CONVERTED and self._conversion(name).takes_kind_of(sample)

    def expects(self, name: str) -> str:
        """An argument's annotation, as it is written."""
        return shown(self._annotation(name))

    def _fitting(self, name: str, value: Any) -> Any:
        allowed = self._kinds_of(name)
        if allowed is None or type(value) in allowed:
            return value
        return self._conversion(name).fitting(value, lambda: self._loaded(name, value))

    def _kinds_of_other(self, name: str) -> Kinds | None:
        if name in self._annotations:
            return self._kinds.get(name)
        return self._kinds.get(self._others)

    def _dumped(self, task: str, name: str, value: Any, json_too: bool) -> Any:
        allowed = self._kinds_of(name)
        if allowed is None and not json_too:
            check_keys(task, name, value, hidden=hides(self._hidden, name))
        if allowed is None or type(value) in allowed:
            return value
        conversion = self._conversion(name)
        try:
            return conversion.to_json(value)
        except ValueError as error:
            if json_too:
                try:
                    return conversion.json_to_json(value)
                except ValueError:
                    pass
            problem = f"{task}: argument {self._misfit(name, value, error)}"
        # outside of the except clause: procrastinate's CLI prints all that an error has behind it, pydantic's with
        # the value too
        raise ArgumentError(problem)

    def _loaded(self, name: str, stored: Any) -> Any:
        allowed = self._kinds_of(name)
        if allowed is None or type(stored) in allowed:
            return stored
        try:
            return self._conversion(name).from_json(stored)
        except ValueError as error:
            problem = self._misfit(name, stored, error)
        raise Misfit(problem)

    def _misfit(self, name: str, value: Any, error: ValueError) -> str:
        expected = shown(self._annotation(name))
        if hides(self._hidden, name):
            return f"{name}={MASK} does not fit {expected}; why is not told, for it is hidden"
        return f"{name}={brief(value)} does not fit {expected}: {error}"

    def _annotation(self, name: str) -> Any:
        return self._annotations[name if name in self._annotations else self._others]

    def _conversion(self, name: str) -> "Conversion":
        known = name if name in self._annotations else self._others
        conversion = self._conversions.get(known)
        if conversion is None:
            conversion = self._conversions[known] = conversion_of(self._annotations[known])
        return conversion

    def _add(self, parameter: inspect.Parameter) -> bool:
        """Note a parameter; False if its annotation cannot be resolved now."""
        name = parameter.name
        self._annotations.setdefault(name, Any)
        if parameter.annotation is inspect.Parameter.empty:
            return True
        try:
            annotation = resolved(self._func, parameter.annotation)
            if parameter.default is None:
                annotation = Optional[annotation]  # noqa: UP045  # not everything that annotates has an operator |
            allowed = kinds(annotation)
            if allowed == CONVERTED:
                self._conversions[name] = conversion_of(annotation)
                if self._conversions[name].secret:
                    self._hide(parameter)
        except NameError:
            return False
        except OptionError as error:
            self.unknown = self.unknown or OptionError(
                f"parameter {name}: {error}; annotate it with a type that pydantic can rebuild (a scalar, datetime, "
                "UUID, Decimal, Enum, a dataclass or a model, or a list, dict or union of them), or with Any"
            )
            return True
        self._annotations[name] = annotation
        if allowed is not None:
            self._kinds[name] = allowed
        return True

    def _settle(self) -> None:
        """At the first use: what cannot be resolved by now exists for type checkers only."""
        pending, self._pending = self._pending, []
        for parameter in pending:
            if not self._add(parameter) and "Secret" in str(parameter.annotation):
                self._hide(parameter)
        self._kinds_of = self._kinds_of_other if self._others in self._kinds else self._kinds.get

    def _hide(self, parameter: inspect.Parameter) -> None:
        others = parameter.kind is inspect.Parameter.VAR_KEYWORD
        self._hidden |= {EVERYTHING if others else parameter.name}


def conversion_of(annotation: Any) -> "Conversion":
    """The way to JSON and back. Imported when it is needed: pydantic is a sixth of what enqueueing alone would load."""
    from workrow.arguments.conversion import Conversion

    return Conversion(annotation)


def without(signature: inspect.Signature, first: int, names: Collection[str] = ()) -> inspect.Signature:
    """The signature without its first parameters and those of these names, which the worker gives."""
    own = list(signature.parameters.values())[first:]
    return signature.replace(parameters=[each for each in own if each.name not in names])


def resolved(func: Callable[..., Any], annotation: Any) -> Any:
    """An annotation of a function with the names in it looked up.

    Raises:
        NameError: one of them does not exist, or not yet.
    """
    one = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(one, getattr(inspect.unwrap(func), "__globals__", {}), include_extras=True)["it"]
    except NameError:
        raise
    except Exception as error:
        raise NameError(f"{annotation!r}: {error}") from error
