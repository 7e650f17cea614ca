"""Schedules that are created, changed, paused and deleted at run time: ``app.schedules``."""

from collections.abc import Sequence
from typing import Any, TypeVar, Unpack

from workrow.database.given import pool_of, sync_pool_of
from workrow.declare.schedule import ScheduleOptions
from workrow.enqueue.transaction import AsyncTransaction, SyncTransaction
from workrow.job import Job
from workrow.schedules import operations
from workrow.schedules.operations import Owner, ScheduleState, Steps, run_steps, run_steps_async
from workrow.tasks import Task

__all__ = ["ScheduleState", "Schedules"]

T = TypeVar("T")


class Schedules:
    """Schedules at run time. Each method has a twin ``…_async``; both take ``on``, as ``task.enqueue`` does.

    Without ``on`` they have a transaction of their own, on the opened app. Workers hear of a change when it commits.
    """

    def __init__(self, app: Owner) -> None:
        self._app = app

    async def create_async(
        self,
        name: str,
        task: Task[..., Any] | str,
        *,
        on: AsyncTransaction | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Create a schedule, which counts from now.

        Args:
            name: unique among all schedules.
            task: which task it enqueues: the task or its name.
            on: the caller's transaction.
            **options: as for `workrow.Schedule`.

        Raises:
            OptionError: an option cannot work, the task is unknown, or the arguments do not fit it.
            ScheduleExists: the name is taken; the transaction is usable.
            TransactionError: the transaction cannot take the statement.
        """
        await self._run_async(on, operations.create(self._app, name, task, options))

    def create(
        self,
        name: str,
        task: Task[..., Any] | str,
        *,
        on: SyncTransaction | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """`create_async`, blocking."""
        self._run(on, operations.create(self._app, name, task, options))

    async def update_async(
        self, name: str, *, on: AsyncTransaction | None = None, **options: Unpack[ScheduleOptions]
    ) -> None:
        """Change options of a dynamic schedule; those not named stay. If it is due at other times, it counts from now.

        Raises:
            OptionError: as `create_async`; or it is a declared one, which is changed in the code.
            ScheduleNotFound: there is none of that name.
        """
        await self._run_async(on, operations.update(self._app, name, options))

    def update(self, name: str, *, on: SyncTransaction | None = None, **options: Unpack[ScheduleOptions]) -> None:
        """`update_async`, blocking."""
        self._run(on, operations.update(self._app, name, options))

    async def pause_async(
        self, name: str, *, by: str | None = None, reason: str | None = None, on: AsyncTransaction | None = None
    ) -> None:
        """Enqueue nothing until `resume`. Declared schedules can be paused too, and stay so when workers restart.

        Raises:
            ScheduleNotFound: there is none of that name.
        """
        await self._run_async(on, operations.pause(name, by, reason))

    def pause(
        self, name: str, *, by: str | None = None, reason: str | None = None, on: SyncTransaction | None = None
    ) -> None:
        """`pause_async`, blocking."""
        self._run(on, operations.pause(name, by, reason))

    async def resume_async(self, name: str, *, on: AsyncTransaction | None = None) -> bool:
        """Go on with the next due time; those of the pause are not made up for. False: it was not paused.

        Raises:
            ScheduleNotFound: there is none of that name.
        """
        return await self._run_async(on, operations.resume(name))

    def resume(self, name: str, *, on: SyncTransaction | None = None) -> bool:
        """`resume_async`, blocking."""
        return self._run(on, operations.resume(name))

    async def run_now_async(self, name: str, *, on: AsyncTransaction | None = None) -> Job[Any]:
        """Enqueue its job once more, out of turn, paused or not; its due time is now.

        Raises:
            ScheduleNotFound: there is none of that name.
            OptionError: its task is unknown to this app, or the arguments do not fit it any more.
            AlreadyEnqueued: as ``task.enqueue``.
        """
        return await self._run_async(on, operations.run_now(self._app, name))

    def run_now(self, name: str, *, on: SyncTransaction | None = None) -> Job[Any]:
        """`run_now_async`, blocking."""
        return self._run(on, operations.run_now(self._app, name))

    async def delete_async(self, name: str, *, on: AsyncTransaction | None = None) -> None:
        """Delete a dynamic schedule, or a declared one 90 s after the last worker that declares it has stopped.
        Its jobs stay.

        Raises:
            ScheduleNotFound: there is none of that name.
            OptionError: it is declared by code that workers run.
        """
        await self._run_async(on, operations.delete(name))

    def delete(self, name: str, *, on: SyncTransaction | None = None) -> None:
        """`delete_async`, blocking."""
        self._run(on, operations.delete(name))

    async def list_async(self, *, on: AsyncTransaction | None = None) -> Sequence[ScheduleState]:
        """All schedules, declared and dynamic, by name."""
        return await self._run_async(on, operations.read(None))

    def list(self, *, on: SyncTransaction | None = None) -> Sequence[ScheduleState]:
        """`list_async`, blocking."""
        return self._run(on, operations.read(None))

    async def _run_async(self, on: AsyncTransaction | None, steps: Steps[T]) -> T:
        if on is not None:
            return await run_steps_async(on, steps)
        pool = await pool_of(self._app.connector)
        async with pool.connection() as connection, connection.transaction():
            return await run_steps_async(connection, steps)

    def _run(self, on: SyncTransaction | None, steps: Steps[T]) -> T:
        if on is not None:
            return run_steps(on, steps)
        with sync_pool_of(self._app.connector).connection() as connection, connection.transaction():
            return run_steps(connection, steps)
