"""The log of events: what happened is added in the transaction in which it happens, and never changed."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.audit.models import AuditEvent

MAX_DETAILS = 8192
"""Bytes of JSON: an event points to things, it does not carry them."""
MAX_NAME = 200
ACTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


class BadEvent(ValueError):
    """The event cannot be kept; the text names the part, its value and what would be right."""


async def record(
    session: AsyncSession, *, actor: str, action: str, subject: str, details: Mapping[str, Any] | None = None
) -> None:
    """Add an event. It exists exactly if the session's transaction commits.

    Args:
        session: in a transaction; the event's time is that of its start.
        actor: who did it: ``user:7``, ``api``, ``task:webhooks.deliver``.
        action: what: the domain and a past participle, ``webhooks.disabled``.
        subject: to whom or what: ``webhook_subscription:3``.
        details: what else is to be known of it, up to 8 KiB of JSON. No secrets: nobody can take them out again.

    Raises:
        BadEvent: a part of it is too long, empty or no JSON. The transaction is still usable.
    """
    row = {
        "actor": _name("actor", actor),
        "action": action,
        "subject": _name("subject", subject),
        "details": _small(dict(details or {})),
    }
    if len(action) > MAX_NAME or not ACTION.fullmatch(action):
        raise BadEvent(f"action={action[:MAX_NAME]!r}: write the domain and what was done, such as 'webhooks.disabled'")
    await session.execute(insert(AuditEvent).values(row))


async def events(
    session: AsyncSession, *, subject: str | None = None, actor: str | None = None, before: int | None, limit: int
) -> Sequence[AuditEvent]:
    """Events, the newest first.

    Args:
        session: to read with.
        subject: only those of this subject.
        actor: only those of this actor.
        before: only those with a smaller id: the last one of the page before.
        limit: at most so many.
    """
    statement = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    for column, value in ((AuditEvent.subject, subject), (AuditEvent.actor, actor)):
        if value is not None:
            statement = statement.where(column == value)
    if before is not None:
        statement = statement.where(AuditEvent.id < before)
    return (await session.scalars(statement)).all()


def _name(part: str, value: str) -> str:
    if not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise BadEvent(f"{part}={value[:MAX_NAME]!r}: must be 1 to {MAX_NAME} printable characters, such as 'user:7'")
    return value


def _small(details: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(details, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise BadEvent(f"details={details!r:.200}: no JSON: {error}") from None
    if size > MAX_DETAILS:
        raise BadEvent(f"details of {size} bytes: {MAX_DETAILS} at most; keep what is large elsewhere and name it here")
    if r"\u0000" in json.dumps(details):
        raise BadEvent(f"details={details!r:.200}: PostgreSQL keeps no NUL character; leave it out")
    return details
