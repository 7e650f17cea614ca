"""Enqueue very many jobs: a stream of lines, by COPY."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from workrow.arguments.jsonb import dump_arguments
from workrow.arguments.secrets import NOTHING
from workrow.database import clock
from workrow.declare.limits import HELD, Line
from workrow.declare.options import Options
from workrow.enqueue import transaction
from workrow.enqueue.collecting import collecting
from workrow.enqueue.insert import Arguments
from workrow.enqueue.transaction import AsyncTransaction, Params, Rows, SyncTransaction
from workrow.errors import OptionError, QueueFull, TransactionError


def check_copy(task: str, on: object, options: Options) -> None:
    """Raise TransactionError without a transaction, OptionError for options that COPY cannot honour."""
    if on is None:
        raise TransactionError(
            f"{task}: enqueue_copy(None, …): COPY streams into a transaction of yours; give it a session or a "
            "connection, or use enqueue_many(None, …)"
        )
    if options.conditional:
        raise OptionError(
            f"{task}: unique, debounce, throttle and expires do not go together with COPY; use enqueue_many"
        )
    if options.queueing_lock is not None:
        raise OptionError(
            f"{task}: queueing_lock={options.queueing_lock!r} and COPY do not go together; use enqueue_many"
        )


def copy_lines(
    task: str,
    options: Options,
    arguments: Iterable[Arguments],
    line: Line | None = None,
    *,
    start: datetime | None,
    version: int | None = None,
    limit: int | None = None,
    hidden: frozenset[str] = NOTHING,
) -> Iterator[str]:
    """Jobs as lines of ``copy_jobs.sql``, in PostgreSQL's text format for COPY; ``start``: when they may.

    Raises:
        ArgumentError: an argument is not JSON, or there is too much of it.
    """
    at, due = (start, None) if line is None else (HELD, start)
    columns = (
        options.queue,
        task,
        options.priority,
        options.lock,
        options.queueing_lock,
        at and at.isoformat(),
        due and due.isoformat(),
        version,
    )
    before = "\t".join("\\N" if column is None else _copied(str(column)) for column in columns)
    for each in arguments:
        # JSON text has no raw tabs or line ends, only backslashes to double
        args = dump_arguments(task, each, limit, hidden).replace("\\", "\\\\")
        where = "\\N" if line is None else _copied(line.of(options.queue, each, version))
        yield f"{before}\t{where}\t{args}\n"


def _copied(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return text


async def copy_async(
    on: AsyncTransaction, options: Options, lines: Callable[..., Iterable[str]], hidden: Params | None
) -> int:
    """Stream ``lines(start=…)`` to ``copy_jobs.sql`` (see `workrow.enqueue.transaction.copy_async`), unless the queue
    is full; ``hidden``: what ``hide_arguments.sql`` is told first.

    Raises:
        QueueFull: it was full before the first line.
    """
    if (batch := collecting.get()) is not None:
        async with batch.inside_async(on, None) as (_, join):
            ((newest,),) = await transaction.run_async(on, "newest_job", {})
            count = await copy_async(on, options, lines, hidden)
            await join([], newest)
        return count
    if hidden:
        await transaction.run_async(on, "hide_arguments", hidden)
    _check_room(options.queue, await transaction.run_async(on, "read_queue_cap", {"queue": options.queue, "more": 1}))
    start, delay = clock.parted(options.scheduled_at)
    if delay is not None:
        start = _after(delay, await transaction.run_async(on, "database_time", {}))
    return await transaction.copy_async(on, "copy_jobs", lines(start=start))


def copy(on: SyncTransaction, options: Options, lines: Callable[..., Iterable[str]], hidden: Params | None) -> int:
    """The same in a sync transaction."""
    if (batch := collecting.get()) is not None:
        with batch.inside(on, None) as (_, join):
            ((newest,),) = transaction.run(on, "newest_job", {})
            count = copy(on, options, lines, hidden)
            join([], newest)
        return count
    if hidden:
        transaction.run(on, "hide_arguments", hidden)
    _check_room(options.queue, transaction.run(on, "read_queue_cap", {"queue": options.queue, "more": 1}))
    start, delay = clock.parted(options.scheduled_at)
    if delay is not None:
        start = _after(delay, transaction.run(on, "database_time", {}))
    return transaction.copy(on, "copy_jobs", lines(start=start))


def _after(delay: float, times: Rows) -> datetime:
    now: float = times[0][0]
    return clock.as_time(now + delay)


def _check_room(queue: str, cap: Rows) -> None:
    if cap:
        raise QueueFull(
            f"the queue {queue!r} is full: {cap[0][1]} jobs wait, at most {cap[0][0]} may; nothing was enqueued; try "
            "again later, or raise its cap with workrow.set_queue_v1"
        )
