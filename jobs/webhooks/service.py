"""One attempt to deliver: what is to be sent, and what follows from the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.database import rowcount
from jobs.settings import get_settings
from jobs.webhooks import subscriptions
from jobs.webhooks.models import (
    DELIVERED,
    FAILED,
    PENDING,
    SKIPPED,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEvent,
    WebhookSubscription,
)
from jobs.webhooks.sending import Answer, Message

GONE = 410
FAILURES_BEFORE_DISABLED = 10
"""In a row, and over ``webhook_disable_after_days``: a subscription that hears of one event a month is not disabled for
the two attempts that failed a month apart."""
PRUNED_AT_ONCE = 1000

MESSAGE = """
        delivery.id AS delivery_id, delivery.attempts,
        subscription.url, subscription.secret, subscription.previous_secret, subscription.disabled_at,
        subscription.ordered, subscription.failures,
        coalesce(now() < subscription.previous_secret_until, false) AS both_sign,
        event.id AS event_id, event.body
    FROM {deliveries} AS delivery
    JOIN webhook_subscriptions AS subscription ON subscription.id = delivery.subscription_id
    JOIN webhook_events AS event ON event.id = delivery.event_id
"""
"""What an attempt has to know: the end of a SELECT."""
BEGIN = text(f"SELECT delivery.status, {MESSAGE.format(deliveries='webhook_deliveries')} WHERE delivery.id = :id")
DELIVERED_AT_ONCE = text("""
    WITH delivery AS (
        UPDATE webhook_deliveries SET attempts = attempts + 1, status = 'delivered', ended_at = now()
        WHERE id = :id
        RETURNING id, attempts
    )

    INSERT INTO webhook_attempts (delivery_id, number, duration_ms, status_code, snippet)
    SELECT id, attempts, :duration_ms, :status, :snippet FROM delivery
    RETURNING number
""")


class Undelivered(Exception):
    """This attempt failed, and another may succeed. ``retry_after`` is what the receiver asks for, if it does."""

    def __init__(self, words: str, retry_after: str | None) -> None:
        super().__init__(words)
        self.retry_after = retry_after


class GivenUp(Exception):
    """No other attempt is made: they are used up, or the subscription is disabled now."""


@dataclass(frozen=True)
class Misplaced:
    """The subscription has got an order since the job was enqueued, or lost it."""

    ordered: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a delivery: its status, or ``"deleted"``."""

    status: str
    attempts: int = 0
    error: Undelivered | GivenUp | None = None

    def result(self) -> str:
        """The end in a few words.

        Raises:
            Undelivered: not yet.
            GivenUp: never.
        """
        if self.error is not None:
            raise self.error
        return f"{self.status} after {self.attempts} attempts"


async def begin(session: AsyncSession, delivery_id: int) -> Message | Outcome | Misplaced:
    """What this attempt has to send; or the end, if there is nothing to send (any more). See `line` for what waits."""
    found = (await session.execute(BEGIN, {"id": delivery_id})).one_or_none()
    if found is None:
        return Outcome("deleted")
    if found.status != PENDING:
        return Outcome(found.status, found.attempts)
    if found.disabled_at is not None:
        await end(session, delivery_id, SKIPPED)
        return Outcome(SKIPPED, found.attempts)
    return Misplaced(ordered=True) if found.ordered else message(found)


def message(found: Row[Any]) -> Message:
    """What is sent, as the statement that begins an attempt has found it."""
    keys = (found.secret, found.previous_secret) if found.both_sign else (found.secret,)
    return Message(found.delivery_id, found.url, found.event_id, found.body, keys, failing=found.failures > 0)


async def delivered(session: AsyncSession, delivery_id: int, answer: Answer) -> Outcome:
    """As `conclude`, in one statement, for a success at a subscription that was not failing: nearly all are that."""
    row = {"id": delivery_id, "duration_ms": answer.duration_ms, "status": answer.status, "snippet": answer.snippet}
    number = await session.scalar(DELIVERED_AT_ONCE, row)
    return Outcome("deleted") if number is None else Outcome(DELIVERED, number)


