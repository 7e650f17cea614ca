"""Send a signal to a job, in somebody's transaction or one of its own."""

from collections.abc import Awaitable, Mapping
from typing import Any, Literal, cast, overload

from workrow.arguments.jsonb import dump_result
from workrow.arguments.payload import MAX_RESULT
from workrow.database.given import check_database
from workrow.declare.options import WORD, is_word
from workrow.enqueue import transaction
from workrow.enqueue.transaction import AsyncTransaction, SyncTransaction
from workrow.errors import ArgumentError, JobEnded, JobNotFound, OptionError, brief, is_whole
from workrow.job import Job


def check_word(what: str, word: object) -> None:
    """Raise OptionError for what cannot be the name of a step or signal; ``what``: how the message names it."""
    if not is_word(word):
        raise OptionError(f"{what}={brief(word)}: must be {WORD}")


@overload
def signal(on: AsyncTransaction | None, job: Job[Any] | int, name: str, value: Any = None) -> Awaitable[None]: ...
@overload
def signal(on: SyncTransaction, job: Job[Any] | int, name: str, value: Any = None) -> None: ...
def signal(
    on: AsyncTransaction | SyncTransaction | None, job: Job[Any] | int, name: str, value: Any = None
) -> Awaitable[None] | None:
    """Send a job a signal; ``ctx.wait_for(name)`` in its task returns the value.

    It is sent exactly if the transaction of ``on`` commits, wakes the job if it waits for it, and is kept if it does
    not wait yet. Each signal is taken by one wait, in the order in which they were sent.

    Args:
        on: as for ``task.enqueue``. Until its transaction ends, the job can neither end nor give its slot away.
        job: the job, or its id; with ``on=None`` the job itself, which knows its app.
        name: of the signal, 1 to 200 characters.
        value: JSON, or what becomes JSON as a task's result does.

    Returns:
        An awaitable when ``on`` is async or None.

    Raises:
        JobEnded: the job has ended; nothing is written.
        JobNotFound: there is no such job, or its transaction has not committed; nothing is written.
        ArgumentError: the value is no JSON, or more than 1 MiB of it.
        OptionError: the job or the name cannot be one.
        TransactionError: the transaction has failed, is read-only or closed.
    """
    job_id = job.id if isinstance(job, Job) else job
    if not is_whole(job_id, 1, 2**63 - 1):
        raise OptionError(f"signal(job={brief(job)}): must be a job, or the id of one")
    check_word("signal: name", name)
    params = {"id": job_id, "name": name, "value": _dumped(job, name, value)}
    if on is None:
        return _on_its_own(job, params)
    if transaction.is_async(on):
        return _on_async(cast("AsyncTransaction", on), params)
    _check(params, transaction.run(cast("SyncTransaction", on), "signal_job", params))
    return None


async def _on_async(on: AsyncTransaction, params: Mapping[str, Any]) -> None:
    _check(params, await transaction.run_async(on, "signal_job", params))


def _on_its_own(job: Job[Any] | int, params: Mapping[str, Any]) -> Awaitable[None]:
    origin = getattr(job, "_origin", None)
    if origin is None:
        raise OptionError(
            f"signal(None, {brief(job)}, …): an id alone does not know its app: give app.job({params['id']}), or a "
            "session"
        )

    async def send() -> None:
        manager = origin.producer.job_manager
        check_database(manager.connector)
        async with manager.own_connection_async() as own:
            await _on_async(own, params)

    return send()


def _dumped(job: Job[Any] | int, name: str, value: Any) -> str | None:
    origin = getattr(job, "_origin", None)
    codec = origin and getattr(origin.producer, "codec", None)
    try:
        return dump_result(codec.plain(value) if codec and value is not None else value, MAX_RESULT)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(
            f"signal {name!r} to job {getattr(job, 'id', job)}: value={brief(value)} cannot be stored as JSON ({error})"
        ) from None


def _check(params: Mapping[str, Any], rows: list[Any]) -> None:
    verdict: Literal["sent", "ended"] | None = rows[0][0]
    if verdict == "ended":
        raise JobEnded(f"signal {params['name']!r}: job {params['id']} has ended; nothing was written")
    if verdict is None:
        raise JobNotFound(
            f"signal {params['name']!r}: there is no job {params['id']}: its transaction has not committed, or was "
            "rolled back; or it was deleted, or never existed; nothing was written"
        )
