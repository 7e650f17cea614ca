"""Jobs of the users domain."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.policies import RETRY
from jobs.settings import get_settings
from jobs.users import service

users = workrow.Blueprint("users", queue="users", retry=RETRY)


@users.task(cron="0 3 * * *", timezone="Europe/Berlin", transactional=True)
async def deactivate_inactive(session: AsyncSession) -> service.DeactivationReport:
    """Every night: deactivate the users who were not seen for ``inactive_after_days``; exactly once."""
    return await service.deactivate_inactive(session, timedelta(days=get_settings().inactive_after_days))
