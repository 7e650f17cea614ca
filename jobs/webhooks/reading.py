"""How deliveries are going, for those who look."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEvent
from jobs.webhooks.publishing import UnknownDelivery

COLUMNS = (*WebhookDelivery.__table__.columns, WebhookEvent.type)
WITH_EVENT = WebhookEvent.id == WebhookDelivery.event_id


async def deliveries(
    session: AsyncSession, *, subscription_id: int | None, status: str | None, before: int | None, limit: int
) -> Sequence[Row[Any]]:
    """Deliveries with the type of their event, the newest first: all, or of one subscription, of one status.

    Args:
        session: to read with.
        subscription_id: only those to this subscription.
        status: only those with this status.
        before: only those with a smaller id.
        limit: at most so many.
    """
    statement = select(*COLUMNS).join(WebhookEvent, WITH_EVENT).order_by(WebhookDelivery.id.desc()).limit(limit)
    if subscription_id is not None:
        statement = statement.where(WebhookDelivery.subscription_id == subscription_id)
    if status is not None:
        statement = statement.where(WebhookDelivery.status == status)
    if before is not None:
        statement = statement.where(WebhookDelivery.id < before)
    return (await session.execute(statement)).all()


async def delivery(session: AsyncSession, id: int) -> dict[str, Any]:
    """A delivery with the type and body of its event, and its attempts in their order as ``log``.

    Raises:
        UnknownDelivery: there is none of this id.
    """
    statement = select(*COLUMNS, WebhookEvent.body).join(WebhookEvent, WITH_EVENT).where(WebhookDelivery.id == id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise UnknownDelivery(f"there is no webhook delivery {id}")
    attempts = select(WebhookAttempt).where(WebhookAttempt.delivery_id == id).order_by(WebhookAttempt.number)
    return {**row._mapping, "log": (await session.scalars(attempts)).all()}
