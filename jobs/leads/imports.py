"""Files of leads: taken in once, and read in batches that commit with their position."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.leads import storing
from jobs.leads.files import Broken, Layout, Records, is_header
from jobs.leads.merging import sort
from jobs.leads.models import LeadImport, LeadImportChunk, LeadImportError
from jobs.leads.uploads import Upload
from jobs.leads.values import Problem, Reader, Values, shown
from jobs.webhooks.publishing import publish

ERRORS_KEPT = 1_000
"""Of one import; all are counted."""

Enqueue = Callable[[AsyncSession, int], Awaitable[workrow.Job[Any]]]
"""Enqueues the job that runs the import with this id."""
Qualify = Callable[[AsyncSession, int, int], Awaitable[object]]
"""Enqueues the job that scores the leads from one id to another."""
Progress = Callable[[float, float, str], None]
"""Is told the bytes that are done, all bytes, and a message."""


class UnknownImport(LookupError):
    """There is no import with this id."""


class TakenOver(RuntimeError):
    """Another worker goes on with this import: it was believed that this one is dead."""


@dataclass(frozen=True, slots=True)
class Books:
    """What became of the rows: each of them was imported, merged or refused.

    Attributes:
        imported: new leads.
        merged: rows of leads that were known, or stood further up in the file.
        refused: rows with something wrong in them.
    """

    imported: int
    merged: int
    refused: int


@dataclass(slots=True)
class Batch:
    """The rows of one piece of the file. ``after`` and ``last``: the rows before it, and its last one."""

    after: int
    last: int
    final: bool
    rows: list[Values] = field(default_factory=list)
    refused: int = 0
    problems: list[tuple[int, Problem]] = field(default_factory=list)


async def start(
    session: AsyncSession, upload: Upload, enqueue: Enqueue, *, name: str, source: str | None = None
) -> tuple[LeadImport, bool]:
    """Store the file with a job that imports it: both commit, or neither.

    Args:
        session: the caller's transaction.
        upload: the file, complete.
        enqueue: of the task that calls `run`.
        name: what the file is called.
        source: of leads whose row says none.

    Returns:
        The import, and whether it is a new one. The same file again is the same import; if its job has failed on the
        way, a new one goes on with it.

    Raises:
        UnusableFile: nothing of the file can be imported.
    """
    layout = await asyncio.to_thread(upload.layout)
    statement = (
        insert(LeadImport)
        .values(sha256=upload.sha256, name=name, source=source, size=upload.size, layout=layout.as_json())
        .on_conflict_do_nothing(index_elements=[LeadImport.sha256])
        .returning(LeadImport)
    )
    started = await session.scalar(statement)
    new = started is not None
    if started is None:
        query = select(LeadImport).where(LeadImport.sha256 == upload.sha256).with_for_update()
        started = (await session.scalars(query)).one()
    else:
        for number, chunk in enumerate(upload.chunks()):
            await session.execute(
                insert(LeadImportChunk), {"import_id": started.id, "number": number, "content": chunk}
            )
    if started.state == "running":
        started.job_id = (await enqueue(session, started.id)).id
    return started, new


async def get(session: AsyncSession, import_id: int) -> LeadImport:
    """The import.

    Raises:
        UnknownImport: there is none.
    """
    if found := await session.get(LeadImport, import_id):
        return found
    raise UnknownImport(f"there is no import {import_id}")


async def latest(session: AsyncSession, limit: int) -> Sequence[LeadImport]:
    """The newest imports, the newest first."""
    return (await session.scalars(select(LeadImport).order_by(LeadImport.id.desc()).limit(limit))).all()


async def errors(session: AsyncSession, import_id: int, *, after: int, limit: int) -> Sequence[LeadImportError]:
    """What was wrong with its rows, in their order, from the one after the number ``after``."""
    query = select(LeadImportError).where(
        LeadImportError.import_id == import_id, LeadImportError.number > literal(after, BigInteger)
    )
    return (await session.scalars(query.order_by(LeadImportError.number).limit(limit))).all()


async def run(import_id: int, qualify: Qualify, progress: Progress) -> Books:
    """Import the file, from where an earlier attempt has come to.

    Each batch commits with its position, so that every row is written once, whoever dies when: a row up to the
    position is read again and skipped. While the database writes one batch, a thread prepares the next.

    Raises:
        UnknownImport: there is none.
        TakenOver: another worker has it.
    """
    async with database.session() as session:
        started = await get(session, import_id)
    if started.state == "running":
        async with aclosing(_batches(started)) as batches:
            async for batch, done in batches:
                if batch.final or batch.last > started.position:
                    async with database.session() as session, session.begin():
                        started = await _write(session, import_id, batch, qualify)
                progress(
                    done,
                    started.size,
                    f"{started.imported:,} imported, {started.merged:,} merged, {started.refused:,} refused",
                )
    return Books(started.imported, started.merged, started.refused)


async def _batches(started: LeadImport) -> AsyncGenerator[tuple[Batch, int], None]:
    """The batches after the import's position, each with the bytes that are read by then."""
    reading = _Reading(started)
    async with database.session() as session:
        query = select(func.max(LeadImportChunk.number)).where(LeadImportChunk.import_id == started.id)
        last = await session.scalar(query) or 0
    done = 0

    async def prepare(number: int) -> Batch:
        nonlocal done
        async with database.session() as session:
            content = (
                await session.scalars(
                    select(LeadImportChunk.content).where(
                        LeadImportChunk.import_id == started.id, LeadImportChunk.number == number
                    )
                )
            ).one()
        batch = await asyncio.to_thread(reading.batch, content, number == last)
        done += len(content)
        return batch

    upcoming = asyncio.create_task(prepare(0))
    try:
        for number in range(last + 1):
            batch, read = await upcoming, done
            if number < last:
                upcoming = asyncio.create_task(prepare(number + 1))
            yield batch, read
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


