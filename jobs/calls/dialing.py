"""Speaking with the provider about one call. No transaction is open meanwhile."""

import asyncio

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.calls import service
from jobs.calls.models import Call
from jobs.calls.provider import CallRefused, Provider
from jobs.calls.service import Move
from jobs.calls.states import LIVE, State

LOOKS = (0.1, 2.0)
"""Seconds between two looks of who waits for the end of a call: the first, and the longest."""


async def dial(provider: Provider, call_id: int, *, job_id: int | None) -> Move:
    """Have the provider call, if it is time and nobody has decided otherwise. Twice is no harm.

    The call is "dialing" before the provider hears of it. Who finds it so has come back after an attempt whose answer
    is unknown, and first asks the provider what it knows.

    Args:
        provider: who calls.
        call_id: the call.
        job_id: the job that dials, which the reconciler looks for.

    Raises:
        Snooze: it is not the time for it where the person lives.
        Exception: of the provider; the state is "dialing", and the next attempt goes on from there.
    """
    call, again = await _begin(call_id, job_id)
    if call.state != State.DIALING:
        return Move(call_id, State(call.state), applied=False)
    if again:
        known = await check(provider, call_id)
        if known is not None:
            return known
        async with database.session() as session:
            await _be_open(session, call)
    try:
        report = await provider.place(call.key, call.phone)
    except CallRefused as error:
        async with database.session() as session, session.begin():
            return await service.move(session, call_id, State.FAILED, cause=f"refused by the provider: {error}")
    async with database.session() as session, session.begin():
        moved = await service.apply(session, call_id, report, cause="the provider's answer")
    if moved.stray:  # cancelled while we asked
        await provider.hang_up(call.key)
    return moved


async def _begin(call_id: int, job_id: int | None) -> tuple[Call, bool]:
    """The call, which is "dialing" now if it may be dialled; whether it was before."""
    async with database.session() as session, session.begin():
        call = await service.find(session, call_id)
        again = call.state == State.DIALING
        if call.state == State.SCHEDULED:
            await _be_open(session, call)
            moved = await service.move(session, call_id, State.DIALING, cause=f"job {job_id}", job_id=job_id)
            again = not moved.applied
            await session.refresh(call)
        elif again:
            call.job_id = job_id
    return call, again


async def _be_open(session: AsyncSession, call: Call) -> None:
    now = await database.now(session)
    opens = service.next_opening(call.time_zone, now)
    if opens > now:
        raise workrow.Snooze(f"nobody in {call.time_zone} is called at this hour", at=opens)


async def check(provider: Provider, call_id: int) -> Move | None:
    """Ask the provider what has become of a call, and believe it.

    One that the provider knows nothing about is over, if nobody is to dial it any more.

    Returns:
        Where the call is now; None if the provider knows nothing of it, and the job that dials may do so yet.

    Raises:
        Exception: of the provider.
    """
    async with database.session() as session:
        call = await service.find(session, call_id)
    if call.state not in LIVE:
        return Move(call_id, State(call.state), applied=False)
    report = await provider.find(call.key)
    async with database.session() as session, session.begin():
        call = await service.find(session, call_id)
        call.changed_at = func.now()  # not asked again before the next silence
        if report is not None:
            moved = await service.apply(session, call_id, report, cause="asked the provider")
        elif call.cancel_asked_at is not None:
            moved = await service.move(session, call_id, State.CANCELLED, cause="cancelled before anybody was called")
        elif call.state == State.DIALING and await service.is_being_dialled(session, call):
            return None
        else:
            moved = await service.move(session, call_id, State.FAILED, cause="the provider knows nothing of it")
    if moved.stray or (call.cancel_asked_at is not None and moved.state in LIVE):
        await provider.hang_up(call.key)
    return moved


async def hang_up(provider: Provider, call_id: int) -> Move | None:
    """End a call at the provider, and then ask what has become of it, as `check` does.

    Raises:
        Exception: of the provider.
    """
    async with database.session() as session:
        call = await service.find(session, call_id)
    await provider.hang_up(call.key)
    return await check(provider, call_id)


async def ended(call_id: int) -> State:
    """Wait for the end of a call: events and the reconciler bring it there.

    Raises:
        UnknownCall: there is none.
    """
    pause, longest = LOOKS
    while True:
        async with database.session() as session:
            state = await session.scalar(select(Call.state).where(Call.id == call_id))
        if state is None:
            raise service.UnknownCall(f"there is no call {call_id}")
        if service.is_over(state):
            return State(state)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, longest)
