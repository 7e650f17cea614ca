"""Who is not to be mailed, and the record of what was not sent."""

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.emails.models import EmailFailure, EmailSuppression
from jobs.emails.smtp import Unsent
from jobs.webhooks.publishing import publish


class Suppressed(Unsent):
    """The address has unsubscribed, or a mail to it came back: it is never mailed."""

    verdict = "suppressed"


async def suppression(session: AsyncSession, address: str) -> EmailSuppression | None:
    """Why the address is not to be mailed; None: it may be."""
    return await session.get(EmailSuppression, address.lower(), populate_existing=True)


async def check(session: AsyncSession, address: str) -> None:
    """Raise Suppressed if the address is not to be mailed."""
    found = await suppression(session, address)
    if found is not None:
        raise Suppressed(f"{address} is never mailed: {found.reason} on {found.since:%Y-%m-%d} ({found.words})")


async def suppress(session: AsyncSession, address: str, *, reason: str, words: str) -> None:
    """From now on the address is not mailed. The first reason stays.

    Args:
        session: in a transaction.
        address: whom.
        reason: "unsubscribed" or "bounced".
        words: of the server, or how it was asked for.
    """
    row = {"address": address.lower(), "reason": reason, "words": words}
    added = insert(EmailSuppression).values(row).on_conflict_do_nothing().returning(EmailSuppression.address)
    if (suppressed := await session.scalar(added)) is not None:
        await publish(session, f"email.{reason}", {"email": suppressed, "words": words[:500]})


async def lift(session: AsyncSession, address: str) -> None:
    """From now on the address is mailed again, whatever kept it from that."""
    await session.execute(delete(EmailSuppression).where(EmailSuppression.address == address.lower()))


async def note(session: AsyncSession, unsent: Unsent) -> None:
    """Record an e-mail that was not sent; an address that bounces is not mailed again."""
    words = str(unsent)
    await session.execute(insert(EmailFailure).values(unsent.letter | {"verdict": unsent.verdict, "words": words}))
    if unsent.verdict == "bounced":
        await suppress(session, unsent.letter["recipient"], reason="bounced", words=words)
