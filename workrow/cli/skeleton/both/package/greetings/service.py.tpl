"""What really happens. It takes a session, and knows nothing of queues."""

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from $package.greetings.models import Greeting


async def ask(session: AsyncSession, name: str) -> Greeting:
    """Note that somebody is to be greeted."""
    greeting = Greeting(name=name)
    session.add(greeting)
    await session.flush()
    return greeting


async def greet(session: AsyncSession, greeting_id: int) -> str:
    """Greet them.

    Raises:
        NoResultFound: there is no such greeting.
    """
    greeting = await session.get_one(Greeting, greeting_id)
    greeting.greeted_at = await session.scalar(select(func.now()))
    return f"Hello, {greeting.name}!"


async def forget(session: AsyncSession, age: timedelta) -> int:
    """Delete what was asked for longer ago; returns how many."""
    deleted = await session.scalars(delete(Greeting).where(Greeting.asked_at < func.now() - age).returning(Greeting.id))
    return len(deleted.all())
