"""What the provider tells us by itself: events over HTTP, signed as https://www.standardwebhooks.com says."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints, TypeAdapter, ValidationError
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.calls import service, tasks
from jobs.calls.models import Call, CallEvent
from jobs.calls.provider import Report
from jobs.settings import get_settings
from jobs.webhooks import signing
from workrow import clock

TOLERANCE = timedelta(minutes=5)
"""How old, or how far in the future, a signature may be."""

EventId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")]


class Event(Report):
    """A report of the provider on the call with this key."""

    key: UUID


class BadSignature(Exception):
    """It was not signed by the provider, or not now."""


class NoSecret(Exception):
    """Nobody has told us the provider's secret."""


class BadEvent(Exception):
    """It is signed, and cannot be read."""


class UnknownKey(Exception):
    """It is about a call that we do not know (yet)."""


class Outcome(StrEnum):
    """What became of an event: it has moved the call, came too late for that, or had come before."""

    APPLIED = "applied"
    LATE = "late"
    REPEATED = "repeated"


def check(headers: Mapping[str, str], body: bytes) -> str:
    """The id of an event that the provider has signed a moment ago.

    Raises:
        NoSecret: the setting ``provider_secret`` is not set.
        BadSignature: a header is missing or wrong.
    """
    secret = get_settings().provider_secret
    if secret is None:
        raise NoSecret("WORKROW_PROVIDER_SECRET is not set: set it to what the provider signs its events with")
    id = headers.get("webhook-id", "")
    try:
        TypeAdapter(EventId).validate_python(id)
        at = datetime.fromtimestamp(int(headers.get("webhook-timestamp", "")), UTC)
    except (ValueError, OverflowError, OSError):
        raise BadSignature("the header webhook-id or webhook-timestamp is missing, or cannot be read") from None
    right = signing.headers(id, body, [secret.get_secret_value()], at)["webhook-signature"].encode()
    # there are several, while the provider changes its key
    if not any(hmac.compare_digest(right, each.encode()) for each in headers.get("webhook-signature", "").split()):
        raise BadSignature("the header webhook-signature is not that of this event")
    if abs(clock.now() - at) > TOLERANCE:
        raise BadSignature(f"webhook-timestamp={at.timestamp():.0f}: not within {TOLERANCE.seconds} s of our clock")
    return id


async def receive(session: AsyncSession, id: str, body: bytes) -> Outcome:
    """Take an event whose signature is right. The caller commits.

    Events may come twice, late, and in any order: each moves its call at most once, and never back.

    Raises:
        BadEvent: it is no event.
        UnknownKey: there is no such call; the provider may try again later.
    """
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "body"
        raise BadEvent(f"event {id} cannot be read: {where}: {problem['msg']}") from None
    call_id = await session.scalar(select(Call.id).where(Call.key == event.key))
    if call_id is None:
        raise UnknownKey(f"event {id} is about a call that is not known: key={event.key}")
    row = {"id": id, "call_id": call_id, "status": event.status, "applied": False}
    statement = insert(CallEvent).values(row).on_conflict_do_nothing().returning(CallEvent.id)
    if await session.scalar(statement) is None:
        return Outcome.REPEATED
    moved = await service.apply(session, call_id, event, cause=f"event {id}")
    if moved.stray:
        await tasks.hang_up.enqueue(session, call_id=call_id)
    if not moved.applied:
        return Outcome.LATE
    await session.execute(update(CallEvent).where(CallEvent.id == id).values(applied=True))
    return Outcome.APPLIED