class _Reading:
    """The file, piece by piece."""

    def __init__(self, started: LeadImport) -> None:
        layout = Layout.from_json(started.layout)
        self._records = Records(layout.encoding, layout.delimiter)
        self._reader = Reader(layout.fields, len(layout.header), started.source)
        self._in_body = False
        self._position = started.position

    def batch(self, content: bytes, final: bool) -> Batch:
        """The rows that end in this piece and were not done before."""
        batch = Batch(self._position, self._position, final)
        for number, cells in self._records.feed(content, final=final):
            if not self._in_body:
                self._in_body = is_header(cells)
            elif number > batch.after and cells and (isinstance(cells, Broken) or any(cells)):
                self._add(batch, number, cells)
            batch.last = max(batch.last, number)
        self._position = batch.last
        return batch

    def _add(self, batch: Batch, number: int, cells: list[str] | Broken) -> None:
        if isinstance(cells, Broken):
            read: Values | list[Problem] = [Problem(None, shown(cells.start), cells.problem, cells.fix)]
        else:
            read = self._reader.read(cells)
        if isinstance(read, Values):
            batch.rows.append(read)
        else:
            batch.refused += 1
            batch.problems += ((number, problem) for problem in read)


async def _write(session: AsyncSession, import_id: int, batch: Batch, qualify: Qualify) -> LeadImport:
    """One batch, with the new position."""
    query = select(LeadImport).where(LeadImport.id == import_id).with_for_update()
    started = (await session.scalars(query)).one()
    if started.position != batch.after or started.state != "running":
        raise TakenOver(f"import {import_id} is at row {started.position}, not {batch.after}: another worker has it")
    if batch.rows:
        found = sort(batch.rows, await storing.known(session, batch.rows))
        ids = await storing.add(session, found.new, import_id)
        await storing.change(session, found.additions.values())
        if ids:
            await qualify(session, *ids)
        started.imported += len(found.new)
        started.merged += found.merged
    await _keep(session, started, batch.problems)
    started.refused += batch.refused
    started.position = batch.last
    if batch.final:
        started.state, started.finished_at = "done", await session.scalar(select(func.clock_timestamp()))
        books = asdict(Books(started.imported, started.merged, started.refused))
        await publish(session, "lead.import_completed", {"import_id": import_id, "name": started.name, **books})
    return started


async def _keep(session: AsyncSession, started: LeadImport, problems: Sequence[tuple[int, Problem]]) -> None:
    layout = Layout.from_json(started.layout)
    kept = [
        {
            "import_id": started.id,
            "number": number,
            "row": row,
            "column": layout.header[layout.fields[problem.field]] if problem.field else None,
            "value": problem.value,
            "problem": problem.problem,
            "fix": problem.fix,
        }
        for number, (row, problem) in enumerate(problems, started.errors + 1)
        if number <= ERRORS_KEPT
    ]
    if kept:
        await session.execute(insert(LeadImportError), kept)
    started.errors += len(problems)


async def forget_files(session: AsyncSession, older_than: timedelta) -> int:
    """Drop the contents of files whose import ended so long ago, and the errors that quote them.

    The import stays, with its counts: the same file again is known.

    Returns:
        How many pieces of files were dropped.
    """
    ended = select(LeadImport.id).where(LeadImport.finished_at < func.now() - older_than)
    await session.execute(delete(LeadImportError).where(LeadImportError.import_id.in_(ended)))
    return database.rowcount(await session.execute(delete(LeadImportChunk).where(LeadImportChunk.import_id.in_(ended))))
