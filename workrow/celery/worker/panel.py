"""Commands that workers know, by their names."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar, overload


class Info(NamedTuple):
    """What is known of a command.

    Attributes:
        name: its name.
        type: "inspect" or "control".
        help: one line.
        signature: its arguments, as a command line shows them.
        args: names and types of those that a command line gives in order.
        variadic: the argument that takes the rest of them.
        alias: another name.
        default_timeout: seconds for which a command line waits.
        visible: a command line lists it.
    """

    name: str
    type: str
    help: str
    signature: str | None
    args: list[tuple[str, Callable[[str], Any]]]
    variadic: str | None
    alias: str | None
    default_timeout: float
    visible: bool


Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


class Panel:
    """The registry: functions, and what is known of them."""

    data: ClassVar[dict[str, Handler]] = {}
    meta: ClassVar[dict[str, Info]] = {}

    @classmethod
    def register(cls, *args: Any, **options: Any) -> Any:
        """As a decorator, with or without options: a control command."""
        return control_command(*args, **options)

    @classmethod
    def add(
        cls,
        handler: Handler,
        kind: str,
        *,
        name: str | None = None,
        alias: str | None = None,
        args: list[tuple[str, Callable[[str], Any]]] | None = None,
        variadic: str | None = None,
        signature: str | None = None,
        help: str | None = None,
        visible: bool = True,
        default_timeout: float = 1.0,
    ) -> Handler:
        """Register a function; returns it."""
        name = name or handler.__name__
        lines = (help or handler.__doc__ or "").strip().splitlines()
        told = lines[0] if lines else ""
        cls.data[name] = handler
        cls.meta[name] = Info(name, kind, told, signature, args or [], variadic, alias, default_timeout, visible)
        if alias:
            cls.data[alias] = handler
        return handler


@overload
def control_command(handler: H) -> H: ...
@overload
def control_command(**options: Any) -> Callable[[H], H]: ...
def control_command(handler: Any = None, **options: Any) -> Any:
    """Workers do what this function does when they are told so by its name.

    It is called with the worker's `workrow.celery.worker.mailbox.State` and the arguments; what it returns is the
    reply. It runs in a thread of the worker, beside the calls.

    Args:
        handler: the function.
        **options: see `Panel.add`.
    """
    return Panel.add(handler, "control", **options) if handler else lambda given: Panel.add(given, "control", **options)


@overload
def inspect_command(handler: H) -> H: ...
@overload
def inspect_command(**options: Any) -> Callable[[H], H]: ...
def inspect_command(handler: Any = None, **options: Any) -> Any:
    """The same for a function that only tells."""
    return Panel.add(handler, "inspect", **options) if handler else lambda given: Panel.add(given, "inspect", **options)


def ok(value: Any) -> dict[str, Any]:
    """A reply."""
    return {"ok": value}


def nok(value: Any) -> dict[str, Any]:
    """A reply that tells what is wrong."""
    return {"error": value}
