"""Read the log of events."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from jobs.api.requests import QueryId, Transaction, View, page_of
from jobs.audit import service as audit

routes = APIRouter(tags=["audit"])
REFUSALS: dict[type[Exception], int] = {}

Name = Annotated[str, Query(min_length=1, max_length=audit.MAX_NAME, pattern=r"^[^\x00]*$")]


class EventView(View):
    """An event: at that time, this actor did this to that subject."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


class EventPage(BaseModel):
    """Events, the newest first. ``next`` is the ``before`` of the next page; null on the last one."""

    events: list[EventView]
    next: int | None


@routes.get("/audit/events")
async def events(
    session: Transaction,
    subject: Name | None = None,
    actor: Name | None = None,
    before: QueryId | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> EventPage:
    """What happened, the newest first; all of it, or that of one subject or actor."""
    # one more than asked for tells whether there is a next page
    found = await audit.events(session, subject=subject, actor=actor, before=before, limit=limit + 1)
    page, next = page_of(found, limit)
    return EventPage(events=[EventView.model_validate(event) for event in page], next=next)