async def conclude(session: AsyncSession, delivery_id: int, answer: Answer) -> Outcome:
    """Write the attempt down, and what follows from it. The caller commits, and then asks for the outcome's result."""
    found = select(WebhookDelivery.subscription_id).where(WebhookDelivery.id == delivery_id)
    subscription_id = await session.scalar(found)
    if subscription_id is None:
        return Outcome("deleted")
    # the subscription before the delivery, as whoever deletes both: two who go opposite ways wait for each other
    error = await _judge(session, subscription_id, answer)
    count = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    number = await session.scalar(
        count.values(attempts=WebhookDelivery.attempts + 1).returning(WebhookDelivery.attempts)
    )
    if number is None:
        return Outcome("deleted")
    attempt = {
        "delivery_id": delivery_id,
        "number": number,
        "duration_ms": answer.duration_ms,
        "status_code": answer.status,
        "error": answer.error,
        "snippet": answer.snippet,
    }
    await session.execute(insert(WebhookAttempt).values(attempt))
    if isinstance(error, Undelivered):
        return Outcome(PENDING, number, error)
    status = FAILED if error else DELIVERED
    await end(session, delivery_id, status)
    return Outcome(status, number, error)


async def give_up(session: AsyncSession, delivery_id: int | None, job_id: int) -> bool:
    """The delivery's job has ended badly: its attempts are used up, or it crashed too often. False: it is another's."""
    statement = update(WebhookDelivery).where(
        WebhookDelivery.id == delivery_id, WebhookDelivery.job_id == job_id, WebhookDelivery.status == PENDING
    )
    return rowcount(await session.execute(statement.values(status=FAILED, ended_at=func.now()))) > 0


async def reopen(session: AsyncSession, subscription_id: int, since: datetime) -> Sequence[int]:
    """The ids of the deliveries that failed or were skipped since then, pending again; none if it is disabled."""
    subscription = await subscriptions.get(session, subscription_id)
    if subscription.disabled_at is not None:
        return []
    statement = update(WebhookDelivery).where(
        WebhookDelivery.subscription_id == subscription_id,
        WebhookDelivery.status.in_((FAILED, SKIPPED)),
        WebhookDelivery.created_at >= since,
    )
    statement = statement.values(status=PENDING, ended_at=None)
    return sorted((await session.scalars(statement.returning(WebhookDelivery.id))).all())


async def prune(session: AsyncSession) -> int:
    """Delete a batch of the events that are older than ``webhook_keep_days``, with all that was written of them.

    What is still on its way stays.

    Returns:
        How many events went.
    """
    kept = timedelta(days=get_settings().webhook_keep_days)
    on_its_way = exists().where(WebhookDelivery.event_id == WebhookEvent.id, WebhookDelivery.status == PENDING)
    old = select(WebhookEvent.id).where(WebhookEvent.created_at < func.now() - kept, ~on_its_way).limit(PRUNED_AT_ONCE)
    statement = delete(WebhookEvent).where(WebhookEvent.id.in_(old)).execution_options(synchronize_session=False)
    return rowcount(await session.execute(statement))


async def end(session: AsyncSession, delivery_id: int, status: str) -> None:
    """The delivery is over."""
    statement = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    await session.execute(statement.values(status=status, ended_at=func.now()))


async def _judge(session: AsyncSession, subscription_id: int, answer: Answer) -> Undelivered | GivenUp | None:
    """Note on the subscription that it works, or that it fails; disable it when it has failed for too long."""
    mine = update(WebhookSubscription).where(WebhookSubscription.id == subscription_id)
    if answer.is_success:  # writes nothing on one that works anyway
        await session.execute(mine.where(WebhookSubscription.failures > 0).values(failures=0, failing_since=None))
        return None
    since = func.coalesce(WebhookSubscription.failing_since, func.now())
    await session.execute(mine.values(failures=WebhookSubscription.failures + 1, failing_since=since))
    words = answer.error or ""
    days = get_settings().webhook_disable_after_days
    subscription = await subscriptions.get(session, subscription_id)
    await session.refresh(subscription)
    if answer.status == GONE:
        reason = "the receiver answered 410 Gone"
    elif subscription.failures >= FAILURES_BEFORE_DISABLED and await _is_over(session, subscription, days):
        reason = f"{subscription.failures} attempts in a row failed, over more than {days} days; the last: {words}"
    else:
        return Undelivered(words, answer.retry_after)
    if subscription.disabled_at is None:
        await subscriptions.disable(session, subscription, reason)
    return GivenUp(f"{words}; subscription {subscription_id} is disabled: {reason}")


async def _is_over(session: AsyncSession, subscription: WebhookSubscription, days: int) -> bool:
    now: datetime = (await session.execute(select(func.now()))).scalar_one()
    return subscription.failing_since is not None and now - subscription.failing_since >= timedelta(days=days)
