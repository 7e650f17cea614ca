"""Context managers that cannot keep from us what the block has raised."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Loud(AbstractContextManager[Any], AbstractAsyncContextManager[Any]):
    """A context manager, ``with`` or ``async with`` whatever it is, out of which the block's error comes as it went in.

    It is raised also where the manager keeps silent about it, for it is how the job ends. And where it takes no
    traceback, as a frozen dataclass does: contextlib's managers, and so psycopg's, set the one of what passes through,
    and would raise FrozenInstanceError in its place. What else the manager raises is raised.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    def __enter__(self) -> Any:
        return self._manager.__enter__()

    def __exit__(self, *raised: Any) -> None:
        try:
            self._manager.__exit__(*raised)
        except BaseException as error:
            if not _passed(error, *raised):
                raise

    async def __aenter__(self) -> Any:
        return await self._manager.__aenter__()

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await self._manager.__aexit__(*raised)
        except BaseException as error:
            if not _passed(error, *raised):
                raise


def loud(make: F) -> F:
    """The same function, whose context managers are `Loud`."""

    @wraps(make)
    def made(*args: Any, **kwargs: Any) -> Loud:
        return Loud(make(*args, **kwargs))

    return cast("F", made)


def _passed(error: BaseException, _: Any, passed: BaseException | None, traceback: TracebackType | None) -> bool:
    """Whether an error is the block's, or says no more than that it takes no traceback."""
    if passed is None or error is passed:
        return error is passed
    try:
        passed.__traceback__ = traceback
    except BaseException as refusal:
        # not an assignment: that asks the exception's class
        BaseException.with_traceback(passed, traceback)
        return type(error) is type(refusal) and error.args == refusal.args
    return False
