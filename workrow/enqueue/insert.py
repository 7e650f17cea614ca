"""Turn calls into rows: one INSERT in the caller's transaction, or in one of its own."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

import procrastinate
from asgiref.sync import sync_to_async
from procrastinate import jobs as upstream_jobs
from procrastinate import manager as upstream_manager
from procrastinate.connector import BaseConnector

from workrow import sql
from workrow.arguments.codec import codec_of
from workrow.arguments.jsonb import dump_arguments
from workrow.arguments.secrets import NOTHING, Sealed
from workrow.database import clock
from workrow.database.given import asked, pool_of, sync_pool_of
from workrow.declare.limits import Line
from workrow.declare.options import Options, check_lock
from workrow.enqueue import transaction
from workrow.enqueue.collecting import collected, collected_async, collecting
from workrow.enqueue.hiding import OurJob, hidden_of, hidden_params, hide, hide_async, notes
from workrow.enqueue.not_inserted import cap_params, refusal
from workrow.enqueue.own import Own
from workrow.enqueue.transaction import AsyncTransaction, Params, Rows, SyncTransaction
from workrow.errors import check_time

Arguments = dict[str, Any]
T = TypeVar("T")


class JobManager(Own, upstream_manager.JobManager):
    """procrastinate's job manager, whose ``connection=`` takes whatever ``enqueue()`` takes.

    Args:
        connector: where jobs are written.
        line_of: the line that a task's jobs queue in for its limits, by the task's name; None for a task without any.
    """

    def __init__(self, connector: BaseConnector, line_of: Callable[[str], Line | None] = lambda _: None) -> None:
        super().__init__(connector)
        self._line_of = line_of

    @property
    def connector(self) -> BaseConnector:
        """Where its statements run; what they read is with history, whatever connector it was given."""
        return asked(self._given)

    @connector.setter
    def connector(self, given: BaseConnector) -> None:
        self._given = given

    async def insert_own_async(self, params: Params) -> list[int] | None:
        """Insert jobs in a transaction of their own: one statement, one round trip. None: only the connector knows how.

        Raises:
            As `insert_async`; AppNotOpen.
        """
        if not isinstance(self._given, procrastinate.PsycopgConnector):
            return None
        async with (await pool_of(self._given)).connection() as connection:
            return await insert_async(connection, params)

    def insert_own(self, params: Params) -> list[int] | None:
        """The same, blocking."""
        if not isinstance(self._given.get_sync_connector(), procrastinate.SyncPsycopgConnector):
            return None
        with sync_pool_of(self._given).connection() as connection:
            return insert(connection, params)

    async def batch_defer_jobs_async(
        self, jobs: list[upstream_jobs.Job], connection: Any | None = None
    ) -> list[upstream_jobs.Job]:
        """See procrastinate; ``connection``: any of `workrow.enqueue.transaction.AsyncTransaction`."""
        _check_jobs(jobs)
        if connection is None and self.surrounding is not None:
            return await sync_to_async(self.batch_defer_jobs)(jobs)
        if (batch := collecting.get()) is not None:
            return await collected_async(batch, connection, self, lambda own: self.batch_defer_jobs_async(jobs, own))
        if connection is None:
            if not self._needs_columns(jobs):
                for hidden in notes(self._given, jobs):
                    await self.connector.execute_query_async(sql.load("hide_arguments"), **hidden)
                return await super().batch_defer_jobs_async(jobs)
            async with self.own_connection_async() as own:
                return await self.batch_defer_jobs_async(jobs, own)
        if not transaction.is_async(connection):
            return self.batch_defer_jobs(jobs, connection)
        ids: list[int] = []
        for params in self._batches(jobs):
            ids += await insert_async(connection, params)
        return _with_ids(jobs, ids)

    def batch_defer_jobs(self, jobs: list[upstream_jobs.Job], connection: Any | None = None) -> list[upstream_jobs.Job]:
        """See procrastinate; ``connection``: any of `workrow.enqueue.transaction.SyncTransaction`."""
        _check_jobs(jobs)
        if (batch := collecting.get()) is not None:
            return collected(batch, connection, self, lambda own: self.batch_defer_jobs(jobs, own))
        if connection is None:
            if self.surrounding is None and not self._needs_columns(jobs):
                for hidden in notes(self._given, jobs):
                    self.connector.get_sync_connector().execute_query(sql.load("hide_arguments"), **hidden)
                return super().batch_defer_jobs(jobs)
            with self.own_connection() as own:
                return self.batch_defer_jobs(jobs, own)
        if transaction.is_async(connection):
            raise procrastinate.exceptions.ConnectorException(
                f"defer() is sync and {type(connection).__name__} is async: use `await ….defer_async(…)`"
            )
        ids: list[int] = []
        for params in self._batches(jobs):
            ids += insert(connection, params)
        return _with_ids(jobs, ids)

    def _needs_columns(self, jobs: list[upstream_jobs.Job]) -> bool:
        """Whether procrastinate's own statement will not do: it writes no line, no version, and times for intervals.

        Another driver than psycopg has to do with those times.
        """
        ours = isinstance(self._given, procrastinate.PsycopgConnector | procrastinate.SyncPsycopgConnector)
        return any(
            getattr(job, "version", None)
            or self._line_of(job.task_name)
            or (ours and (hidden_of(job) or clock.parted(job.scheduled_at)[1] is not None))
            for job in jobs
        )

    def _batches(self, jobs: list[upstream_jobs.Job]) -> Iterator[Params]:
        """One set of parameters for each run of jobs that differ in nothing but their arguments."""
        same = groupby(
            jobs,
            key=lambda job: (
                *(job.task_name, job.queue, job.priority, job.lock, job.queueing_lock, job.scheduled_at),
                getattr(job, "version", None),
                hidden_of(job),
            ),
        )
        for (task, queue, priority, lock, queueing_lock, at, version, hidden), batch in same:
            options = Options(queue=queue, priority=priority, lock=lock, queueing_lock=queueing_lock, at=at)
            arguments = [job.task_kwargs for job in batch]
            if (codec := codec_of(self._given)) is not None:
                arguments = [codec.arguments(task, each, each) for each in arguments]
            yield row_params(task, options, arguments, self._line_of(task), version=version, hidden=hidden)


def _check_jobs(jobs: list[upstream_jobs.Job]) -> None:
    for job in jobs:
        for key in ("lock", "queueing_lock"):
            if value := getattr(job, key):  # procrastinate takes an empty one
                check_lock(f"{job.task_name}: {key}", value)
        if job.scheduled_at is not None:
            check_time(f"{job.task_name}: schedule_at={job.scheduled_at}", job.scheduled_at)


async def insert_async(on: AsyncTransaction, params: Params) -> list[int]:
    """Insert the jobs of ``params`` (see `row_params`) and return their ids in order.

    Raises:
        AlreadyEnqueued: a job with the same queueing lock waits; nothing was inserted, the transaction is usable.
        QueueFull: the queue has no room; the same.
        TransactionError: the transaction cannot take an INSERT.
    """
    await hide_async(on, params)
    ids = _ids(await transaction.run_async(on, *_statement(params)))
    if len(ids) < len(params["args"]):
        raise refusal(params, await transaction.run_async(on, "read_queue_cap", cap_params(params)))
    return ids


def insert(on: SyncTransaction, params: Params) -> list[int]:
    """The same in a sync transaction."""
    hide(on, params)
    ids = _ids(transaction.run(on, *_statement(params)))
    if len(ids) < len(params["args"]):
        raise refusal(params, transaction.run(on, "read_queue_cap", cap_params(params)))
    return ids


def joined(params: Params) -> str:
    """The arguments of all jobs as one JSON text."""
    text = f"[{','.join(params['args'])}]"
    return Sealed(text) if params["hidden"] else text


def _statement(params: Params) -> tuple[str, Params]:
    texts = params["args"]
    if len(texts) == 1:
        lines = params["lines"]
        return "enqueue_job", {**params, "args": texts[0], "lines": lines and lines[0]}
    # one JSON text: an array of texts would cost the driver a look at every character, for what to quote
    lines = params["lines"]
    return "enqueue_jobs", {**params, "args": joined(params), "lines": lines and json.dumps(lines)}


def row_params(
    task: str,
    options: Options,
    arguments: Sequence[Arguments],
    line: Line | None,
    *,
    version: int | None = None,
    limit: int | None = None,
    hidden: frozenset[str] = NOTHING,
) -> Params:
    """The parameters of ``enqueue_job.sql`` and ``enqueue_jobs.sql``: one set of options, many sets of arguments.

    Args:
        task: the task's name.
        options: of all these jobs.
        arguments: of each of them; JSON values.
        line: of the task's limits.
        version: of the signature that they fit; None is 1.
        limit: bytes of JSON that one job may carry.
        hidden: the names of the arguments that are not to be shown.

    Raises:
        ArgumentError: an argument is not JSON, or there is too much of it.
    """
    at, delay = clock.parted(options.scheduled_at)
    return {
        "task": task,
        "queue": options.queue,
        "priority": options.priority,
        "lock": options.lock,
        "queueing_lock": options.queueing_lock,
        "at": at,
        "delay": delay,
        "lines": None if line is None else [line.of(options.queue, each, version) for each in arguments],
        "version": version,
        "args": [dump_arguments(task, each, limit, hidden) for each in arguments],
        "hidden": hidden_params(task, hidden),
    }


def as_upstream_jobs(
    task: str,
    options: Options,
    arguments: Sequence[Arguments],
    limit: int | None = None,
    hidden: frozenset[str] = NOTHING,
) -> list[upstream_jobs.Job]:
    """The same as procrastinate's values, for the connectors that only know those."""
    for each in arguments:
        dump_arguments(task, each, limit, hidden)
    job = OurJob(
        hidden=hidden,
        task_name=task,
        queue=options.queue,
        priority=options.priority,
        lock=options.lock,
        queueing_lock=options.queueing_lock,
        scheduled_at=options.scheduled_at,
    )
    return [job.evolve(task_kwargs=each) for each in arguments]


def _with_ids(jobs: list[upstream_jobs.Job], ids: list[int]) -> list[upstream_jobs.Job]:
    return [job.evolve(id=id_, status=upstream_jobs.Status.TODO.value) for job, id_ in zip(jobs, ids, strict=True)]


def _ids(rows: Rows) -> list[int]:
    # a sequence numbers the rows as they are inserted, so sorting restores the order of the arguments
    return sorted(row[0] for row in rows)
