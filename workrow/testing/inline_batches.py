"""Batches in inline mode: what is enqueued in the block has run when the block ends, and then the callbacks run."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

from workrow.enqueue.call import Call
from workrow.enqueue.transaction import AsyncTransaction, SyncTransaction
from workrow.testing import inline_workflows
from workrow.workflows.batches import BatchEnd, Block
from workrow.workflows.handle import Workflow
from workrow.workflows.values import Group


class Inline(inline_workflows.Inline, Protocol):
    """What runs tasks; see `workrow.testing.inline`."""

    blocks: list["InlineBlock"]

    def to_the_end(self, work: Coroutine[Any, Any, Any]) -> Any: ...


class InlineBlock(Block):
    """As `workrow.workflows.batches.Block`. A block that raises leaves no batch, and its callbacks do not run."""

    def __init__(self, inline: Inline, on: AsyncTransaction | SyncTransaction | None, flow: Group[Any, Any]) -> None:
        super().__init__(on, flow)
        self._inline = inline
        self._flow = flow
        self.failures: list[tuple[Call[..., Any], Exception]] = []
        self.size = 0

    @asynccontextmanager
    async def _live_async(self) -> AsyncIterator[Workflow[BatchEnd]]:
        self._entered(loops=True)
        with self._open() as run:
            yield self.batch
        await run.end_batch(self.size, self.failures)

    @contextmanager
    def _live(self) -> Iterator[Workflow[BatchEnd]]:
        self._entered(loops=False)
        with self._open() as run:
            yield self.batch
        self._inline.to_the_end(run.end_batch(self.size, self.failures))

    @contextmanager
    def _open(self) -> Iterator[inline_workflows.InlineWorkflow]:
        run = inline_workflows.InlineWorkflow(self._inline, self._flow, self._given, batch=True)
        self.batch = run.handle_of_batch()
        self._inline.blocks.append(self)
        try:
            yield run
        finally:
            self._inline.blocks.remove(self)
