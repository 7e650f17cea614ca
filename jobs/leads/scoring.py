"""Applying the rules, and telling of who has become qualified by them."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.leads import rules
from jobs.leads.models import Lead
from jobs.webhooks.publishing import is_heard, publish_many

EVENT = "lead.qualified"


async def score(session: AsyncSession, *which: ColumnElement[bool]) -> int:
    """Score these leads, except those that the rules of now have scored; how many that were."""
    heard = await is_heard(session, EVENT)  # if not, one statement less for thousands of leads
    before = select(Lead.id).where(*which, Lead.rules_version != rules.VERSION, Lead.status == "qualified")
    already = set(await session.scalars(before.with_for_update())) if heard else set()
    scored = (await session.execute(rules.scoring(*which))).all()
    if heard:
        events = (
            {"lead_id": id, "score": score}
            for id, status, score in sorted(scored)
            if status == "qualified" and id not in already
        )
        await publish_many(session, EVENT, events)
    return len(scored)
