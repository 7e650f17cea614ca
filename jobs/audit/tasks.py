"""Jobs of the audit domain. Each is safe to run twice: the second time there is nothing left to make or to drop."""

from typing import Annotated

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.audit import partitions
from jobs.policies import RETRY
from jobs.settings import get_settings

audit = workrow.Blueprint("audit", queue="audit", retry=RETRY)


@audit.task(cron="15 2 * * *", timezone="UTC", transactional=True)
async def extend(session: AsyncSession) -> list[str]:
    """Every night: make the partitions of the months to come."""
    return await partitions.extend(session)


@audit.task(cron="45 2 * * *", timezone="UTC")
async def prune_logs(days: Annotated[int, Field(ge=1)] | None = None) -> int:
    """Every night: drop the months that are older than ``days``, or than the setting ``audit_keep_days``."""
    async with database.session() as session:
        return await partitions.prune(session, days or get_settings().audit_keep_days)
