"""Jobs that fetch and expire recordings. They know nothing of how calls go on."""

from datetime import timedelta

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs.calls import recordings as service
from jobs.calls.models import Call, CallRecording
from jobs.calls.provider import RATE, Provider, RecordingGone, RecordingOf
from jobs.policies import RETRY
from jobs.settings import declared_timezone, get_settings

recordings = workrow.Blueprint("recordings", queue="calls", retry=RETRY)


@recordings.task(discard_on=(service.RecordingRefused, RecordingGone), limits=RATE, time_limit=600)
async def fetch(call_id: int, provider: Provider = workrow.inject()) -> int | None:
    """Bring a recording to disk; its size in bytes."""
    return await service.fetch(provider, call_id)


@recordings.task(cron="0 4 * * *", timezone=declared_timezone())
async def expire() -> int:
    """Every night: delete recordings that are older than ``recordings_keep_days``."""
    return await service.expire(timedelta(days=get_settings().recordings_keep_days))


async def announce(session: AsyncSession, call_id: int, recording: RecordingOf) -> None:
    """Note a recording of a call and enqueue its fetching, the first time that the provider tells of one.

    Not of a call that is over for longer than recordings are kept: that one may be deleted already.
    """
    row = select(Call.id, literal(recording.id), literal(recording.sha256)).where(
        Call.id == call_id, Call.changed_at > func.now() - timedelta(days=get_settings().recordings_keep_days)
    )
    columns = ["call_id", "recording_id", "sha256"]
    statement = (
        insert(CallRecording).from_select(columns, row).on_conflict_do_nothing().returning(CallRecording.call_id)
    )
    if await session.scalar(statement) is not None:
        await fetch.enqueue(session, call_id=call_id)
