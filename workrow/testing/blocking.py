"""The harness for tests that are no coroutines."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from workrow.app import App
from workrow.declare.loud import loud
from workrow.testing.clock import DatabaseClock, Moment
from workrow.testing.harness import Harness
from workrow.testing.travel import Clock

P = ParamSpec("P")
R = TypeVar("R")


def _blocking(
    method: Callable[Concatenate[Harness, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["BlockingHarness", P], R]:
    def call(self: "BlockingHarness", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.wait(method(self.harness, *args, **kwargs))

    update_wrapper(call, method)
    return call


def _clock_blocking(
    method: Callable[Concatenate[Clock, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["BlockingClock", P], R]:
    def call(self: "BlockingClock", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.owner.wait(method(self.owner.harness.clock, *args, **kwargs))

    update_wrapper(call, method)
    return call


class BlockingHarness:
    """`Harness` without ``await``: ``with BlockingHarness(app) as jobs: …``.

    It has an event loop in a thread of its own, where the app is opened and coroutine tasks run.

    Args:
        app: the app, not opened.
        concurrency: as for `Harness`.
    """

    def __init__(self, app: App, *, concurrency: int = 1) -> None:
        self.harness = Harness(app, concurrency=concurrency)
        self.clock = BlockingClock(self)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="workrow-testing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait(self.harness.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.wait(self.harness.__aexit__())
            self.wait(self._loop.shutdown_default_executor())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """What a coroutine returns that runs in the harness's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    drain = _blocking(Harness.drain)
    run_next = _blocking(Harness.run_next)
    tick = _blocking(Harness.tick)
    waiting = _blocking(Harness.waiting)
    assert_enqueued = _blocking(Harness.assert_enqueued)
    refute_enqueued = _blocking(Harness.refute_enqueued)


class BlockingClock:
    """`Clock` without ``await``."""

    def __init__(self, owner: BlockingHarness) -> None:
        self.owner = owner

    @loud
    @contextlib.contextmanager
    def at(self, moment: Moment | None = None, timezone: str | None = None) -> Iterator[Self]:
        """As `DatabaseClock.at`."""
        with self._clock.at(moment, timezone):
            yield self

    @property
    def _clock(self) -> DatabaseClock:
        return self.owner.harness.clock

    @property
    def now(self) -> Callable[..., Any]:
        """As `DatabaseClock.now`."""
        return self._clock.now

    @property
    def jump(self) -> Callable[..., None]:
        """As `DatabaseClock.jump`."""
        return self._clock.jump

    advance = _clock_blocking(Clock.advance)
    run_for = _clock_blocking(Clock.run_for)
    run_until = _clock_blocking(Clock.run_until)
