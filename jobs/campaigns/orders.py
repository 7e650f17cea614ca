"""What begins a campaign. In the caller's transaction."""

from sqlalchemy.ext.asyncio import AsyncSession

from jobs.campaigns import service, tasks
from jobs.campaigns.models import Campaign
from workrow import clock


async def start(session: AsyncSession, campaign_id: int) -> Campaign:
    """Have a campaign begin: the job that makes its calls is part of the transaction. Twice is no error.

    Raises:
        UnknownCampaign: there is none.
        WrongMoment: it was cancelled.
    """
    campaign = await service.find(session, campaign_id, lock=True)
    if campaign.cancelled_at is not None:
        raise service.WrongMoment(f"campaign {campaign_id} cannot start: it was cancelled")
    if campaign.started_at is None:
        campaign.started_at = clock.now()
        await tasks.fan_out.enqueue(session, campaign_id=campaign_id)
    return campaign
