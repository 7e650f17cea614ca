"""Who is told: subscriptions are made, changed, disabled and enabled, and their secrets replaced."""

import re
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.audit import service as audit
from jobs.webhooks import guard, signing
from jobs.webhooks.catalog import EVENTS
from jobs.webhooks.models import WebhookSubscription

EVENT_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
ALL = "*"
MAX_EVENTS = 100
MAX_TYPE = 128
MAX_RUNNING = 5
"""Requests to one subscription at the same time, unless it says otherwise."""
LIMIT = "webhooks.deliver/subscription_id"
OVERLAP = timedelta(hours=24)
"""For so long a secret that was replaced signs as well."""


class UnknownSubscription(Exception):
    """There is no subscription of this id."""


class BadSubscription(ValueError):
    """A part of it cannot be; the text names it, its value and what would be right."""


def checked_type(name: str) -> str:
    """The name of a kind of event.

    Raises:
        BadSubscription: it is none.
    """
    if len(name) > MAX_TYPE or not EVENT_TYPE.fullmatch(name):
        raise BadSubscription(
            f"event type {name[:MAX_TYPE]!r}: write lower-case words with dots between them; "
            f"the application itself tells of {', '.join(EVENTS)}"
        )
    return name


def checked_types(names: Sequence[str]) -> list[str]:
    """The kinds of events that a subscription hears of; ``["*"]`` is all of them.

    Raises:
        BadSubscription: there is none, there are too many, or one is wrong.
    """
    if not 1 <= len(names) <= MAX_EVENTS:
        raise BadSubscription(f"events: name 1 to {MAX_EVENTS} types, not {len(names)}; '*' is all of them")
    return sorted({name if name == ALL else checked_type(name) for name in names})


async def create(
    session: AsyncSession,
    *,
    url: str,
    events: Sequence[str],
    description: str,
    ordered: bool,
    max_running: int,
    actor: str,
) -> WebhookSubscription:
    """Add a subscription, active and with a secret of its own.

    Args:
        session: in a transaction that has not written yet: the URL's host is resolved here.
        url: where to, see `guard`.
        events: the types that it hears of; ``"*"`` is all.
        description: whose it is, for those who read the list.
        ordered: whether it hears of one event after the other, in the order in which they were published.
        max_running: requests at the same time; with ``ordered`` there is one whatever this says.
        actor: who does it, for the log of events.

    Raises:
        RefusedURL: no webhook goes there.
        BadSubscription: see `checked_types`.
    """
    row = WebhookSubscription(
        url=await guard.check(url),
        events=checked_types(events),
        description=description,
        secret=signing.new_secret(),
        ordered=ordered,
        max_running=max_running,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    await record(session, actor, "created", row.id, url=row.url)
    return row


async def get(session: AsyncSession, id: int, *, to_change: bool = False) -> WebhookSubscription:
    """The subscription of this id; with ``to_change`` nobody else changes it until the transaction ends.

    Raises:
        UnknownSubscription: there is none.
    """
    statement = select(WebhookSubscription).where(WebhookSubscription.id == id)
    row = await session.scalar(statement.with_for_update(key_share=True) if to_change else statement)
    if row is None:
        raise UnknownSubscription(f"there is no webhook subscription {id}")
    return row


async def listed(session: AsyncSession, *, after: int, limit: int) -> Sequence[WebhookSubscription]:
    """Subscriptions with a larger id than ``after``, in their order."""
    statement = select(WebhookSubscription).where(WebhookSubscription.id > after)
    return (await session.scalars(statement.order_by(WebhookSubscription.id).limit(limit))).all()


async def change(
    session: AsyncSession,
    id: int,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    ordered: bool | None = None,
    max_running: int | None = None,
    active: bool | None = None,
    actor: str,
) -> WebhookSubscription:
    """Change what is given. ``active=True`` enables it again, and forgets that it was failing.

    Raises:
        UnknownSubscription: there is none of this id.
        RefusedURL: no webhook goes there.
        BadSubscription: see `checked_types`.
    """
    changes = {
        "url": None if url is None else await guard.check(url),
        "events": None if events is None else checked_types(events),
        "description": description,
        "ordered": ordered,
        "max_running": max_running,
    }
    row = await get(session, id, to_change=True)
    for name, value in changes.items():
        if value is not None:
            setattr(row, name, value)
    if active is True:
        row.disabled_at = row.disabled_reason = row.failing_since = None
        row.failures = 0
    elif active is False and row.disabled_at is None:
        row.disabled_at, row.disabled_reason = await session.scalar(select(func.now())), "switched off"
    given = [name for name, value in {**changes, "active": active}.items() if value is not None]
    await record(session, actor, "changed", id, changed=given, url=row.url)
    await session.flush()
    return row


async def remove(session: AsyncSession, id: int, *, actor: str) -> None:
    """Delete it with its deliveries; jobs that wait find nothing to do.

    Raises:
        UnknownSubscription: there is none of this id.
    """
    await get(session, id)
    await session.execute(delete(WebhookSubscription).where(WebhookSubscription.id == id))
    await record(session, actor, "deleted", id)


async def rotate(session: AsyncSession, id: int, *, overlap: timedelta = OVERLAP, actor: str) -> WebhookSubscription:
    """Give it a new secret; the old one signs as well for ``overlap``, so that the receiver can change at leisure.

    Raises:
        UnknownSubscription: there is none of this id.
    """
    row = await get(session, id, to_change=True)
    row.previous_secret, row.secret = row.secret, signing.new_secret()
    row.previous_secret_until = await session.scalar(select(func.now() + overlap))
    await record(session, actor, "secret_rotated", id, overlap_seconds=overlap.total_seconds())
    await session.flush()
    return row


async def disable(session: AsyncSession, row: WebhookSubscription, reason: str) -> None:
    """Stop telling it, until somebody enables it again."""
    row.disabled_at, row.disabled_reason = await session.scalar(select(func.now())), reason
    await session.flush()
    await record(session, "task:webhooks.deliver", "disabled", row.id, reason=reason)


async def apply_concurrency(session: AsyncSession, id: int) -> None:
    """Tell the engine how many deliveries to this subscription may run at the same time; nothing, if it is gone."""
    wanted = await session.scalar(select(WebhookSubscription.max_running).where(WebhookSubscription.id == id))
    key = {"name": LIMIT, "key": str(id)}
    if wanted is None or wanted == MAX_RUNNING:
        await session.execute(text("SELECT workrow.reset_limit_v1(:name, :key)"), key)
    else:
        statement = text("SELECT workrow.set_limit_v1(:name, :key, max_running => :wanted, actor => 'webhooks')")
        await session.execute(statement, {**key, "wanted": wanted})


async def record(session: AsyncSession, actor: str, what: str, id: int, **details: object) -> None:
    """Write down who did what to the subscription, in the log of events."""
    subject = f"webhook_subscription:{id}"
    await audit.record(session, actor=actor, action=f"webhooks.{what}", subject=subject, details=details)
