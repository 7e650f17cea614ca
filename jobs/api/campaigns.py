"""Create campaigns, start, hold and stop them, and see how they do."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, StringConstraints, model_validator

from jobs.api.calls import Phone, Zone
from jobs.api.requests import Form, Id, PathId, Transaction, View, problems
from jobs.campaigns import orders, service
from jobs.campaigns.models import CampaignReport

routes = APIRouter(prefix="/campaigns", tags=["campaigns"])
REFUSALS: dict[type[Exception], int] = {service.UnknownCampaign: 404, service.WrongMoment: 409}


class TargetForm(Form):
    """Somebody to be called."""

    phone: Phone
    time_zone: Zone


class CampaignForm(Form):
    """A campaign: whom to call (numbers, leads, or both), and how many at the same time."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 5
    targets: list[TargetForm] = Field([], max_length=10_000)
    lead_ids: list[Id] = Field([], max_length=10_000)

    @model_validator(mode="after")
    def _somebody(self) -> "CampaignForm":
        if not self.targets and not self.lead_ids:
            raise ValueError("targets and lead_ids are both empty: name somebody to call")
        return self


class CampaignView(BaseModel):
    """A campaign and how far it has come: targets by the states of their calls, "waiting" or "skipped"."""

    id: int
    name: str
    concurrency: int
    state: str
    progress: float
    counts: dict[str, int]
    created_at: datetime
    started_at: datetime | None
    cancelled_at: datetime | None


class ReportView(View):
    """What has become of the targets: the six outcomes add up to them."""

    campaign_id: int
    targets: int
    completed: int
    failed: int
    no_answer: int
    busy: int
    cancelled: int
    skipped: int
    created_at: datetime


async def _view(session: Transaction, id: int) -> CampaignView:
    campaign, status = await service.find(session, id), await service.status(session, id)
    named = ("id", "name", "concurrency", "created_at", "started_at", "cancelled_at")
    return CampaignView(**{name: getattr(campaign, name) for name in named}, **vars(status))


@routes.post("", status_code=201, responses=problems(404))
async def create(form: CampaignForm, session: Transaction) -> CampaignView:
    """Create a campaign. Nobody is called before it is started.

    A number that is named twice is called once. Leads without a number or a time zone are skipped, and counted.
    """
    targets = [service.Target(**dict(target)) for target in form.targets]
    targets += await service.targets_of(session, form.lead_ids)
    campaign = await service.create(session, name=form.name, concurrency=form.concurrency, targets=targets)
    return await _view(session, campaign.id)


@routes.get("/{id}", responses=problems(404))
async def show(id: PathId, session: Transaction) -> CampaignView:
    """How a campaign is doing."""
    return await _view(session, id)


@routes.post("/{id}/start", status_code=202, responses=problems(404, 409))
async def start(id: PathId, session: Transaction) -> CampaignView:
    """Begin to call."""
    await orders.start(session, id)
    return await _view(session, id)


@routes.post("/{id}/pause", responses=problems(404, 409))
async def pause(id: PathId, session: Transaction) -> CampaignView:
    """No more calls begin; those that run go on."""
    await service.pause(session, id)
    return await _view(session, id)


@routes.post("/{id}/resume", responses=problems(404, 409))
async def resume(id: PathId, session: Transaction) -> CampaignView:
    """Go on."""
    await service.resume(session, id)
    return await _view(session, id)


@routes.post("/{id}/cancel", status_code=202, responses=problems(404, 409))
async def cancel(id: PathId, session: Transaction) -> CampaignView:
    """Nobody is called any more; calls that run go on to their ends, and then there is a report."""
    await service.cancel(session, id)
    return await _view(session, id)


@routes.get("/{id}/report", responses=problems(404, 409))
async def report(id: PathId, session: Transaction) -> ReportView:
    """What has become of everybody, once the campaign is over."""
    status = await service.status(session, id)
    found = await session.get(CampaignReport, id)
    if found is None:
        raise HTTPException(409, f"campaign {id} has no report yet: it is {status.state}")
    return ReportView.model_validate(found)
