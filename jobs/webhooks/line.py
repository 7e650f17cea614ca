"""The line of an ordered subscription: its pending deliveries, the one with the lowest id first.

There is a job for each of them, one of which runs at a time (they have a lock in common), and whichever runs serves the
head of the line, not the delivery that it was enqueued with. A job that finds that the head waits for its next attempt
holds the subscription's limit: else every other job would come and find the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.webhooks import service
from jobs.webhooks.models import FAILED, PENDING, SKIPPED, WebhookDelivery
from jobs.webhooks.sending import Message
from jobs.webhooks.service import GivenUp, Outcome, Undelivered

LOOK_AGAIN = 60.0
"""Seconds after which somebody looks at the head again, however long it waits: it may be replayed by hand."""
BEGIN = text(f"""
    WITH head AS (
        SELECT
            id, subscription_id, event_id, attempts,
            CAST(coalesce(greatest(0, extract(epoch FROM next_attempt_at - now())), 0) AS double precision) AS seconds
        FROM webhook_deliveries
        WHERE subscription_id = :subscription_id AND status = 'pending' AND ordered IS NOT FALSE
        ORDER BY id
        LIMIT 1
    ), begun AS (
        UPDATE webhook_deliveries AS delivery SET job_id = :job_id
        FROM head
        WHERE delivery.id = head.id AND head.seconds = 0
    )

    SELECT delivery.seconds, {service.MESSAGE.format(deliveries="head")}
""")


@dataclass(frozen=True)
class Later:
    """The head waits for its next attempt, for so many seconds, and all others wait for the head."""

    why: str
    seconds: float

    def directive(self) -> workrow.RateLimited:
        """What the job raises: nothing of this subscription starts before."""
        return workrow.RateLimited(self.why, retry_after=min(self.seconds, LOOK_AGAIN))


async def begin(
    session: AsyncSession, subscription_id: int, job_id: int | None
) -> Message | Later | Outcome | service.Misplaced | None:
    """What this job has to send: the head of the line; or why nothing. None: nobody is in line."""
    found = (await session.execute(BEGIN, {"subscription_id": subscription_id, "job_id": job_id})).one_or_none()
    if found is None:
        return None
    if found.disabled_at is not None:
        await service.end(session, found.delivery_id, SKIPPED)
        return Outcome(SKIPPED, found.attempts)
    if not found.ordered:
        return service.Misplaced(ordered=False)
    if found.seconds > 0:
        return Later(f"delivery {found.delivery_id} comes first, and is not tried yet", found.seconds)
    return service.message(found)


async def put_off(session: AsyncSession, delivery_id: int, outcome: Outcome, rule: workrow.Rule) -> Later | Outcome:
    """An attempt has failed, see `service.conclude`: when there is another one, or that there is none.

    Args:
        session: that of `service.conclude`.
        delivery_id: the head's.
        outcome: what came of the attempt.
        rule: how often and when a delivery is tried.
    """
    if not isinstance(outcome.error, Undelivered):
        return outcome
    mine = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    count = mine.values(failures=WebhookDelivery.failures + 1).returning(WebhookDelivery.failures)
    failures = (await session.execute(count)).scalar_one()
    seconds = rule.seconds(failures, outcome.error)
    if seconds is None:
        await service.end(session, delivery_id, FAILED)
        return Outcome(FAILED, outcome.attempts, GivenUp(f"{outcome.error}; this was attempt {failures}, the last one"))
    await session.execute(mine.values(next_attempt_at=func.now() + timedelta(seconds=seconds)))
    return Later(str(outcome.error), seconds)


async def members(session: AsyncSession, subscription_id: int) -> Sequence[int]:
    """The ids of the deliveries that are in line, the head first."""
    statement = select(WebhookDelivery.id).where(*_in_line(subscription_id))
    return (await session.scalars(statement.order_by(WebhookDelivery.id))).all()


async def head(session: AsyncSession, subscription_id: int) -> int | None:
    """The id of the delivery whose turn it is."""
    statement = select(WebhookDelivery.id).where(*_in_line(subscription_id))
    found: int | None = await session.scalar(statement.order_by(WebhookDelivery.id).limit(1))
    return found


def _in_line(subscription_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        WebhookDelivery.subscription_id == subscription_id,
        WebhookDelivery.status == PENDING,
        WebhookDelivery.ordered.is_not(False),
    )
