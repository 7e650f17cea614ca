"""Jobs of the users domain."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.settings import get_settings
from jobs.users import service

users = workrow.Blueprint(
    "users", queue="users", retry=workrow.Retry(max_attempts=5, wait=workrow.exponential(5, cap=300))
)


@users.task(cron="0 3 * * *", timezone="Europe/Berlin", transactional=True)
async def deactivate_inactive(session: AsyncSession) -> service.DeactivationReport:
    """Every night: deactivate the users who were not seen for ``inactive_after_days``; exactly once."""
    return await service.deactivate_inactive(session, timedelta(days=get_settings().inactive_after_days))
