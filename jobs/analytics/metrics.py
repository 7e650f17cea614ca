"""The five metrics, from the engine's public views into a row a day."""

from datetime import date, datetime, timedelta

from sqlalchemy import Date, Select, cast, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from jobs import database
from jobs.analytics.models import QueueDay, QueueSample, TaskDay
from jobs.settings import get_settings

LATE = timedelta(days=3)
"""So long after a day its rows are still computed anew: jobs may show late, and failed ones run again."""
SAMPLES_KEPT = timedelta(days=14)

# one day at a time: the view finds a span of finished_at by an index. No difference of times: not every two have one
TASK_DAY = """
INSERT INTO analytics_task_days (
    day, queue, task, finished, succeeded, failed, cancelled, retries, attempts, errors,
    processing_p50_seconds, processing_p95_seconds
)
SELECT
    CAST(:day AS date), queue, task,
    count(*),
    count(*) FILTER (WHERE status = 'succeeded'),
    count(*) FILTER (WHERE status = 'failed'),
    count(*) FILTER (WHERE status IN ('cancelled', 'aborted')),
    sum(greatest(attempts - 1, 0)),
    sum(attempts + crashes),
    sum(greatest(attempts - CAST(status = 'succeeded' AS integer), 0) + crashes),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(EPOCH FROM finished_at) - extract(EPOCH FROM started_at))
        FILTER (WHERE status IN ('succeeded', 'failed')),
    percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(EPOCH FROM finished_at) - extract(EPOCH FROM started_at))
        FILTER (WHERE status IN ('succeeded', 'failed'))
FROM workrow.jobs
WHERE
    finished_at >= CAST(CAST(:day AS date) AS timestamp) AT TIME ZONE :zone
    AND finished_at < CAST(CAST(:day AS date) + 1 AS timestamp) AT TIME ZONE :zone
GROUP BY queue, task
"""

QUEUE_DAY = """
INSERT INTO analytics_queue_days (day, queue, samples, mean_length, max_length)
SELECT CAST(:day AS date), queue, count(*), avg(length), max(length)
FROM analytics_queue_samples
WHERE
    sampled_at >= CAST(CAST(:day AS date) AS timestamp) AT TIME ZONE :zone
    AND sampled_at < CAST(CAST(:day AS date) + 1 AS timestamp) AT TIME ZONE :zone
GROUP BY queue
"""

SAMPLE = """
INSERT INTO analytics_queue_samples (sampled_at, queue, length)
SELECT :at, queue, depth FROM workrow.queues
ON CONFLICT DO NOTHING
"""


async def sample(session: AsyncSession, at: datetime) -> None:
    """Note how long the queues are, once for each moment."""
    await session.execute(text(SAMPLE), {"at": at})


def today(session: Session) -> date:
    """The day that it is in the account's zone, by the database's clock."""
    return session.scalars(select(cast(func.timezone(get_settings().account_timezone, func.now()), Date))).one()


def aggregate(session: Session, first_day: date, last_day: date) -> int:
    """Compute the rows of these days anew: the same jobs give the same rows, and what has left a day is taken out.

    Blocks: with an AsyncSession, ``await session.run_sync(aggregate, first_day, last_day)``.

    Returns:
        How many rows these days have.
    """
    # two at the same moment would meet in the primary key; readers do not wait
    session.execute(text("LOCK TABLE analytics_task_days, analytics_queue_days IN SHARE ROW EXCLUSIVE MODE"))
    rows = 0
    for table, insert in ((TaskDay, TASK_DAY), (QueueDay, QUEUE_DAY)):
        session.execute(delete(table).where(table.day.between(first_day, last_day)))
        for number in range((last_day - first_day).days + 1):
            day = first_day + timedelta(days=number)
            done = session.execute(text(insert), {"day": day, "zone": get_settings().account_timezone})
            rows += database.rowcount(done)
    return rows


def refresh(session: Session, first_day: date, last_day: date) -> None:
    """Compute anew, of these days, those of which all samples are still there. Older ones stay as they are."""
    now = today(session)
    first_day, last_day = max(first_day, now - SAMPLES_KEPT + timedelta(days=1)), min(last_day, now)
    if first_day <= last_day:
        aggregate(session, first_day, last_day)


def task_days(first_day: date, last_day: date, *, queue: str | None = None, task: str | None = None) -> Select[TaskDay]:
    """The rows of these days, in order."""
    found = select(TaskDay).where(TaskDay.day.between(first_day, last_day))
    if queue is not None:
        found = found.where(TaskDay.queue == queue)
    if task is not None:
        found = found.where(TaskDay.task == task)
    return found.order_by(TaskDay.day, TaskDay.queue, TaskDay.task)


def queue_days(first_day: date, last_day: date, *, queue: str | None = None) -> Select[QueueDay]:
    """The lengths of queues on these days, in order."""
    found = select(QueueDay).where(QueueDay.day.between(first_day, last_day))
    if queue is not None:
        found = found.where(QueueDay.queue == queue)
    return found.order_by(QueueDay.day, QueueDay.queue)


async def forget(session: AsyncSession, *, days_before: date) -> int:
    """Delete older days, and samples older than `SAMPLES_KEPT`; returns how many rows."""
    statements = [delete(table).where(table.day < days_before) for table in (TaskDay, QueueDay)]
    statements.append(delete(QueueSample).where(QueueSample.sampled_at < func.now() - SAMPLES_KEPT))
    return sum([database.rowcount(await session.execute(each)) for each in statements])
