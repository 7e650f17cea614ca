"""What a task returned, as its annotation says: JSON in the row, the same type for who asks."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args, get_origin

from workrow.arguments.codec import Codec
from workrow.arguments.kinds import CONVERTED, Kinds, kinds, shown
from workrow.arguments.parameters import conversion_of, resolved
from workrow.arguments.secrets import MASK, NOTHING, RESULT
from workrow.errors import OptionError, ResultError, brief

if TYPE_CHECKING:
    from workrow.arguments.conversion import Conversion


class Result:
    """What a task returns, as its annotation says. An annotation that has no way to JSON and back says nothing.

    Args:
        func: the task's function.

    Attributes:
        secret: it is stored as it is, and never shown.
    """

    def __init__(self, func: Callable[..., Any], hide: frozenset[str] = NOTHING) -> None:
        self.secret = RESULT in hide
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
                self.secret = self.secret or self._conversion.secret
        except (NameError, OptionError):
            self._kinds = None
            self.secret = self.secret or "Secret" in str(annotation)

    @cached_property
    def samples(self) -> tuple[Any, ...]:
        """A JSON value of each kind that it may be; empty where that cannot be told."""
        from workrow.arguments.samples import samples  # who only enqueues jobs does not load it

        return () if self._kinds is None else samples(self._annotation)

    @property
    def shown(self) -> str:
        """The annotation, as it is written."""
        return shown(self._annotation)

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
            if self.secret:
                raise ResultError(f"the result {MASK} does not fit the return annotation") from None
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
