"""Subscribe to events, see how their delivery goes, and send them again."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from jobs.api.requests import LARGEST, Actor, Form, PathId, QueryId, Transaction, View, page_of, problems
from jobs.webhooks import catalog, guard, publishing, reading, subscriptions
from jobs.webhooks.models import WebhookSubscription

routes = APIRouter(prefix="/webhooks", tags=["webhooks"])
REFUSALS: dict[type[Exception], int] = {
    guard.RefusedURL: 422,
    subscriptions.BadSubscription: 422,
    publishing.BadEvent: 422,
    subscriptions.UnknownSubscription: 404,
    publishing.UnknownDelivery: 404,
    publishing.NotReplayable: 409,
}

After = Annotated[int, Query(ge=0, le=LARGEST)]
Limit = Annotated[int, Query(ge=1, le=500)]
Description = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
MaxRunning = Annotated[int, Field(ge=1, le=100)]
Moment = Annotated[AwareDatetime, Field(examples=["2027-01-31T12:00:00Z"])]


class NewSubscription(Form):
    """Where to, and of what. ``ordered``: one event after the other. ``max_running``: requests at the same time."""

    url: str = Field(examples=["https://example.org/hook"])
    events: list[str] = Field(examples=[["user.registered"], ["*"]])
    description: Description = ""
    ordered: bool = False
    max_running: MaxRunning = subscriptions.MAX_RUNNING


class SubscriptionChange(Form):
    """What is to be changed. ``active: true`` enables it again."""

    url: str | None = None
    events: list[str] | None = None
    description: Description | None = None
    ordered: bool | None = None
    max_running: MaxRunning | None = None
    active: bool | None = None


class SubscriptionView(BaseModel):
    """A subscription, without its secret. ``hint``: which of its events the application itself never tells of."""

    id: int
    url: str
    events: list[str]
    description: str
    ordered: bool
    max_running: int
    active: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failures: int
    failing_since: datetime | None
    created_at: datetime
    hint: str | None

    @classmethod
    def of(cls, row: WebhookSubscription, **more: Any) -> Self:
        """As the row has it."""
        names = set(WebhookSubscription.__table__.columns.keys()) & cls.model_fields.keys() - more.keys()
        return cls(
            **{name: getattr(row, name) for name in names},
            active=row.disabled_at is None,
            hint=catalog.hint(row.events),
            **more,
        )


class SubscriptionWithSecret(SubscriptionView):
    """A subscription with its secret, which is shown this once."""

    secret: str


class SubscriptionPage(BaseModel):
    """Subscriptions. ``next`` is the ``after`` of the next page; null on the last one."""

    subscriptions: list[SubscriptionView]
    next: int | None


class Rotation(Form):
    """For so long the old secret signs as well; 0 for one that has leaked."""

    overlap_hours: Annotated[float, Field(ge=0, le=720)] = subscriptions.OVERLAP / timedelta(hours=1)


class NewEvent(Form):
    """What happened."""

    type: str = Field(examples=["user.registered"])
    data: dict[str, Any] = Field(examples=[{"user_id": 7}])


class PublishedView(BaseModel):
    """The event's ``webhook-id``, and how many subscriptions will hear of it."""

    id: str
    deliveries: int


class DeliveryView(View):
    """An event on its way to a subscription. ``job``: see ``/jobs/{id}``."""

    id: int
    event_id: str
    type: str
    subscription_id: int
    status: Literal["pending", "delivered", "failed", "skipped"]
    attempts: int
    job_id: int | None
    created_at: datetime
    ended_at: datetime | None


class DeliveryPage(BaseModel):
    """Deliveries, the newest first. ``next`` is the ``before`` of the next page; null on the last one."""

    deliveries: list[DeliveryView]
    next: int | None


class AttemptView(View):
    """One request: its answer with the beginning of the body, or the error that there was instead."""

    number: int
    at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    snippet: str | None


class DeliveryWithAttempts(DeliveryView):
    """A delivery with what was sent, and each attempt to send it."""

    body: str
    log: list[AttemptView]


class ReplayForm(Form):
    """From when on."""

    since: Moment


class ReplayJob(BaseModel):
    """The job that sends them again; its result, at ``/jobs/{id}``, is how many."""

    job: int


