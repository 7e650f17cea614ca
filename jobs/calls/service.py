"""What happens to a call. Functions that take a session work in the caller's transaction and leave the commit to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database, opening_hours
from jobs.calls import recording_tasks as recordings
from jobs.calls.models import Call, CallChange, CallEvent
from jobs.calls.provider import Report
from jobs.calls.states import ENDS, LIVE, MOVES, State
from jobs.settings import get_settings
from jobs.webhooks.publishing import publish_many

BATCH = 1000
"""So many events of the provider are forgotten in one transaction."""
Changed = Row[int, int, UUID, int | None]
"""Id, version, key and lead_id of a call that has another state now."""


class UnknownCall(Exception):
    """There is no such call."""


@dataclass(frozen=True)
class Move:
    """What became of a transition.

    Attributes:
        call_id: the call.
        state: where the call is now.
        applied: whether this has brought it there.
        stray: the provider goes on with a call that is over for us, and is to be told.
    """

    call_id: int
    state: State
    applied: bool
    stray: bool = False


async def find(session: AsyncSession, call_id: int) -> Call:
    """The call, as it is now.

    Raises:
        UnknownCall: there is none.
    """
    call = await session.get(Call, call_id, populate_existing=True)
    if call is None:
        raise UnknownCall(f"there is no call {call_id}")
    return call


async def create(session: AsyncSession, calls: Sequence[dict[str, Any]]) -> dict[UUID, int]:
    """Add calls, which nobody dials yet: columns of `Call`, ``key`` among them. Returns the id for each new key."""
    statement = upsert(Call).on_conflict_do_nothing(index_elements=[Call.key]).returning(Call.key, Call.id)
    return {row.key: row.id for row in await session.execute(statement, calls)}


def next_opening(time_zone: str, moment: datetime) -> datetime:
    """The first moment from this one on when people in the zone may be called, by the setting ``call_hours``.

    Raises:
        UnknownZone: there is no such time zone.
    """
    hours = opening_hours.parse(get_settings().call_hours)
    return hours.next_opening(opening_hours.zone_of(time_zone), moment)


async def move(session: AsyncSession, call_id: int, to: State, *, cause: str, **values: Any) -> Move:
    """Bring a call to a state if that may follow the one it is in, and write down why.

    Whoever is faster wins: the row changes only if it is still in the state, and of the version, that was judged.

    Args:
        session: a transaction at READ COMMITTED.
        call_id: the call.
        to: the state.
        cause: why, for the record.
        values: other columns to change with it.

    Raises:
        UnknownCall: there is none.
    """
    while True:
        found = await session.execute(select(Call.state, Call.version).where(Call.id == call_id))
        row = found.one_or_none()
        if row is None:
            raise UnknownCall(f"there is no call {call_id}")
        state = State(row.state)
        if to not in MOVES[state]:
            return Move(call_id, state, applied=False)
        updated = await session.execute(
            update(Call)
            .where(Call.id == call_id, Call.state == state, Call.version == row.version)
            .values(state=to, version=Call.version + 1, changed_at=func.now(), **values)
            .returning(Call.id, Call.version, Call.key, Call.lead_id)
            .execution_options(synchronize_session=False)
        )
        changed = updated.all()
        if changed:  # else somebody was faster: judge anew; states only go forward, so this ends
            await _note(session, changed, state, to, cause=cause)
            return Move(call_id, to, applied=True)


async def apply(session: AsyncSession, call_id: int, report: Report, *, cause: str) -> Move:
    """Believe what the provider says of a call, as far as it is news: what comes late moves nothing back.

    A recording that it tells of for the first time is fetched by a job.

    Raises:
        UnknownCall: there is none.
    """
    moved = await move(session, call_id, report.status, cause=cause)
    if report.recording is not None:
        await recordings.announce(session, call_id, report.recording)
    stray = report.status in LIVE and moved.state in (State.CANCELLED, State.FAILED)
    return replace(moved, stray=stray)


async def stop_scheduled(session: AsyncSession, keys: Sequence[UUID] | Select[UUID], to: State, *, cause: str) -> int:
    """Bring the calls with these keys that nobody has dialled yet to an end, in one statement. Returns how many."""
    assert to in MOVES[State.SCHEDULED]
    stopped = await session.execute(
        update(Call)
        .where(Call.key.in_(keys), Call.state == State.SCHEDULED)
        .values(state=to, version=Call.version + 1, changed_at=func.now())
        .returning(Call.id, Call.version, Call.key, Call.lead_id)
        .execution_options(synchronize_session=False)
    )
    changed = stopped.all()
    if changed:
        await _note(session, changed, State.SCHEDULED, to, cause=cause)
    return len(changed)


async def _note(session: AsyncSession, changed: Sequence[Changed], before: State, after: State, *, cause: str) -> None:
    """Write down what has happened to these calls, and tell of those that have ended."""
    told = cause.replace("\x00", "\ufffd")[:500]  # it may be in the provider's words
    same = {"from_state": before, "to_state": after, "cause": told}
    await session.execute(insert(CallChange), [{"call_id": row.id, "version": row.version, **same} for row in changed])
    if after in ENDS:
        events = (
            {"call_id": row.id, "key": str(row.key), "lead_id": row.lead_id, "state": after} for row in sorted(changed)
        )
        await publish_many(session, "call.ended", events)


async def stuck(session: AsyncSession, *, silent_for: timedelta, at_most: int) -> list[int]:
    """Calls that the provider has, or may have, and of which nothing was heard for so long: the oldest first.

    Not those whose job is about to dial: it asks the provider itself.
    """
    nobody_dials = text(
        "NOT EXISTS (SELECT FROM workrow.jobs AS job WHERE job.id = calls.job_id AND job.status IN ('todo', 'doing'))"
    )
    statement = (
        select(Call.id)
        .where(Call.state.in_(LIVE), Call.changed_at < func.now() - silent_for)
        .where(or_(Call.state != State.DIALING, nobody_dials))
        .order_by(Call.changed_at)
        .limit(at_most)
    )
    return list(await session.scalars(statement))


async def forget_events(session: AsyncSession) -> int:
    """Delete a batch of the events that came ``call_events_keep_days`` ago, of calls that have ended; returns how many.

    Only there they are not needed: whatever comes once more finds the call at its end, where it stays.
    """
    kept = timedelta(days=get_settings().call_events_keep_days)
    of_ended = select(CallEvent.id).join(Call).where(Call.state.in_(ENDS))
    old = of_ended.where(CallEvent.received_at < func.now() - kept).limit(BATCH)
    statement = delete(CallEvent).where(CallEvent.id.in_(old))
    return database.rowcount(await session.execute(statement.execution_options(synchronize_session=False)))


async def is_being_dialled(session: AsyncSession, call: Call) -> bool:
    """Whether the job that dials waits or runs, so that the provider may yet hear of the call."""
    status = await session.scalar(text("SELECT status FROM workrow.jobs WHERE id = :id"), {"id": call.job_id})
    return status in ("todo", "doing")


def is_over(state: str) -> bool:
    """Whether the state is an end."""
    return state in ENDS
