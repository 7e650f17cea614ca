"""Jobs of the calls domain. Each may run twice: the call's key at the provider, and its states, see to that."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.calls import dialing, service
from jobs.calls.provider import RATE, Provider
from jobs.calls.states import State
from jobs.policies import RETRY
from jobs.settings import declared_timezone, get_settings

calls = workrow.Blueprint("calls", queue="calls", retry=RETRY)


@calls.task(limits=RATE, discard_on=(service.UnknownCall,))
async def dial(ctx: workrow.JobContext, call_id: int, provider: Provider = workrow.inject()) -> State:
    """Call, at the time that was ordered."""
    moved = await dialing.dial(provider, call_id, job_id=ctx.job.id)
    return moved.state


@calls.task(limits=RATE, discard_on=(service.UnknownCall,), unique=("call_id",))
async def check(call_id: int, provider: Provider = workrow.inject()) -> State | None:
    """Ask the provider about a call of which nothing was heard."""
    moved = await dialing.check(provider, call_id)
    return moved.state if moved else None


@calls.task(limits=RATE, discard_on=(service.UnknownCall,))
async def hang_up(call_id: int, provider: Provider = workrow.inject()) -> State | None:
    """End a call."""
    moved = await dialing.hang_up(provider, call_id)
    return moved.state if moved else None


@calls.task(schedule=workrow.Schedule(every=timedelta(minutes=1), overlap="skip"), transactional=True)
async def reconcile(session: AsyncSession) -> int:
    """Every minute: have the provider asked about calls that it has been silent about."""
    silent_for = timedelta(seconds=get_settings().call_stuck_after)
    found = await service.stuck(session, silent_for=silent_for, at_most=1000)
    await check.enqueue_many(session, [{"call_id": call_id} for call_id in found])
    return len(found)


@calls.task(cron="10 4 * * *", timezone=declared_timezone())
async def forget_events() -> int:
    """Every night: delete, in batches that commit, old events of calls that have ended; how many."""
    return await database.in_batches(service.forget_events)
