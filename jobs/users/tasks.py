"""Jobs of the users domain."""

import workrow
from jobs.policies import RETRY
from jobs.settings import declared_timezone, get_settings
from jobs.users import service

users = workrow.Blueprint("users", queue="users", retry=RETRY)


@users.task(cron="15 3 * * *", timezone=declared_timezone(), aliases=["users.deactivate_inactive"])
async def deactivate_inactive_users(ctx: workrow.JobContext, days: int | None = None) -> int:
    """Every night: deactivate who was not seen for so many days (``inactive_after_days``), and say how many.

    Each batch commits. A second run goes on where the first one ended.
    """
    days = get_settings().inactive_after_days if days is None else days
    return await service.deactivate_all_inactive(days, ctx.progress)
