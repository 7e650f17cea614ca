"""What happens to campaigns. Every function works in the caller's transaction and leaves the commit to the caller."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, case, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database
from jobs.calls import service as calls
from jobs.calls.models import Call
from jobs.calls.states import ENDS, LIVE, State
from jobs.campaigns.models import Campaign, CampaignReport, CampaignTarget
from jobs.leads.models import Lead
from jobs.leads.service import UnknownLead
from jobs.opening_hours import UnknownZone, zone_of
from jobs.webhooks.publishing import publish
from workrow import clock

LIMIT = "campaigns.call/campaign_id"
"""The limit of calls at the same time, whose number each campaign has for itself."""
WAITING = "waiting"
"""Of a target: there is no call yet."""
SKIPPED = "skipped"
OUTCOMES = (*ENDS, SKIPPED)


class UnknownCampaign(Exception):
    """There is no such campaign."""


class WrongMoment(Exception):
    """What is asked for is not possible in the state that the campaign is in; the text says which."""


@dataclass(frozen=True)
class Target:
    """Somebody to be called; without a number or a time zone, to be skipped."""

    phone: str | None
    time_zone: str | None
    lead_id: int | None = None


@dataclass(frozen=True)
class Status:
    """How far a campaign has come.

    Attributes:
        state: "draft", "starting", "running", "paused", "cancelling", "finishing" (the last calls end, and are
            counted), "finished" or "cancelled".
        progress: of its jobs, those that have ended: 0 to 1.
        counts: targets by the states of their calls; "waiting", "skipped".
    """

    state: str
    progress: float
    counts: Mapping[str, int]


async def find(session: AsyncSession, campaign_id: int, *, lock: bool = False) -> Campaign:
    """The campaign; locked, nobody else starts or stops it meanwhile.

    Raises:
        UnknownCampaign: there is none.
    """
    campaign = await session.get(Campaign, campaign_id, populate_existing=True, with_for_update=lock)
    if campaign is None:
        raise UnknownCampaign(f"there is no campaign {campaign_id}")
    return campaign


async def create(session: AsyncSession, *, name: str, concurrency: int, targets: Sequence[Target]) -> Campaign:
    """Add a campaign, which is not started. Who cannot be called, or is named twice, is a target that is skipped."""
    campaign = Campaign(name=name, concurrency=concurrency)
    session.add(campaign)
    await session.flush()
    seen: set[str] = set()
    rows = []
    for target in targets:
        reason = _reason_to_skip(target, seen)
        rows.append({"campaign_id": campaign.id, **vars(target), "skipped": reason})
        if reason is None:
            seen.add(str(target.phone))
    if rows:
        await session.execute(insert(CampaignTarget), rows)
    return campaign


async def targets_of(session: AsyncSession, lead_ids: Sequence[int]) -> list[Target]:
    """The leads as targets, in the order of their ids.

    Raises:
        UnknownLead: one does not exist.
    """
    columns = select(Lead.id, Lead.phone, Lead.time_zone).where(Lead.id.in_(lead_ids)).order_by(Lead.id)
    found = [Target(row.phone, row.time_zone, row.id) for row in await session.execute(columns)]
    unknown = set(lead_ids) - {target.lead_id for target in found}
    if unknown:
        raise UnknownLead(f"lead_ids: {len(unknown)} do not exist, such as {min(unknown)}")
    return found


def _reason_to_skip(target: Target, seen: set[str]) -> str | None:
    if target.phone is None:
        return "no telephone number"
    if target.phone in seen:
        return "named twice"
    if target.time_zone is None:
        return "no time zone"
    try:
        zone_of(target.time_zone)
    except UnknownZone as error:
        return str(error)
    return None


async def begin(session: AsyncSession, campaign_id: int) -> dict[datetime, list[int]] | None:
    """Add the calls of a campaign that is starting.

    Returns:
        The calls by the time at which their zones open; None if it was cancelled, or has begun before.
    """
    campaign = await find(session, campaign_id, lock=True)
    if campaign.cancelled_at is not None or campaign.workflow_id is not None:
        return None
    wanted = select(CampaignTarget).where(CampaignTarget.campaign_id == campaign_id, CampaignTarget.skipped.is_(None))
    targets = (await session.scalars(wanted.order_by(CampaignTarget.id))).all()
    now = await database.now(session)
    opens = {zone: calls.next_opening(zone, now) for zone in {str(target.time_zone) for target in targets}}
    columns = ("key", "phone", "time_zone", "lead_id")
    rows = [
        {**{name: getattr(target, name) for name in columns}, "scheduled_at": opens[str(target.time_zone)]}
        for target in targets
    ]
    ids = await calls.create(session, rows) if rows else {}
    waves: dict[datetime, list[int]] = defaultdict(list)
    for target in targets:
        waves[opens[str(target.time_zone)]].append(ids[target.key])
    await _set_limit(session, campaign)
    return waves


async def _set_limit(session: AsyncSession, campaign: Campaign) -> None:
    statement = text(
        "SELECT workrow.set_limit_v1(:name, :key, max_running => :number, actor => 'campaigns', reason => :why)"
    )
    told = {"number": campaign.concurrency, "why": f"campaign {campaign.name}"}
    await session.execute(statement, {"name": LIMIT, "key": str(campaign.id), **told})


async def pause(session: AsyncSession, campaign_id: int) -> None:
    """Have no more calls begin; those that run go on to their ends. Twice is no error.

    Raises:
        WrongMoment: it does not run.
    """
    await _ask_workflow(session, campaign_id, "pause")


async def resume(session: AsyncSession, campaign_id: int) -> None:
    """Let a paused campaign go on.

    Raises:
        WrongMoment: it is not paused.
    """
    await _ask_workflow(session, campaign_id, "resume")


async def _ask_workflow(session: AsyncSession, campaign_id: int, what: str) -> None:
    campaign = await find(session, campaign_id, lock=True)
    statement = text(f"SELECT workrow.{what}_workflow_v1(:id)")
    if campaign.workflow_id is None or await session.scalar(statement, {"id": campaign.workflow_id}) is None:
        raise WrongMoment(f"campaign {campaign_id} cannot {what}: it is {(await status(session, campaign_id)).state}")


async def cancel(session: AsyncSession, campaign_id: int) -> None:
    """Have nobody called any more; calls that run go on to their ends. Twice is no error.

    Raises:
        WrongMoment: it is over.
    """
    campaign = await find(session, campaign_id, lock=True)
    if campaign.cancelled_at is not None:
        return
    if await session.get(CampaignReport, campaign_id) is not None:
        raise WrongMoment(f"campaign {campaign_id} is over, and cannot be cancelled any more")
    campaign.cancelled_at = clock.now()
    await session.flush()
    if campaign.workflow_id is None:  # there are no calls, and will be none
        await report(session, campaign_id)
        return
    await session.execute(text("SELECT workrow.cancel_workflow_v1(:id)"), {"id": campaign.workflow_id})
    await calls.stop_scheduled(session, _keys(campaign_id), State.CANCELLED, cause=f"campaign {campaign_id} cancelled")


async def status(session: AsyncSession, campaign_id: int) -> Status:
    """How far the campaign has come: as its workflow, and the states of its calls, say.

    Raises:
        UnknownCampaign: there is none.
    """
    campaign = await find(session, campaign_id)
    counts = await _count(session, campaign)
    if await session.get(CampaignReport, campaign_id) is not None:
        return Status("cancelled" if campaign.cancelled_at else "finished", 1.0, counts)
    if campaign.workflow_id is None:
        return Status("starting" if campaign.started_at else "draft", 0.0, counts)
    statement = text("SELECT state, progress, ended_at FROM workrow.workflows WHERE id = :id")
    workflow = (await session.execute(statement, {"id": campaign.workflow_id})).one_or_none()
    if workflow is None or workflow.ended_at is not None:
        return Status("finishing", 1.0, counts)
    return Status(workflow.state, workflow.progress, counts)


async def report(session: AsyncSession, campaign_id: int) -> CampaignReport | None:
    """Count what has become of each target, once all jobs of the campaign have ended. Twice is the same report.

    What was never dialled (its job has failed, or was cancelled by hand) never will be, and is counted as failed.

    Returns:
        The report; None while calls still run.
    """
    campaign = await find(session, campaign_id, lock=True)
    found = await session.get(CampaignReport, campaign_id)
    if found is not None:
        return found
    await calls.stop_scheduled(session, _keys(campaign_id), State.FAILED, cause="the job that was to dial has ended")
    counts = await _count(session, campaign)
    if any(counts[state] for state in LIVE):
        return None
    made = {str(outcome): counts[outcome] for outcome in OUTCOMES}
    found = CampaignReport(campaign_id=campaign_id, targets=counts.total(), **made)
    session.add(found)
    await session.execute(text("SELECT workrow.reset_limit_v1(:name, :key)"), {"name": LIMIT, "key": str(campaign_id)})
    await session.flush()
    over = {"campaign_id": campaign_id, "name": campaign.name, "cancelled": campaign.cancelled_at is not None}
    await publish(session, "campaign.completed", {**over, "report": {"targets": found.targets, **made}})
    return found


async def _count(session: AsyncSession, campaign: Campaign) -> Counter[str]:
    """Targets by what has become of them."""
    none_yet = State.CANCELLED if campaign.cancelled_at is not None and campaign.workflow_id is None else WAITING
    outcome = case(
        (CampaignTarget.skipped.is_not(None), SKIPPED), else_=func.coalesce(Call.state, str(none_yet))
    ).label("outcome")
    statement = (
        select(outcome, func.count())
        .select_from(CampaignTarget)
        .outerjoin(Call, Call.key == CampaignTarget.key)
        .where(CampaignTarget.campaign_id == campaign.id)
        .group_by(text("outcome"))
    )
    return Counter({row[0]: row[1] for row in await session.execute(statement)})


def _keys(campaign_id: int) -> Select[UUID]:
    return select(CampaignTarget.key).where(CampaignTarget.campaign_id == campaign_id)
