"""What people ask for: a call, or that there be none. In the caller's transaction."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database
from jobs.calls import service, tasks
from jobs.calls.models import Call
from jobs.calls.states import LIVE, State
from jobs.leads import service as leads
from workrow import clock

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
FARTHEST = timedelta(days=366)


class BadOrder(ValueError):
    """What is asked for cannot be done; the text says why."""


class KeyTaken(Exception):
    """Another call was ordered with this key."""


class CallOver(Exception):
    """The call has ended, and cannot be cancelled any more."""


@dataclass(frozen=True)
class Order:
    """A call that was ordered.

    Attributes:
        call: the call.
        new: False if it had been ordered with this key before.
    """

    call: Call
    new: bool


def check_phone(phone: str) -> str:
    """The number, if it is written as E.164 has it.

    Raises:
        ValueError: it is not.
    """
    if not E164.fullmatch(phone):
        raise ValueError(f"{phone!r} is no telephone number: write it with its country code, such as +4930123456")
    return phone


async def schedule(
    session: AsyncSession,
    *,
    phone: str,
    time_zone: str,
    lead_id: int | None = None,
    at: datetime | None = None,
    key: uuid.UUID | None = None,
) -> Order:
    """Order a call: at the time, or at the next opening after it where the person lives.

    Args:
        session: the transaction; the job that dials is part of it.
        phone: whom, E.164.
        time_zone: where they live; an IANA name.
        lead_id: who that is.
        at: not before; now, by default.
        key: the same order twice with the same key is one call.

    Raises:
        BadOrder: the time lies in the past, or more than a year ahead.
        ValueError: phone or time_zone is none.
        KeyTaken: the key is that of a call to another number, or elsewhere.
        UnknownLead: there is no such lead.
    """
    key = key or uuid.uuid4()
    ordered = select(Call).where(Call.key == key)
    call = await session.scalar(ordered)  # before its time is looked at: an order may be repeated when that is over
    if call is None:
        opens = await _opening(session, time_zone, at)
        if lead_id is not None:
            await leads.get(session, lead_id)
        who = {"phone": check_phone(phone), "time_zone": time_zone, "lead_id": lead_id}
        ids = await service.create(session, [{"key": key, **who, "scheduled_at": opens}])
        if key in ids:
            await tasks.dial.options(at=opens).enqueue(session, call_id=ids[key])
            return Order(await service.find(session, ids[key]), new=True)
        call = (await session.scalars(ordered)).one()  # somebody has ordered it meanwhile
    if (call.phone, call.time_zone, call.lead_id) != (phone, time_zone, lead_id):
        raise KeyTaken(f"key={key}: call {call.id} was ordered with it, which is another one; take a new key")
    return Order(call, new=False)


async def _opening(session: AsyncSession, time_zone: str, at: datetime | None) -> datetime:
    now = await database.now(session)
    at = at or now
    if not now - timedelta(minutes=5) <= at <= now + FARTHEST:
        raise BadOrder(f"at={at.isoformat()}: must lie between now and a year ahead")
    return service.next_opening(time_zone, max(at, now))


async def cancel(session: AsyncSession, call_id: int) -> Call:
    """Cancel a call: at once if nobody has dialled; else the provider is asked to hang up. Twice is no error.

    Raises:
        UnknownCall: there is none.
        CallOver: it has ended otherwise.
    """
    call = await service.find(session, call_id)
    stopped = await service.stop_scheduled(session, [call.key], State.CANCELLED, cause="cancelled")
    call = await service.find(session, call_id)
    if not stopped and call.state in LIVE:
        if call.cancel_asked_at is None:
            call.cancel_asked_at = clock.now()
            await tasks.hang_up.enqueue(session, call_id=call_id)
    elif call.state != State.CANCELLED:
        raise CallOver(f"call {call_id} is over: {call.state}")
    return call
