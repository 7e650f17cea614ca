"""Jobs of the campaigns domain: the fan-out, a job for each call that runs as long as the call does, and the report."""

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.calls import dialing
from jobs.calls.provider import RATE, Provider
from jobs.calls.states import State
from jobs.campaigns import service
from jobs.policies import RETRY

campaigns = workrow.Blueprint("campaigns", queue="campaigns", retry=RETRY)

BEGINNINGS = workrow.Rate("25/s", name="campaigns")
"""Of all campaigns together; half of what the provider takes, so that other calls have room."""


@campaigns.task(limits=(RATE, BEGINNINGS, workrow.Limit(5, key="campaign_id")))
async def call(ctx: workrow.JobContext, campaign_id: int, call_id: int, provider: Provider = workrow.inject()) -> State:
    """Call somebody, and stay until the call has ended: so long it counts under the campaign's concurrency."""
    await dialing.dial(provider, call_id, job_id=ctx.job.id)
    return await dialing.ended(call_id)


@campaigns.task(transactional=True)
async def report(session: AsyncSession, campaign_id: int) -> None:
    """After all calls: count what has become of them."""
    if await service.report(session, campaign_id) is None:
        raise workrow.Snooze("calls still run", in_=5)


# under a limit also because workers write down what limits there are before they claim such a job, and it sets one
@campaigns.task(transactional=True, limits=workrow.Limit(2))
async def fan_out(session: AsyncSession, campaign_id: int) -> int | None:
    """Make a call, and a job, of each target; the batch of these jobs is the campaign's workflow. Twice is no harm."""
    waves = await service.begin(session, campaign_id)
    if waves is None:
        return None
    async with workrow.batch(session, on_complete=report.si(campaign_id), name=f"campaign {campaign_id}") as batch:
        for at, ids in waves.items():
            rows = [{"campaign_id": campaign_id, "call_id": call_id} for call_id in ids]
            await call.options(at=at).enqueue_many(session, rows)
    (await service.find(session, campaign_id)).workflow_id = batch.id
    return batch.id
