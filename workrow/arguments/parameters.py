"""Arguments and results as the annotations say: checked at the call, JSON in the row, the same types in the worker."""

import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Optional, get_args, get_origin, get_type_hints

from workrow.arguments.codec import Codec
from workrow.arguments.jsonb import check_keys
from workrow.arguments.kinds import CONVERTED, SCALARS, Kinds, kinds, shown
from workrow.arguments.payload import Arguments, Misfit
from workrow.errors import ArgumentError, OptionError, ResultError, brief

if TYPE_CHECKING:
    from workrow.arguments.conversion import Conversion


class Parameters:
    """The parameters of one task.

    Annotations are resolved here, and again at the first use where they name what does not exist yet. Names that exist
    for type checkers only leave their parameter without a type.

    Args:
        func: the task's function.
        signature: the arguments that a job carries.

    Attributes:
        unknown: what is wrong with an annotation that pydantic has no way to JSON and back for; an app whose connector
            has such a way takes them.
    """

    def __init__(self, func: Callable[..., Any], signature: inspect.Signature) -> None:
        self._func = func
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
            check_keys(task, name, value)
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
            expected = shown(self._annotation(name))
            raise ArgumentError(f"{task}: argument {name}={brief(value)} does not fit {expected}: {error}") from None

    def _loaded(self, name: str, stored: Any) -> Any:
        allowed = self._kinds_of(name)
        if allowed is None or type(stored) in allowed:
            return stored
        try:
            return self._conversion(name).from_json(stored)
        except ValueError as error:
            raise Misfit(f"{name}={brief(stored)} does not fit {shown(self._annotation(name))}: {error}") from None

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
            self._add(parameter)
        self._kinds_of = self._kinds_of_other if self._others in self._kinds else self._kinds.get


class Result:
    """What a task returns, as its annotation says. An annotation that has no way to JSON and back says nothing.

    Args:
        func: the task's function.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self._annotation: Any = None
        self._conversion: Conversion | None = None
        self._kinds: Kinds | None = None
        annotation = inspect.signature(func).return_annotation
        if annotation is inspect.Signature.empty:
            return
        try:
            annotation = resolved(func, annotation)
            if get_origin(annotation) in (Awaitable, Coroutine):
                annotation = get_args(annotation)[-1]
            self._kinds, self._annotation = kinds(annotation), annotation
            if self.converted:
                self._conversion = conversion_of(annotation)
        except (NameError, OptionError):
            self._kinds = None

    @property
    def converted(self) -> bool:
        """Whether it is more than plain JSON."""
        return self._kinds == CONVERTED

    def dump(self, value: Any) -> Any:
        """The value as a JSON value; itself if it is not what the annotation says."""
        if not self.converted or self._conversion is None:
            return value
        try:
            return self._conversion.result_to_json(value)
        except ValueError:
            return value

    def load_read(self, value: Any) -> Any:
        """The same of what a connector's ``json_loads`` has read.

        Raises:
            ResultError: it does not fit the annotation.
        """
        if value is None or self._kinds is None or type(value) in self._kinds:
            return value
        conversion = self._conversion = self._conversion or conversion_of(self._annotation)
        return conversion.fitting(value, lambda: self.load(value))

    def load(self, stored: Any) -> Any:
        """The value that a stored JSON value stands for.

        Raises:
            ResultError: it does not fit the annotation.
        """
        if stored is None or self._kinds is None or type(stored) in self._kinds:
            return stored
        conversion = self._conversion = self._conversion or conversion_of(self._annotation)
        try:
            return conversion.from_json(stored)
        except ValueError:
            pass
        try:
            return conversion.from_json(stored, strict=False)
        except ValueError as error:
            raise ResultError(f"the result {brief(stored)} does not fit the return annotation: {error}") from None


class Coded:
    """What a task returns, as its connector's ``json_dumps`` writes it.

    Args:
        codec: writes it where it knows how.
        kind: else this.
    """

    def __init__(self, codec: Codec, kind: Result | None) -> None:
        self._codec = codec
        self._kind = kind

    def dump(self, value: Any) -> Any:
        """The value as a JSON value; itself where nobody knows how."""
        try:
            return self._codec.plain(value)
        except (TypeError, ValueError, RecursionError):
            return self._kind.dump(value) if self._kind else value


Kind = Result | Coded


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
