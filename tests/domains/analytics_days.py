"""What the tests of analytics share: jobs that ended, and the days made of them."""

from datetime import date
from typing import Any

import psycopg

import workrow
from jobs import database
from jobs.analytics import metrics, service
from jobs.analytics import tasks as analytics
from jobs.analytics.models import TaskDay
from jobs.bootstrap import database_url
from jobs.emails import tasks as emails
from jobs.users import tasks as users

DAY = date(2027, 3, 10)


def small_app() -> workrow.App:
    """Only these domains: the schedules of the others would run for weeks, too."""
    app = workrow.App(database_url, sessions=database.session)
    return app.include(analytics.analytics, emails.emails, users.users)


def ended(
    conn: psycopg.Connection[Any],
    at: str,
    *,
    status: str = "succeeded",
    seconds: float = 1.0,
    attempts: int = 1,
    crashes: int = 0,
    task: str = "emails.send_welcome",
    queue: str = "emails",
) -> None:
    """A job that ended then."""
    values = (task, queue, status, attempts, crashes, at, at, seconds, at)
    conn.execute(
        """INSERT INTO workrow.history
               (id, priority, args, claims, task_name, queue_name, status, attempts, crashes,
                created_at, started_at, finished_at)
           VALUES (nextval('procrastinate_jobs_id_seq'), 0, '{}', 1, %s, %s, %s, %s, %s,
                   %s, CAST(%s AS timestamptz) - %s * interval '1 s', %s)""",
        values,
    )


async def aggregate(first: date = DAY, last: date = DAY) -> int:
    async with database.session() as session, session.begin():
        return await session.run_sync(metrics.aggregate, first, last)


async def rows(first: date = DAY, last: date = DAY) -> list[TaskDay]:
    async with database.session() as session:
        return list(await session.scalars(metrics.task_days(first, last)))


async def asked(first: date = DAY, last: date = DAY) -> int:
    async with database.session() as session, session.begin():
        return (await service.open_asked(session, first, last)).id
