"""Say that something happened, and say it again."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.webhooks import subscriptions, tasks
from jobs.webhooks.models import PENDING, WebhookDelivery, WebhookSubscription
from workrow import clock

MAX_BODY = 256 * 1024
"""Bytes; receivers are advised to expect 20 KB. What is larger is better fetched by its id."""
ADD = text("""
    WITH event AS (
        INSERT INTO webhook_events (id, type, body)
        SELECT id, :type, body
        FROM unnest(CAST(:ids AS text[]), CAST(:bodies AS text[])) AS new (id, body)
    )

    INSERT INTO webhook_deliveries (event_id, subscription_id)
    SELECT new.event_id, listener.id
    FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS new (event_id, number)
    CROSS JOIN unnest(CAST(:listeners AS bigint[])) AS listener (id)
    ORDER BY new.number, listener.id
    RETURNING id, subscription_id
""")


class BadEvent(ValueError):
    """The event cannot be sent; the text says which part of it, and what would be right."""


class UnknownDelivery(Exception):
    """There is no delivery of this id."""


class NotReplayable(Exception):
    """The delivery is on its way, or its subscription is disabled."""


@dataclass(frozen=True)
class Published:
    """An event, and how many subscriptions will hear of it. Of an event that nobody hears of nothing is kept."""

    id: str
    deliveries: int


async def publish(session: AsyncSession, type: str, data: Mapping[str, Any]) -> Published:
    """Tell every active subscription of this type of event: a job for each, which exists exactly if this commits.

    Subscriptions with an order hear of events in the order of these calls; of two transactions at the same time,
    neither is the first.

    Args:
        session: in the caller's transaction.
        type: what happened, ``"user.registered"``.
        data: what is to be known of it, as JSON.

    Raises:
        BadEvent: the type or the data cannot be sent. The transaction is still usable.
    """
    body = _body(type, data)  # what cannot be sent is refused even if nobody hears of it
    listeners = await _listeners(session, type)
    (id,) = await _send(session, type, [body], listeners)
    return Published(id, len(listeners))


async def publish_many(session: AsyncSession, type: str, events: Iterable[Mapping[str, Any]]) -> None:
    """Publish many events of one type, in their order, with as many statements as one; see `publish`.

    Args:
        session: in the caller's transaction.
        type: what happened.
        events: the data of each; looked at only if somebody hears of this type.
    """
    listeners = await _listeners(session, type)
    if listeners and (bodies := [_body(type, data) for data in events]):
        await _send(session, type, bodies, listeners)


async def is_heard(session: AsyncSession, type: str) -> bool:
    """Whether anybody hears of this type now: else there is no need to find out what there is to tell."""
    return bool(await _listeners(session, type))


async def replay(session: AsyncSession, delivery_id: int, *, actor: str) -> WebhookDelivery:
    """Send it again, with the same id and body, and all attempts of a new job. In line it is due at once.

    Raises:
        UnknownDelivery: there is none of this id.
        NotReplayable: it is on its way and not in line, or its subscription is disabled.
    """
    delivery = await session.get(WebhookDelivery, delivery_id, with_for_update=True)
    if delivery is None:
        raise UnknownDelivery(f"there is no webhook delivery {delivery_id}")
    # whoever is in line may wait for days, and has no job of its own: one more does no harm
    if delivery.status == PENDING and not delivery.ordered and await _runs(session, delivery.job_id):
        raise NotReplayable(f"delivery {delivery_id} is on its way: see /jobs/{delivery.job_id}")
    subscription = await subscriptions.get(session, delivery.subscription_id)
    if subscription.disabled_at is not None:
        raise NotReplayable(f"subscription {subscription.id} is disabled ({subscription.disabled_reason}): enable it")
    again = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    await session.execute(again.values(status=PENDING, ended_at=None))
    await tasks.enqueue(session, [(delivery_id, subscription.id)], ordered=subscription.ordered)
    await subscriptions.record(session, actor, "replayed", subscription.id, delivery=delivery_id)
    await session.refresh(delivery)
    return delivery


async def replay_failed(
    session: AsyncSession, subscription_id: int, since: datetime, *, actor: str
) -> workrow.Job[int]:
    """Enqueue the job that sends everything again that failed or was skipped since then.

    Raises:
        UnknownSubscription: there is none of this id.
        NotReplayable: it is disabled.
    """
    subscription = await subscriptions.get(session, subscription_id)
    if subscription.disabled_at is not None:
        raise NotReplayable(f"subscription {subscription_id} is disabled ({subscription.disabled_reason}): enable it")
    await subscriptions.record(session, actor, "replayed", subscription_id, since=since.isoformat())
    return await tasks.replay_failed.enqueue(session, subscription_id=subscription_id, since=since)


async def apply_concurrency(session: AsyncSession, subscription_id: int) -> None:
    """Enqueue the job that makes a subscription's concurrency hold: only a worker knows the limit for sure."""
    await tasks.apply_concurrency.options(priority=10).enqueue(session, subscription_id=subscription_id)


async def _listeners(session: AsyncSession, type: str) -> dict[int, bool]:
    """The active subscriptions of this type, and whether each has an order."""
    statement = (
        select(WebhookSubscription.id, WebhookSubscription.ordered)
        .where(
            WebhookSubscription.disabled_at.is_(None),
            WebhookSubscription.events.overlap([_checked(type), subscriptions.ALL]),
        )
        .order_by(WebhookSubscription.id)
        # one that is deleted at this moment is waited for, and left out
        .with_for_update(read=True, key_share=True)
    )
    return {row.id: row.ordered for row in await session.execute(statement)}


async def _send(session: AsyncSession, type: str, bodies: Sequence[str], listeners: Mapping[int, bool]) -> list[str]:
    """Write the events with a delivery to each listener, and the jobs; returns the events' ids."""
    ids = [f"msg_{uuid.uuid4().hex}" for _ in bodies]
    if not listeners:
        return ids
    values = {"type": type, "ids": ids, "bodies": bodies, "listeners": list(listeners)}
    found = [(row.id, row.subscription_id) for row in await session.execute(ADD, values)]
    await tasks.enqueue(session, [each for each in found if not listeners[each[1]]], ordered=False)
    for listener in (id for id, ordered in listeners.items() if ordered):
        await tasks.enqueue(session, [each for each in found if each[1] == listener], ordered=True)
    return ids


async def _runs(session: AsyncSession, job_id: int | None) -> bool:
    status = await session.scalar(text("SELECT status FROM workrow.jobs WHERE id = :id"), {"id": job_id})
    return status in ("todo", "doing")


def _checked(type: str) -> str:
    try:
        return subscriptions.checked_type(type)
    except subscriptions.BadSubscription as error:
        raise BadEvent(str(error)) from None


def _body(type: str, data: Mapping[str, Any]) -> str:
    message = {"type": type, "timestamp": clock.now().isoformat(), "data": data}
    try:
        body = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(body.encode())
    except RecursionError:
        raise BadEvent(f"{type}: data is nested too deeply: send an id by which it is found") from None
    except (TypeError, ValueError) as error:  # ValueError: NaN, a circle, half a character
        raise BadEvent(f"{type}: data={data!r:.200} is no JSON: {error}") from None
    if size > MAX_BODY:
        raise BadEvent(f"{type}: a message of {size} bytes, {MAX_BODY} at most: send an id by which the rest is found")
    return body
