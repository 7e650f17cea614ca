"""What other domains call to tell users something."""

from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.emails import digests
from jobs.emails.models import EmailBulk
from jobs.emails.tasks import end_bulk, send_digest, start_bulk
from jobs.settings import get_settings


async def notify(session: AsyncSession, user_id: int, text: str) -> workrow.Job[int]:
    """Tell the user in the next digest: it is sent when nothing new has come for ``digest_minutes``, and after an hour
    (or twelve times as long) at the latest.

    Returns:
        The job that will send it, which those before it may have enqueued.

    Raises:
        UnknownUser: nobody has this id.
    """
    await digests.add(session, user_id, text)
    quiet = 60 * get_settings().digest_minutes
    debounce = workrow.Debounce(quiet, by=("user_id",), max_wait=max(3600, 12 * quiet))
    return await send_digest.options(debounce=debounce).enqueue(session, user_id=user_id)


async def tell_everybody(session: AsyncSession, subject: str, text: str) -> EmailBulk:
    """Send a message to all active users who may be mailed: a workflow with a job each."""
    bulk = EmailBulk(subject=subject, text=text)
    session.add(bulk)
    await session.flush()
    flow = workrow.chain(start_bulk.si(bulk.id), end_bulk.s(bulk_id=bulk.id)).named(f"bulk.{bulk.id}")
    bulk.workflow_id = (await flow.enqueue(session)).id
    return bulk
