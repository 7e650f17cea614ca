"""What the tests of webhooks do, and what they look at."""

from typing import Any

from sqlalchemy import select

from jobs import database
from jobs.webhooks import subscriptions, tasks
from jobs.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookSubscription
from jobs.webhooks.publishing import Published, publish
from tests.domains.receiver import Receiver
from workrow.testing import Clock, Harness, Ran


async def subscribe(url: str, *events: str, ordered: bool = False, max_running: int = 5) -> WebhookSubscription:
    async with database.session() as session, session.begin():
        return await subscriptions.create(
            session,
            url=url,
            events=events or ["*"],
            description="",
            ordered=ordered,
            max_running=max_running,
            actor="test",
        )


async def tell(type: str = "user.registered", **data: Any) -> Published:
    async with database.session() as session, session.begin():
        return await publish(session, type, data)


async def subscription(id: int) -> WebhookSubscription:
    async with database.session() as session:
        return await subscriptions.get(session, id)


async def deliveries() -> list[WebhookDelivery]:
    async with database.session() as session:
        return list(await session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


async def statuses() -> list[str]:
    return [each.status for each in await deliveries()]


async def attempts() -> list[WebhookAttempt]:
    async with database.session() as session:
        order = (WebhookAttempt.delivery_id, WebhookAttempt.number)
        return list(await session.scalars(select(WebhookAttempt).order_by(*order)))


def told(receiver: Receiver) -> list[int]:
    """The numbers in the messages that arrived."""
    return [request.json()["data"]["n"] for request in receiver.received]


async def later(workrow_jobs: Harness, clock: Clock, **span: float) -> list[Ran]:
    """So much time passes, and then what is due is run."""
    clock.jump(**span)
    return await workrow_jobs.drain(queues=["webhooks"], raise_on_failure=False)


async def exhaust(workrow_jobs: Harness, clock: Clock) -> None:
    """Whatever was published gets its attempts."""
    await later(workrow_jobs, clock)
    for step in tasks.STEPS:
        await later(workrow_jobs, clock, seconds=step * 1.1 + 1)
