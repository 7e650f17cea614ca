"""Open what tasks ask for, and close it."""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Any, TypeVar

from workrow.context import JobContext
from workrow.declare.loud import Loud
from workrow.declare.resources import Provider, Providers, injected_kinds
from workrow.errors import ConfigurationError
from workrow.logs import get_logger
from workrow.worker.job_logs import carried

logger = get_logger(__name__)

T = TypeVar("T")

CLOSE_SECONDS = 5.0
"""What a resource may take to close when the worker stops."""

Wanted = dict[str, Any]
"""From the names of parameters to their types."""


class Provision:
    """The resources of one worker.

    Args:
        providers: of its app.
    """

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._held: dict[Any, _Held] = {}
        # not that of the job which happens to be the first one
        self._context = contextvars.copy_context()

    def wanted(self, func: Callable[..., Any]) -> Wanted:
        """What the function asks for."""
        return injected_kinds(func)

    def check(self, task: str, func: Callable[..., Any]) -> None:
        """Raise ConfigurationError if something that the function asks for has no provider."""
        self._providers.check(task, func)

    async def run(
        self, wanted: Wanted, context: JobContext, job: Callable[["Given"], Awaitable[T]], *, in_thread: bool
    ) -> T:
        """Await ``job`` with what an attempt needs: opened before it, but what its thread is to open; closed after."""
        given = Given(context)
        async with Loud(AsyncExitStack()) as stack:
            for name, kind in wanted.items():
                if kind in self._providers.overrides:
                    given.values[name] = self._providers.overrides[kind]
                elif (provider := self._providers[kind]).scope == "worker":
                    given.values[name] = await self._hold(kind, provider)
                elif in_thread and not provider.is_async:
                    given.later[name] = provider
                else:
                    given.values[name] = await _enter(stack, provider, context)
            return await job(given)

    async def close(self) -> None:
        """Close the worker's resources, the youngest first."""
        while self._held:
            kind, held = self._held.popitem()
            if not await held.close():
                logger.error("resource %s: not closed after %g s, left behind", kind, CLOSE_SECONDS)

    async def _hold(self, kind: Any, provider: Provider) -> Any:
        held = self._held.get(kind)
        if held is None:
            held = self._held[kind] = _Held(kind, provider, self._context)
        try:
            return await held.value()
        except BaseException:
            if held.failed and self._held.get(kind) is held:
                del self._held[kind]  # the next job tries again
            raise


class Given:
    """What one attempt is given.

    Attributes:
        values: what is open, by the names of parameters.
        later: what the thread opens itself.
    """

    def __init__(self, context: JobContext | None = None) -> None:
        self.values: dict[str, Any] = {}
        self.later: dict[str, Provider] = {}
        self._context = context

    def here(self, call: Callable[[dict[str, Any]], T]) -> T:
        """Call this with all of it, the rest opened in this thread and closed when the call has ended."""
        if not self.later:
            return call(self.values)
        with Loud(ExitStack()) as stack:
            values = {name: self._enter(stack, provider) for name, provider in self.later.items()}
            return call({**self.values, **values})

    def _enter(self, stack: ExitStack, provider: Provider) -> Any:
        made = provider.make(self._context) if provider.takes_context else provider.make()
        if hasattr(type(made), "__enter__"):
            return stack.enter_context(Loud(made))
        if hasattr(type(made), "__aenter__") or inspect.isawaitable(made):
            raise ConfigurationError(
                f"the factory {provider.make!r} of scope='job' makes something async for a sync task, and does not say "
                "so: make it an async function"
            )
        return made


NOTHING = Given()


class _Held:
    """A resource of the worker. A task of its own opens and closes it: what anyio opens, only the same task closes."""

    def __init__(self, kind: Any, provider: Provider, context: contextvars.Context) -> None:
        self._kind = kind
        self._value: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._value.add_done_callback(_hear)
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._live(provider), context=context.copy())

    @property
    def failed(self) -> bool:
        """Whether it could not be opened."""
        return self._value.done() and self._value.exception() is not None

    async def value(self) -> Any:
        """What was opened; a job that is cancelled meanwhile does not disturb the others that wait."""
        return await asyncio.shield(self._value)

    async def close(self) -> bool:
        self._over.set()
        _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        return not late

    async def _live(self, provider: Provider) -> None:
        try:
            async with AsyncExitStack() as stack:
                value = await _enter(stack, provider, None)
                self._value.set_result(value)
                await self._over.wait()
        except BaseException as error:
            if not self._value.done():
                self._value.set_exception(
                    RuntimeError("cancelled while it was opened")
                    if isinstance(error, asyncio.CancelledError)
                    else carried(error)
                    if isinstance(error, StopIteration | GeneratorExit)
                    else error
                )
            else:
                logger.error("resource %s: closing it failed: %r", self._kind, error, exc_info=error)
            if isinstance(error, asyncio.CancelledError):
                raise


async def _enter(stack: AsyncExitStack, provider: Provider, context: JobContext | None) -> Any:
    made = provider.make(context) if provider.takes_context else provider.make()
    if inspect.isawaitable(made) and not hasattr(type(made), "__aenter__"):
        made = await made
    if hasattr(type(made), "__aenter__"):
        return await stack.enter_async_context(Loud(made))
    if hasattr(type(made), "__enter__"):
        return stack.enter_context(Loud(made))
    return made


def _hear(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
