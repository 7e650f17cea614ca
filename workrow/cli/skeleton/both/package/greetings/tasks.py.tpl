"""The jobs of this domain: a task opens a transaction and calls the service."""

from datetime import timedelta

import workrow
from sqlalchemy.ext.asyncio import AsyncSession

from $package.greetings import service

greetings = workrow.Blueprint("greetings", queue="greetings", retry=workrow.retries.usual)


@greetings.task(transactional=True)
async def greet(session: AsyncSession, greeting_id: int) -> str:
    """Its writes and the job's end commit together: exactly once."""
    return await service.greet(session, greeting_id)


@greetings.task(cron="15 3 * * *", transactional=True)
async def forget_old(session: AsyncSession) -> int:
    """Every night at 3:15 UTC."""
    return await service.forget(session, timedelta(days=30))
