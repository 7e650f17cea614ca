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
from jobs.webhooks import service, subscriptions
from jobs.webhooks.sending import Sender

STEPS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between the ten attempts, more or less a tenth: three days, as Standard Webhooks recommends."""


def back_off(attempts: int) -> float:
    """Seconds until the next attempt, after so many."""
    return STEPS[min(attempts, len(STEPS)) - 1] * random.uniform(0.9, 1.1)


PATIENT = workrow.Retry(
    max_attempts=len(STEPS) + 1,
    wait=back_off,
    discard_on=(service.GivenUp,),
    rules=(
        # no sooner than Retry-After says, and neither does anything else for this subscription
        workrow.Rule(service.Undelivered, max_attempts=len(STEPS) + 1, wait=back_off, retry_after=True),
        workrow.retries.database,
    ),
)

webhooks = workrow.Blueprint("webhooks", queue="webhooks", retry=RETRY)


@webhooks.task(transactional=True)
async def give_up(session: AsyncSession, failure: workrow.Failure) -> None:
    """A delivery's job has ended badly."""
    await service.give_up(session, failure.args["delivery_id"], failure.job_id)


@webhooks.task(
    retry=PATIENT, on_failure=give_up, limits=workrow.Limit(subscriptions.MAX_RUNNING, key="subscription_id")
)
async def deliver(delivery_id: int, subscription_id: int, sender: Sender = workrow.inject()) -> str:
    """One attempt; no transaction is open while the receiver thinks."""
    async with database.autocommit() as session:
        found = await service.begin(session, delivery_id)
    if isinstance(found, service.Later):
        raise workrow.Snooze("an earlier event has not been delivered", at=found.until)
    if isinstance(found, service.Outcome):
        return found.result()
    answer = await sender.send(found)
    if answer.is_success and not found.failing:
        async with database.autocommit() as session:
            return (await service.delivered(session, delivery_id, answer)).result()
    async with database.session() as session, session.begin():
        outcome = await service.conclude(session, delivery_id, answer)
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
    """A job for each of these (ids of a delivery and of its subscription); in order, those of one subscription."""
    rows = [{"delivery_id": id, "subscription_id": subscription_id} for id, subscription_id in deliveries]
    if not rows:
        return
    task = deliver.options(lock=f"webhooks.{rows[0]['subscription_id']}") if ordered else deliver
    jobs = await task.enqueue_many(session, rows)
    statement = text(
        "UPDATE webhook_deliveries AS delivery SET job_id = new.job_id "
        "FROM unnest(CAST(:ids AS bigint[]), CAST(:jobs AS bigint[])) AS new (id, job_id) WHERE delivery.id = new.id"
    )
    await session.execute(statement, {"ids": [row["delivery_id"] for row in rows], "jobs": [job.id for job in jobs]})