@routes.post("/subscriptions", status_code=201)
async def create(form: NewSubscription, session: Transaction, actor: Actor) -> SubscriptionWithSecret:
    """Subscribe a URL to events. The secret is shown here and never again."""
    row = await subscriptions.create(session, **form.model_dump(), actor=actor)
    await publishing.apply_concurrency(session, row.id)
    return SubscriptionWithSecret.of(row, secret=row.secret)


@routes.get("/subscriptions")
async def listed(session: Transaction, after: After = 0, limit: Limit = 100) -> SubscriptionPage:
    """All subscriptions, page by page."""
    found = await subscriptions.listed(session, after=after, limit=limit + 1)
    page, next = page_of(found, limit)
    return SubscriptionPage(subscriptions=[SubscriptionView.of(row) for row in page], next=next)


@routes.get("/subscriptions/{id}", responses=problems(404))
async def show(id: PathId, session: Transaction) -> SubscriptionView:
    """A subscription: what it hears of, and whether it works."""
    return SubscriptionView.of(await subscriptions.get(session, id))


@routes.patch("/subscriptions/{id}", responses=problems(404))
async def change(id: PathId, form: SubscriptionChange, session: Transaction, actor: Actor) -> SubscriptionView:
    """Change what is given. ``{"active": true}`` enables it again; then replay what was skipped meanwhile."""
    row = await subscriptions.change(session, id, **form.model_dump(), actor=actor)
    if form.max_running is not None:
        await publishing.apply_concurrency(session, id)
    return SubscriptionView.of(row)


@routes.delete("/subscriptions/{id}", status_code=204, responses=problems(404))
async def remove(id: PathId, session: Transaction, actor: Actor) -> Response:
    """Delete a subscription and all that was written of its deliveries."""
    await subscriptions.remove(session, id, actor=actor)
    await publishing.apply_concurrency(session, id)
    return Response(status_code=204)


@routes.post("/subscriptions/{id}/secret", responses=problems(404))
async def rotate(
    id: PathId, session: Transaction, actor: Actor, form: Rotation | None = None
) -> SubscriptionWithSecret:
    """Replace the secret. For a while both sign, so that the receiver can change at leisure."""
    overlap = timedelta(hours=(form or Rotation()).overlap_hours)
    row = await subscriptions.rotate(session, id, overlap=overlap, actor=actor)
    return SubscriptionWithSecret.of(row, secret=row.secret)


@routes.post("/subscriptions/{id}/replay", status_code=202, responses=problems(404, 409))
async def replay_failed(id: PathId, form: ReplayForm, session: Transaction, actor: Actor) -> ReplayJob:
    """Send everything again that failed, or was skipped, of what was published since then."""
    return ReplayJob(job=(await publishing.replay_failed(session, id, form.since, actor=actor)).id)


@routes.get("/events")
async def events() -> dict[str, str]:
    """The types of events that the application itself tells of, and what has happened then."""
    return catalog.EVENTS


@routes.post("/events", status_code=202)
async def publish(form: NewEvent, session: Transaction) -> PublishedView:
    """Tell every active subscription of this type of event."""
    event = await publishing.publish(session, form.type, form.data)
    return PublishedView(id=event.id, deliveries=event.deliveries)


@routes.get("/deliveries")
async def deliveries(
    session: Transaction,
    subscription_id: QueryId | None = None,
    status: Literal["pending", "delivered", "failed", "skipped"] | None = None,
    before: QueryId | None = None,
    limit: Limit = 100,
) -> DeliveryPage:
    """Deliveries, the newest first; all of them, or those of one subscription or status."""
    found = await reading.deliveries(
        session, subscription_id=subscription_id, status=status, before=before, limit=limit + 1
    )
    page, next = page_of(found, limit)
    return DeliveryPage(deliveries=[DeliveryView.model_validate(row) for row in page], next=next)


@routes.get("/deliveries/{id}", responses=problems(404))
async def delivery(id: PathId, session: Transaction) -> DeliveryWithAttempts:
    """A delivery with what was sent, and each attempt to send it."""
    return DeliveryWithAttempts(**await reading.delivery(session, id))


@routes.post("/deliveries/{id}/replay", status_code=202, responses=problems(404, 409))
async def replay(id: PathId, session: Transaction, actor: Actor) -> DeliveryView:
    """Send it again, with the same ``webhook-id``: a receiver that has it may drop it."""
    await publishing.replay(session, id, actor=actor)
    return DeliveryView(**await reading.delivery(session, id))
