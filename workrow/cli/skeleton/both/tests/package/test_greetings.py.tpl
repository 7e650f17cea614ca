"""Greetings, on a real database with the real worker."""

from datetime import timedelta

import pytest
from workrow.testing import Harness

from $package import database
from $package.greetings import service, tasks
from $package.greetings.models import Greeting

pytestmark = pytest.mark.asyncio


async def test_who_is_to_be_greeted_is_greeted(workrow_jobs: Harness) -> None:
    async with database.session() as session, session.begin():
        greeting = await service.ask(session, "Ada")
        await tasks.greet.enqueue(session, greeting_id=greeting.id)
    (ran,) = await workrow_jobs.drain()
    assert (ran.status, ran.result) == ("succeeded", "Hello, Ada!")
    async with database.session() as session:
        assert (await session.get_one(Greeting, greeting.id)).greeted_at is not None


async def test_what_is_rolled_back_leaves_no_job(workrow_jobs: Harness) -> None:
    async with database.session() as session:
        greeting = await service.ask(session, "Nobody")
        await tasks.greet.enqueue(session, greeting_id=greeting.id)
        await session.rollback()
    assert await workrow_jobs.drain() == []


async def test_the_old_are_forgotten_at_night(workrow_jobs: Harness) -> None:
    async with database.session() as session, session.begin():
        await service.ask(session, "Ada")
        assert await service.forget(session, timedelta(days=1)) == 0
        assert await service.forget(session, timedelta(0) - timedelta(seconds=1)) == 1
