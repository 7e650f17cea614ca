"""Batches: whatever is enqueued in a block, and by the jobs that this has enqueued, is followed to its one end."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Literal

from workrow.declare.loud import Loud, loud
from workrow.declare.options import WORD, is_word
from workrow.enqueue import transaction
from workrow.enqueue.collecting import collecting
from workrow.enqueue.transaction import AsyncTransaction, Params, Rows, SyncTransaction
from workrow.errors import OptionError, TransactionError, WorkflowError, WorkrowError, brief
from workrow.workflows.handle import Workflow
from workrow.workflows.start import Prepared
from workrow.workflows.values import Group, Signature

BatchEnd = dict[str, Any]
"""What a batch comes to: ``{"workflow_id": …, "state": "succeeded"}``."""


class Members:
    """Collects what a job of a batch enqueues.

    Args:
        batch: the batch.
        job_id: the job; None: the block of the batch itself.
    """

    in_block = False

    def __init__(self, batch: Workflow[BatchEnd], job_id: int | None = None) -> None:
        self.batch = batch
        self._job_id = job_id
        self._joined = self._over = False

    def _target(self, on: Any, origin: Any, *, loops: bool) -> Any:
        """The transaction to enqueue jobs of a task on; None: one of its own."""
        return on

    @loud
    @asynccontextmanager
    async def inside_async(
        self, on: Any, manager: Any, origin: Any = None
    ) -> AsyncIterator[tuple[Any, Callable[..., Awaitable[None]]]]:
        """See `workrow.enqueue.collecting.Collector`."""
        self.batch._origin = self.batch._origin or origin
        outer = collecting.get()
        collecting.set(None)
        try:
            async with AsyncExitStack() as stack:
                target = self._target(on, origin, loops=True)
                if target is None:
                    target = await stack.enter_async_context(manager.own_transaction_async())

                async def join(ids: list[int], after: int | None = None) -> None:
                    if params := self._params(ids, after):
                        self._check(await transaction.run_async(target, "join_batch", params))

                yield target, join
        finally:
            collecting.set(outer)

    @loud
    @contextmanager
    def inside(self, on: Any, manager: Any, origin: Any = None) -> Iterator[tuple[Any, Callable[..., None]]]:
        """The same, blocking."""
        self.batch._origin = self.batch._origin or origin
        outer = collecting.get()
        collecting.set(None)
        try:
            with ExitStack() as stack:
                target = self._target(on, origin, loops=False)
                if target is None:
                    target = stack.enter_context(manager.own_transaction())

                def join(ids: list[int], after: int | None = None) -> None:
                    if params := self._params(ids, after):
                        self._check(transaction.run(target, "join_batch", params))

                yield target, join
        finally:
            collecting.set(outer)

    def _params(self, ids: list[int], after: int | None) -> Params | None:
        if self._over or (not ids and after is None):
            return None
        return {"batch": self.batch.id, "job": self._job_id, "ids": ids, "after": after}

    def _check(self, rows: Rows) -> None:
        ((refused,),) = rows
        self._joined = True
        if refused is not None:
            raise self._refusal(refused)

    def _refusal(self, why: str) -> WorkrowError:
        whose = f"batch {self.batch.id}"
        if why == "unseen":
            return TransactionError(
                f"{whose} is not there for the transaction of this enqueue: in its block, enqueue on what the batch "
                "was opened on, or on None; nothing was enqueued"
            )
        if why == "parted":
            return TransactionError(
                f"{whose}: its transaction ended inside of its block; let the block end first, and what comes later be "
                "enqueued by a job of the batch; nothing was enqueued"
            )
        if why == "over":
            return WorkflowError(
                f"{whose}: its job {self._job_id} runs no more, and only one that runs adds to it; nothing was enqueued"
            )
        return WorkflowError(f"{whose} is {why}: nothing joins it any more; nothing was enqueued")


class Block(Members):
    """What `batch` returns: for ``async with`` or, on what is sync, ``with``. Gives the batch's handle.

    Args:
        on: as for `batch`.
        flow: its name, callbacks and policy.
    """

    in_block = True

    def __init__(self, on: AsyncTransaction | SyncTransaction | None, flow: Group[Any, Any]) -> None:
        super().__init__(Workflow(None))
        self._given: Any = on
        self._on: Any = on
        self._prepared = Prepared(flow, batch=True)
        self._loops = on is None or transaction.is_async(on)

    async def __aenter__(self) -> Workflow[BatchEnd]:
        self._living_async = Loud(self._live_async())
        entered: Workflow[BatchEnd] = await self._living_async.__aenter__()
        return entered

    async def __aexit__(self, *raised: Any) -> None:
        await self._living_async.__aexit__(*raised)

    def __enter__(self) -> Workflow[BatchEnd]:
        self._living = Loud(self._live())
        entered: Workflow[BatchEnd] = self._living.__enter__()
        return entered

    def __exit__(self, *raised: Any) -> None:
        self._living.__exit__(*raised)

    @asynccontextmanager
    async def _live_async(self) -> AsyncIterator[Workflow[BatchEnd]]:
        outer = self._entered(loops=True)
        async with AsyncExitStack() as stack:
            if self._given is None:
                self._on = await stack.enter_async_context(self._prepared.manager.own_transaction_async())
            self.batch = await self._prepared.write_async(self._on)
            collecting.set(self)
            try:
                yield self.batch
            except Exception:
                if self._given is not None:  # where the transaction has failed, nothing of it stays anyhow
                    with suppress(Exception):
                        await transaction.run_async(self._on, "end_batch", self._end(raised=True))
                raise
            else:
                if not self._joined:
                    await transaction.run_async(self._on, "end_batch", self._end(raised=False))
            finally:
                self._over = True
                collecting.set(outer)

    @contextmanager
    def _live(self) -> Iterator[Workflow[BatchEnd]]:
        outer = self._entered(loops=False)
        with ExitStack() as stack:
            if self._given is None:
                self._on = stack.enter_context(self._prepared.manager.own_transaction())
            self.batch = self._prepared.write(self._on)
            collecting.set(self)
            try:
                yield self.batch
            except Exception:
                if self._given is not None:
                    with suppress(Exception):
                        transaction.run(self._on, "end_batch", self._end(raised=True))
                raise
            else:
                if not self._joined:
                    transaction.run(self._on, "end_batch", self._end(raised=False))
            finally:
                self._over = True
                collecting.set(outer)

    def _entered(self, *, loops: bool) -> Any:
        outer = collecting.get()
        if outer is not None and outer.in_block:
            raise WorkflowError(
                "batch: a batch inside of the block of another: end the first block before, or let a job of the first "
                "batch begin the second"
            )
        if self._given is not None and loops != self._loops:
            words = ("async with", "sync") if not loops else ("with", "async")
            raise TransactionError(
                f"batch: {type(self._given).__name__} is not {words[1]}: write `{words[0]} workrow.batch(…)`"
            )
        self._loops, self._joined, self._over = loops, False, False
        return outer

    def _target(self, on: Any, origin: Any, *, loops: bool) -> Any:
        if on is not None or self._over:
            return on
        if loops != self._loops:
            raise TransactionError(
                f"batch {self.batch.id}: its block is {'async' if self._loops else 'sync'}, and so is what is enqueued "
                "in it on None: give what the batch was opened on"
            )
        if self._given is None:
            self._prepared.check_member(origin)
        return self._on

    def _end(self, *, raised: bool) -> Params:
        return {"batch": self.batch.id, "raised": raised}


def batch(
    on: AsyncTransaction | SyncTransaction | None,
    /,
    *,
    on_success: Signature[Any, Any] | None = None,
    on_failure: Signature[Any, Any] | None = None,
    on_complete: Signature[Any, Any] | None = None,
    name: str | None = None,
    if_failed: Literal["continue", "cancel"] = "continue",
) -> Block:
    """Follow the jobs that are enqueued in a block, and those that they enqueue while they run, to their common end.

    ``async with workrow.batch(session, on_complete=report.s()) as batch:``, or ``with`` on what is sync. The block is
    one transaction, the caller's: the batch, its jobs and its callbacks exist exactly if it commits. ``batch`` is the
    `workrow.Workflow`, with ``status()``, ``cancel()``, ``retry()`` and ``result()``. See docs/job-batches.md.

    Args:
        on: as for ``task.enqueue()``; None for a transaction of its own, which commits with the end of the block, on
            the opened app of the callbacks. What is enqueued inside is enqueued on the same, or on None, which is it.
        on_success: a task that is enqueued when all have succeeded; it is given ``{"workflow_id": …, "state": …}``.
        on_failure: the same when one has failed and all have ended; given the `workrow.Failure` of the first.
        on_complete: the same when all have ended, however; given ``{"workflow_id": …, "state": …}``. None of them is
            given anything if it is a ``.si(…)``.
        name: what it is called in views, in at most 200 characters; by default "batch".
        if_failed: "continue": the others run; "cancel": those that wait never do.

    Raises:
        OptionError: something else; or None without a callback.
        TransactionError: ``on`` is no transaction, or the block does not fit it.
        WorkflowError: it is inside of the block of another batch.
    """
    if if_failed not in ("continue", "cancel"):
        raise OptionError(f"batch(if_failed={brief(if_failed)}): must be 'continue' or 'cancel'")
    if name is not None and not is_word(name):
        raise OptionError(f"batch(name={brief(name)}): must be {WORD}, or None")
    flow: Group[Any, Any] = Group().if_failed(if_failed).named("batch" if name is None else name)
    flow = flow if on_success is None else flow.on_success(on_success)
    flow = flow if on_failure is None else flow.on_failure(on_failure)
    flow = flow if on_complete is None else flow.on_complete(on_complete)
    if on is None and not flow.calls:
        raise OptionError(
            "batch(None): without a callback nobody knows which app is meant: give one, or a session or connection"
        )
    return Block(on, flow)
