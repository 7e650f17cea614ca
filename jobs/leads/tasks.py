"""Jobs of the leads domain. Each may run twice: an import knows its position, and scoring the rules' version."""

from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.leads import imports, service
from jobs.policies import RETRY
from jobs.settings import declared_timezone, get_settings

leads = workrow.Blueprint("leads", queue="leads", retry=RETRY)


@leads.task(transactional=True, priority=-1)
async def qualify(session: AsyncSession, first: int, last: int) -> int:
    """Score the leads from one id to another, in one statement; how many there were to score."""
    return await service.qualify(session, first, last)


@leads.task(unique=("import_id",), discard_on=(imports.UnknownImport,))
async def import_file(ctx: workrow.JobContext, import_id: int) -> imports.Books:
    """Import a file of leads, from where an earlier attempt has come to; each batch enqueues the scoring of its own."""
    return await imports.run(import_id, qualify.enqueue, ctx.progress)


@leads.task
async def total(counts: list[int]) -> int:
    """How many leads were scored."""
    return sum(counts)


@leads.task(cron="30 2 * * *", timezone=declared_timezone(), unique=workrow.Unique(by=None))
async def rescore(ctx: workrow.JobContext) -> Any:
    """Every night, and when asked: score all leads that the rules of now have not scored, in parts side by side."""
    async with database.session() as session:
        parts = await service.unscored(session)
    return workrow.chord(workrow.starmap(qualify, parts), total.s())


@leads.task(cron="45 2 * * *", timezone=declared_timezone(), transactional=True)
async def forget_files(session: AsyncSession) -> int:
    """Every night: drop the contents of files that were imported ``lead_files_keep_days`` ago; how many pieces."""
    return await imports.forget_files(session, timedelta(days=get_settings().lead_files_keep_days))
