"""Order, cancel and look at calls; and where the provider tells what becomes of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from sqlalchemy import select

from jobs.api.requests import Form, Id, PathId, Transaction, View, problems, public
from jobs.calls import events, orders, service
from jobs.calls.models import CallChange, CallRecording
from jobs.calls.states import State
from jobs.opening_hours import UnknownZone, zone_of

routes = APIRouter(tags=["calls"])
REFUSALS: dict[type[Exception], int] = {
    service.UnknownCall: 404,
    orders.BadOrder: 422,
    UnknownZone: 422,
    orders.KeyTaken: 409,
    orders.CallOver: 409,
    events.BadSignature: 401,
    events.BadEvent: 422,
    events.UnknownKey: 404,
    events.NoSecret: 503,
}
Phone = Annotated[
    str,
    AfterValidator(orders.check_phone),
    Field(examples=["+4930123456"], json_schema_extra={"pattern": f"^{orders.E164.pattern}$"}),
]


def _zone(name: str) -> str:
    zone_of(name)
    return name


Zone = Annotated[str, AfterValidator(_zone), Field(examples=["Europe/Berlin"])]

# its parts lie in the schema itself, and references begin at the root of the document
_PARTS = "#/paths/~1provider~1events/post/requestBody/content/application~1json/schema/$defs/{model}"
EVENT = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": events.Event.model_json_schema(ref_template=_PARTS)}},
    }
}


class CallForm(Form):
    """A call to be made.

    ``at`` is when at the earliest; it is made within the opening hours of the time zone. The same key is the same call.
    """

    phone: Phone
    time_zone: Zone
    lead_id: Id | None = None
    at: AwareDatetime | None = None
    key: UUID | None = None


class CallView(View):
    """A call."""

    id: int
    key: UUID
    phone: str
    time_zone: str
    lead_id: int | None
    state: State
    scheduled_at: datetime
    cancel_asked_at: datetime | None
    created_at: datetime
    changed_at: datetime


class ChangeView(View):
    """A transition, and why."""

    from_state: State
    to_state: State
    cause: str
    changed_at: datetime


class RecordingView(View):
    """A recording: ``stored_at`` once it is on disk, ``refused`` if it never will be."""

    size: int | None
    refused: str | None
    stored_at: datetime | None


class CallHistory(CallView):
    """A call and how it came to be where it is."""

    changes: list[ChangeView]
    recording: RecordingView | None


class Receipt(BaseModel):
    """What became of an event."""

    outcome: events.Outcome


@routes.post("/calls", status_code=201, responses={200: {"model": CallView}, **problems(409)})
async def order(form: CallForm, session: Transaction, response: Response) -> CallView:
    """Order a call. The answer to a repeated order is 200 and the call that there is."""
    order = await orders.schedule(session, **dict(form))
    if not order.new:
        response.status_code = 200
    return CallView.model_validate(order.call)


@routes.get("/calls/{id}", responses=problems(404))
async def show(id: PathId, session: Transaction) -> CallHistory:
    """A call, its transitions and its recording."""
    call = CallView.model_validate(await service.find(session, id))
    changes = await session.scalars(select(CallChange).where(CallChange.call_id == id).order_by(CallChange.version))
    recording = await session.get(CallRecording, id)
    return CallHistory(
        **dict(call),
        changes=[ChangeView.model_validate(each) for each in changes],
        recording=RecordingView.model_validate(recording) if recording else None,
    )


@routes.post("/calls/{id}/cancel", status_code=202, responses=problems(404, 409))
async def cancel(id: PathId, session: Transaction) -> CallView:
    """Cancel a call. One that the provider has already is hung up soon: look at it again."""
    return CallView.model_validate(await orders.cancel(session, id))


@routes.post(
    "/provider/events",
    responses=problems(401, 404, 422, 503),
    openapi_extra=EVENT,
)
@public
async def provider_event(request: Request, session: Transaction) -> Receipt:
    """What the provider tells of a call; signed with ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``."""
    body = await request.body()
    return Receipt(outcome=await events.receive(session, events.check(request.headers, body), body))
