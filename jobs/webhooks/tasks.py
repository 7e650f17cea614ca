"""Jobs of the webhooks domain.

A delivery that runs twice does no harm: it does nothing when it has ended, and a request that is repeated after a crash
has the same ``webhook-id``, by which receivers drop it.
"""

import random
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.policies import RETRY
from jobs.webhooks import line, service, subscriptions
from jobs.webhooks.sending import Message, Sender

STEPS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between the ten attempts, more or less a tenth: three days, as Standard Webhooks recommends."""


def back_off(attempts: int) -> float:
    """Seconds until the next attempt, after so many."""
    return STEPS[min(attempts, len(STEPS)) - 1] * random.uniform(0.9, 1.1)


AGAIN = workrow.Rule(service.Undelivered, max_attempts=len(STEPS) + 1, wait=back_off, retry_after=True)
"""No sooner than Retry-After says, and neither does anything else for this subscription."""
PATIENT = workrow.Retry(
    max_attempts=len(STEPS) + 1,
    wait=back_off,
    discard_on=(service.GivenUp,),
    rules=(AGAIN, workrow.retries.database),
)

webhooks = workrow.Blueprint("webhooks", queue="webhooks", retry=RETRY)


@webhooks.task(transactional=True)
async def give_up(session: AsyncSession, failure: workrow.Failure) -> None:
    """A delivery's job has ended badly."""
    subscription_id = failure.args["subscription_id"]
    head = await line.head(session, subscription_id)
    for id in (head, failure.args["delivery_id"]):
        if await service.give_up(session, id, failure.job_id):
            return
    if head is not None and failure.reason != "discarded":
        # it ended before it had begun with any, and the line needs as many jobs as are in it
        task = deliver.options(lock=_lock(subscription_id))
        await task.enqueue(session, delivery_id=head, subscription_id=subscription_id)


@webhooks.task(
    retry=PATIENT, on_failure=give_up, limits=workrow.Limit(subscriptions.MAX_RUNNING, key="subscription_id")
)
async def deliver(
    ctx: workrow.JobContext, delivery_id: int, subscription_id: int, sender: Sender = workrow.inject()
) -> str:
    """One attempt, of this delivery, or of the head of the line; no transaction is open while the receiver thinks."""
    in_line = ctx.job.lock is not None
    async with database.autocommit() as session:
        if in_line:
            found = await line.begin(session, subscription_id, ctx.job.id)
        else:
            found = await service.begin(session, delivery_id)
    if not isinstance(found, Message):
        return await _without_sending(found, delivery_id, subscription_id)
    answer = await sender.send(found)
    if answer.is_success and not found.failing:
        async with database.autocommit() as session:
            return (await service.delivered(session, found.delivery_id, answer)).result()
    async with database.session() as session, session.begin():
        outcome = await service.conclude(session, found.delivery_id, answer)
        end = await line.put_off(session, found.delivery_id, outcome, AGAIN) if in_line else outcome
    return _end(end)


async def _without_sending(
    found: service.Outcome | service.Misplaced | line.Later | None, delivery_id: int, subscription_id: int
) -> str:
    if found is None:
        return "nothing is in line"
    if not isinstance(found, service.Misplaced):
        return _end(found)
    # it joins the line; or all that are in line leave it
    async with database.session() as session, session.begin():
        ids = [delivery_id] if found.ordered else await line.members(session, subscription_id)
        await enqueue(session, [(id, subscription_id) for id in ids], ordered=found.ordered)
    return "enqueued anew, for the subscription's order has changed"


def _end(outcome: service.Outcome | line.Later) -> str:
    if isinstance(outcome, line.Later):
        raise outcome.directive()
    return outcome.result()


@webhooks.task(transactional=True)
async def replay_failed(session: AsyncSession, subscription_id: int, since: datetime) -> int:
    """Everything that failed or was skipped since then is on its way again; how many that is."""
    ids = await service.reopen(session, subscription_id, since)
    subscription = await subscriptions.get(session, subscription_id)
    await enqueue(session, [(id, subscription_id) for id in ids], ordered=subscription.ordered)
    return len(ids)


@webhooks.task(transactional=True)
async def apply_concurrency(session: AsyncSession, subscription_id: int) -> None:
    """The limit of one subscription becomes what its row says."""
    await subscriptions.apply_concurrency(session, subscription_id)


@webhooks.task(cron="30 3 * * *", timezone="UTC")
async def prune() -> int:
    """Every night: forget events that are older than ``webhook_keep_days``."""
    return await database.in_batches(service.prune)


async def enqueue(session: AsyncSession, deliveries: Iterable[tuple[int, int]], *, ordered: bool) -> None:
    """A job for each of these (ids of a delivery and of its subscription); with ``ordered`` they are of one, in line.

    They have all their attempts, the first at once.
    """
    rows = [{"delivery_id": id, "subscription_id": subscription_id} for id, subscription_id in deliveries]
    if not rows:
        return
    task = deliver.options(lock=_lock(rows[0]["subscription_id"])) if ordered else deliver
    jobs = await task.enqueue_many(session, rows)
    statement = text(
        "UPDATE webhook_deliveries AS delivery "
        "SET job_id = new.job_id, ordered = :ordered, failures = 0, next_attempt_at = NULL "
        "FROM unnest(CAST(:ids AS bigint[]), CAST(:jobs AS bigint[])) AS new (id, job_id) WHERE delivery.id = new.id"
    )
    values = {
        "ids": [row["delivery_id"] for row in rows],
        "jobs": [None if ordered else job.id for job in jobs],  # whichever comes to it
        "ordered": ordered,
    }
    await session.execute(statement, values)


def _lock(subscription_id: int) -> str:
    """What the jobs of a line have in common, and no other job has any."""
    return f"webhooks.{subscription_id}"
