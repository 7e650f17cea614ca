"""Celery's words for a job in a transaction of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, ParamSpec, Unpack, cast

from typing_extensions import TypeVar

from workrow.arguments.jsonb import check_call
from workrow.declare.options import EnqueueOptions
from workrow.enqueue.insert import Arguments
from workrow.enqueue.target import Target
from workrow.job import Job

P = ParamSpec("P")
R = TypeVar("R")


class CeleryWords(ABC, Generic[P, R]):
    """``delay`` and ``apply_async``, on what `workrow.enqueue.call.Call` can do."""

    _task: Target

    @abstractmethod
    def options(self, **changes: Unpack[EnqueueOptions]) -> "CeleryWords[P, R]": ...
    @abstractmethod
    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments: ...
    @abstractmethod
    def _insert_own(self, arguments: Arguments) -> Job[R]: ...

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Insert one job in a transaction of its own, at once. Blocks for one round trip.

        Raises:
            As ``enqueue``.
        """
        return self._insert_own(self._bind(args, kwargs))

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        expires: float | datetime | None = None,
    ) -> Job[R]:
        """`delay` with options, as Celery spells them.

        Args:
            args: positional arguments.
            kwargs: arguments by name.
            countdown: start no sooner than so many seconds from now, by the database's clock.
            eta: start no sooner than this; a datetime with a time zone.
            queue: the queue's name instead of the task's.
            priority: a higher one runs first (with Redis, Celery has it the other way round).
            expires: never start later than so many seconds after it may start, or than this datetime.

        Raises:
            As ``enqueue``; OptionError for a bad option.
        """
        check_call(self._task.name, args, kwargs)
        given = {"delay": countdown, "at": eta, "queue": queue, "priority": priority, "expires": expires}
        changes = cast("EnqueueOptions", {name: value for name, value in given.items() if value is not None})
        call = self.options(**changes)
        return call._insert_own(call._bind(args or (), kwargs or {}))
