"""Leads: found, changed, tagged and scored. Every function works in the caller's transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.leads import rules, scoring, storing
from jobs.leads.models import Lead
from jobs.leads.phones import normalised_phone
from jobs.leads.places import time_zone_of
from jobs.leads.values import clean_tags

PART = 5_000
"""Leads that one job scores."""


class UnknownLead(LookupError):
    """There is no lead with this id."""


class AddressTaken(ValueError):
    """The e-mail address is another lead's."""


class Unreachable(ValueError):
    """A lead would have neither an e-mail address nor a phone number."""


async def get(session: AsyncSession, lead_id: int, *, locked: bool = False) -> Lead:
    """The lead; ``locked``: nobody else changes it meanwhile.

    Raises:
        UnknownLead: there is none.
    """
    if lead := await session.get(Lead, lead_id, with_for_update=locked or None):
        return lead
    raise UnknownLead(f"there is no lead {lead_id}")


async def page(
    session: AsyncSession,
    *,
    after: int = 0,
    limit: int = 100,
    status: str | None = None,
    tag: str | None = None,
    min_score: int | None = None,
) -> Sequence[Lead]:
    """Leads in the order of their ids, from the one after ``after``."""
    query = select(Lead).where(Lead.id > after).order_by(Lead.id).limit(limit)
    if status is not None:
        query = query.where(Lead.status == status)
    if tag is not None:
        query = query.where(Lead.tags.contains([tag.lower()]))
    if min_score is not None:
        query = query.where(Lead.score >= min_score)
    return (await session.scalars(query)).all()


async def change(session: AsyncSession, lead_id: int, values: dict[str, Any]) -> Lead:
    """Give a lead these values, and the score that follows from them.

    Args:
        session: the caller's transaction.
        lead_id: whose.
        values: by the names of columns, normalised but for the phone, which depends on the country.

    Raises:
        UnknownLead: there is none.
        AddressTaken: another lead has the e-mail address.
        BadPhone: it is no phone number.
        Unreachable: neither an address nor a number would be left.
    """
    await storing.decide(session)
    lead = await get(session, lead_id, locked=True)
    if email := values.get("email"):
        other = await session.scalar(select(Lead.id).where(Lead.email == email, Lead.id != lead_id))
        if other is not None:
            raise AddressTaken(f"{email} is the address of lead {other}")
    for name, value in values.items():
        setattr(lead, name, value)
    if lead.phone and "phone" in values:
        lead.phone, region = normalised_phone(lead.phone, lead.country)
        lead.country = lead.country or region
    if "time_zone" not in values:
        lead.time_zone = lead.time_zone or time_zone_of(lead.country)
    if lead.email is None and lead.phone is None:
        raise Unreachable(f"lead {lead_id} would have neither an e-mail address nor a phone number: leave one of them")
    return await _scored(session, lead)


async def tag(session: AsyncSession, lead_id: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Lead:
    """Add tags and remove some; a tag in both is removed.

    Raises:
        UnknownLead: there is no such lead.
        BadValue: a tag is too long, or there would be too many.
    """
    lead = await get(session, lead_id, locked=True)
    gone = set(clean_tags(list(remove)))
    lead.tags = [each for each in clean_tags([*lead.tags, *add]) if each not in gone]
    return await _scored(session, lead)


async def _scored(session: AsyncSession, lead: Lead) -> Lead:
    lead.rules_version = 0
    lead.updated_at = func.now()  # the database's clock
    await session.flush()
    await qualify(session, lead.id, lead.id)
    await session.refresh(lead)
    return lead


async def qualify(session: AsyncSession, first: int, last: int) -> int:
    """Score the leads with ids from ``first`` to ``last`` that the rules of now have not scored yet.

    Returns:
        How many that were.
    """
    return await scoring.score(session, Lead.id.between(first, last))


async def unscored(session: AsyncSession) -> list[tuple[int, int]]:
    """The leads that other rules have scored, or none: as ranges of ids, of so many leads each as one job scores."""
    number = func.row_number().over(order_by=Lead.id) - 1
    ids = select(Lead.id, (number // PART).label("part")).where(Lead.rules_version != rules.VERSION).subquery()
    query = select(func.min(ids.c.id), func.max(ids.c.id)).group_by(ids.c.part).order_by(ids.c.part)
    return [(first, last) for first, last in await session.execute(query)]
