"""What an app provides and its tasks ask for by type: sessions, HTTP clients, settings."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from workrow.declare.loud import loud
from workrow.errors import ConfigurationError, OptionError, WorkrowError

F = TypeVar("F", bound=Callable[..., Any])
Scope = Literal["worker", "job"]
STREAMS = (AsyncIterator, AsyncGenerator, Iterator, Generator)


class NotInjected(WorkrowError, AttributeError):
    """A task was called without a worker, and without the resource that the worker would have given it."""


class _Injected:
    """The default of a parameter that a worker fills."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotInjected(
            f"workrow.inject() has no {name}: only a worker injects resources; where you call the task yourself, give "
            "them as arguments"
        )

    def __repr__(self) -> str:
        return "inject()"


_INJECTED = _Injected()


def inject() -> Any:
    """The default of a task's parameter that the worker fills with what the app provides for the parameter's type.

    ``async def fetch(url: str, client: HTTPClient = workrow.inject())``. The parameter is no argument of the job.
    """
    return _INJECTED


def injected_names(func: Callable[..., Any]) -> frozenset[str]:
    """The parameters that a worker fills.

    Raises:
        OptionError: one of them has no type.
    """
    found = {name: each for name, each in inspect.signature(func).parameters.items() if each.default is _INJECTED}
    for name, parameter in found.items():
        if parameter.annotation is inspect.Parameter.empty:
            raise OptionError(f"parameter {name} = inject() needs a type, such as {name}: HTTPClient = inject()")
    return frozenset(found)


def injected_kinds(func: Callable[..., Any]) -> dict[str, Any]:
    """The types of these parameters.

    Raises:
        ConfigurationError: an annotation names something that does not exist at run time.
    """
    names = injected_names(func)
    if not names:
        return {}
    try:
        hints = get_type_hints(func, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"the types of {func.__module__}.{func.__qualname__} are needed at run time to inject its resources: "
            f"{error}; import it outside of `if TYPE_CHECKING`"
        ) from None
    return {name: hints[name] for name in sorted(names)}


@dataclass(frozen=True, slots=True)
class Provider:
    """How a resource is made.

    Attributes:
        make: called with the job's context if ``takes_context``. What it returns is awaited if it is awaitable, and
            entered if it is a context manager.
        scope: for how long it lives.
        takes_context: whether it wants to know the job.
        is_async: it can be opened on the event loop only.
    """

    make: Callable[..., Any]
    scope: Scope
    takes_context: bool
    is_async: bool

    @classmethod
    def of(cls, factory: Callable[..., Any], scope: Scope) -> "Provider":
        """Raises: OptionError: it cannot be called as a factory is."""
        if scope not in ("worker", "job"):
            raise OptionError(f"scope={scope!r}: must be 'worker' (one for all jobs) or 'job' (one for each)")
        if not callable(factory):
            raise OptionError(f"{factory!r} is no factory: give a function, such as `lambda: {factory!r:.40}`")
        required = _required(factory)
        if required > (scope == "job"):
            raise OptionError(
                f"the factory {factory!r} needs {required} arguments: it is called without any, or, with scope='job', "
                "with the JobContext"
            )
        make: Callable[..., Any] = factory
        if inspect.isasyncgenfunction(factory):
            make = asynccontextmanager(factory)
        elif inspect.isgeneratorfunction(factory):
            make = contextmanager(factory)
        is_async = inspect.isasyncgenfunction(factory) or inspect.iscoroutinefunction(factory)
        return cls(make, scope, bool(required), is_async or hasattr(factory, "__aenter__"))


class Providers:
    """The providers of an app, by the type that they provide."""

    def __init__(self) -> None:
        self._providers: dict[Any, Provider] = {}
        self._overrides: dict[Any, Any] = {}

    def add(self, kind: Any, provider: Provider) -> None:
        """Raises: OptionError: the type has a provider already, or is none."""
        if isinstance(kind, str) or kind is None or kind is Any:
            raise OptionError(f"provide({kind!r}): must be a class, or Annotated[…] of one")
        if kind in self._providers:
            raise OptionError(f"provide({_name(kind)}): it has a provider already; tests use app.overriding(…)")
        self._providers[kind] = provider

    def __contains__(self, kind: Any) -> bool:
        return kind in self._overrides or kind in self._providers

    def __getitem__(self, kind: Any) -> Provider:
        return self._providers[kind]

    @property
    def overrides(self) -> dict[Any, Any]:
        """What tests give instead, by type."""
        return self._overrides

    def check(self, task: str, func: Callable[..., Any]) -> None:
        """Raise ConfigurationError if a parameter of the task's function has no provider."""
        for name, kind in injected_kinds(func).items():
            if kind not in self:
                raise ConfigurationError(
                    f"task {task}: nobody provides {name}: {_name(kind)} = inject(); declare "
                    f"app.provide({_name(kind)}, factory)"
                )


class Provides:
    """``provide``, ``provider`` and ``overriding``: of an app."""

    @cached_property
    def providers(self) -> Providers:
        """What has been declared so far."""
        return Providers()

    def provide(self, kind: Any, factory: Callable[..., Any], *, scope: Scope = "worker") -> None:
        """Let tasks have a resource: a parameter ``client: HTTPClient = workrow.inject()`` receives it.

        Args:
            kind: the parameter's type.
            factory: makes it: a function (sync or async), a class, or a generator function (sync or async) with one
                ``yield``, after which it is closed. What a function returns is entered if it is a context manager. With
                ``scope="job"`` it may take the `JobContext`.
            scope: "worker": made when the first job needs it, once for each worker, and closed when the worker stops;
                "job": made for each attempt, outside of the task's transaction, and closed at its end, which it is
                told if it is a context manager or a generator.

        Raises:
            OptionError: the type has a provider already, or the factory cannot be one.
        """
        self.providers.add(kind, Provider.of(factory, scope))

    def provider(self, *, scope: Scope = "worker") -> Callable[[F], F]:
        """`provide` as a decorator; the type is what the function is annotated to return or to yield.

        Raises:
            OptionError: as `provide`; or there is no such annotation.
        """

        def decorate(factory: F) -> F:
            returned = get_type_hints(factory, include_extras=True).get("return")
            origin = get_origin(returned)
            kind = get_args(returned)[0] if origin in STREAMS else returned
            if kind is None:
                raise OptionError(f"@app.provider on {factory!r}: annotate what it returns, or use app.provide(…)")
            self.provide(kind, factory, scope=scope)
            return factory

        return decorate

    @loud
    @contextmanager
    def overriding(self, kind: Any, value: Any) -> Iterator[None]:
        """For tests: jobs that start inside of the block receive ``value``, which is neither opened nor closed."""
        overrides = self.providers.overrides
        before = dict(overrides)
        overrides[kind] = value
        try:
            yield
        finally:
            overrides.clear()
            overrides.update(before)


def _required(factory: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # of a class in C
        return 0
    unbound = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return sum(each.default is inspect.Parameter.empty and each.kind not in unbound for each in parameters)


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)
