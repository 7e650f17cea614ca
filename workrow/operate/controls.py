"""What an operator does to queues, tasks and workflows."""

from typing import TYPE_CHECKING, Any, cast

import procrastinate

from workrow import sql
from workrow.database.given import pool_of
from workrow.database.held import run_free
from workrow.database.privileges import granted
from workrow.declare.options import check_name
from workrow.errors import OptionError, brief, is_whole
from workrow.logs import get_logger

if TYPE_CHECKING:  # who has no workflows never loads them
    from workrow.workflows.handle import Workflow

ID_MOST = 2**63 - 1
logger = get_logger(__name__)


class Controls(procrastinate.App):
    """Pauses and caps, as methods of an app; each is in the database, for all workers and producers."""

    _held_caps: frozenset[str] = frozenset()

    def workflow(self, workflow_id: int) -> "Workflow[Any]":
        """The handle of a workflow, or of a batch of jobs, by its id; whether it exists is found out when it is asked.

        What its ``result()`` gives is JSON: nobody knows here of what type the last task's is.

        Raises:
            OptionError: it can be no workflow's id.
        """
        from workrow.workflows.handle import Workflow

        if not is_whole(workflow_id, 1, ID_MOST):
            raise OptionError(
                f"workflow_id={brief(workflow_id)}: must be the id of a workflow, a whole number from 1 to 2**63 - 1"
            )
        return Workflow(workflow_id, cast("Any", self))

    async def pause_queue_async(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """Let no worker start jobs of this queue until it is resumed; running ones go on. Takes effect within a second.

        Args:
            name: the queue's name; nothing checks that there is one.
            actor: who wants it.
            reason: why.

        Returns:
            True; False if it was paused already, and by whom and why stays what it was.

        Raises:
            OptionError: the name is empty.
        """
        return await self._control_async("pause", "queue", name, actor, reason)

    def pause_queue(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """`pause_queue_async`, blocking."""
        return self._control("pause", "queue", name, actor, reason)

    async def resume_queue_async(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """End a queue's pause and wake the workers; returns whether it was paused."""
        return await self._control_async("resume", "queue", name, actor, reason)

    def resume_queue(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """`resume_queue_async`, blocking."""
        return self._control("resume", "queue", name, actor, reason)

    async def pause_task_async(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """As `pause_queue_async`, for the jobs of one task, those that carry an alias of it included."""
        return await self._control_async("pause", "task", name, actor, reason)

    def pause_task(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """`pause_task_async`, blocking."""
        return self._control("pause", "task", name, actor, reason)

    async def resume_task_async(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """End a task's pause and wake the workers; returns whether it was paused."""
        return await self._control_async("resume", "task", name, actor, reason)

    def resume_task(self, name: str, *, actor: str | None = None, reason: str | None = None) -> bool:
        """`resume_task_async`, blocking."""
        return self._control("resume", "task", name, actor, reason)

    def queue(self, name: str, *, max_depth: int | None) -> None:
        """Declare how many jobs a queue holds; workers of this app note it in the database when they start.

        Args:
            name: the queue's name.
            max_depth: at most so many jobs that could run now; whoever enqueues more gets `QueueFull`. None: no cap.

        Raises:
            OptionError: the name is empty, or the number is below 1.
        """
        check_name("queue", name)
        if max_depth is not None and not is_whole(max_depth, 1):
            raise OptionError(
                f"queue {name!r}: max_depth={brief(max_depth)} must be a whole number, at least 1, or None"
            )
        self.declared_caps[name] = max_depth

    @property
    def declared_caps(self) -> dict[str, int | None]:
        """What `queue` said, by the queues' names."""
        return cast("dict[str, int | None]", self.__dict__.setdefault("_declared_caps", {}))

    async def declare_caps(self) -> None:
        """Note what `queue` said in the database; what somebody's open transaction holds is left for later."""
        await self._declare_caps(frozenset(self.declared_caps))

    async def declare_held_caps(self) -> bool:
        """Note what was held; whether that is all."""
        return await self._declare_caps(self._held_caps)

    async def _declare_caps(self, names: frozenset[str]) -> bool:
        def params(some: list[str]) -> dict[str, Any]:
            return {"queues": some, "depths": [self.declared_caps[name] for name in some]}

        if names:
            pool = await pool_of(self.connector)
            written, _ = await run_free(pool, sorted(names), sql.load("declare_caps"), params)
            names = names.difference(written)
        for name in names - self._held_caps:
            logger.warning("the cap of the queue %s is declared later: an open transaction holds it", name)
        self._held_caps = names
        return not names

    async def _control_async(self, verb: str, kind: str, name: str, actor: str | None, reason: str | None) -> bool:
        check_name(kind, name)
        with granted(verb):
            rows = await self.connector.execute_query_all_async(
                query=sql.load(verb), kind=kind, name=name, actor=actor, reason=reason
            )
        return bool(rows[0]["changed"])

    def _control(self, verb: str, kind: str, name: str, actor: str | None, reason: str | None) -> bool:
        check_name(kind, name)
        connector = self.connector.get_sync_connector()
        with granted(verb):
            rows = connector.execute_query_all(query=sql.load(verb), kind=kind, name=name, actor=actor, reason=reason)
        return bool(rows[0]["changed"])
