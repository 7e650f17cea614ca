"""What the application does in the course of time, with the test kit."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

import workrow
from jobs import database
from jobs.bootstrap import database_url
from jobs.emails import tasks as emails
from jobs.users import service
from jobs.users import tasks as users
from jobs.users.models import User
from tests.domains.conftest import MailServer
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    """Only these two domains: the schedules of the others would run all year, too."""
    return workrow.App(database_url, sessions=database.session).include(emails.emails, users.users)


async def register(email: str) -> int:
    async with database.session() as session, session.begin():
        return (await service.register(session, name="Ada", email=email)).user.id


async def test_a_registration_enqueues_both_mails_with_the_user(workrow_jobs: Harness) -> None:
    async with database.session() as session:
        user_id = (await service.register(session, name="Ada", email="ada@example.com")).user.id
        await workrow_jobs.assert_enqueued(emails.send_welcome, args={"user_id": user_id}, queue="emails", on=session)
        await workrow_jobs.assert_enqueued(emails.send_verification, args={"user_id": user_id}, count=1, on=session)
        await workrow_jobs.refute_enqueued()
        await session.commit()
    await workrow_jobs.assert_enqueued(queue="emails", count=2)


async def test_draining_delivers_them(workrow_jobs: Harness, mail: MailServer) -> None:
    await register("ada@example.com")
    ran = await workrow_jobs.drain()
    assert [each.task for each in ran] == ["emails.send_welcome", "emails.send_verification"]
    assert mail.recipients() == ["ada@example.com"] * 2


async def test_a_mail_server_that_greylists_is_asked_again(
    workrow_jobs: Harness, workrow_clock: Clock, mail: MailServer
) -> None:
    mail.answers["ada@example.com"] = "451 4.7.1 greylisted, come back later"
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await emails.send_welcome.enqueue(None, user_id=await register("ada@example.com"))
        refused = await clock.run_for(minutes=5, raise_on_failure=False)
        assert {each.status for each in refused} == {"todo"}
        assert mail.received == []
        mail.answers.clear()
        delivered = await clock.run_for(hours=8)
    assert {each.status for each in delivered} == {"succeeded"}
    # the third job has the cause of the first: it is the same mail
    assert mail.recipients() == ["ada@example.com"] * 2


async def test_who_stays_away_for_a_year_is_deactivated_in_the_night_after(
    workrow_jobs: Harness, workrow_clock: Clock, mail: MailServer
) -> None:
    with workrow_clock.at("2027-03-20 15:00", "Europe/Berlin") as clock:
        user_id = await register("ada@example.com")
        await workrow_jobs.drain()
        clock.jump(days=364)
        ran = await clock.run_for(days=3)
    nights = [each for each in ran if each.task == "users.deactivate_inactive_users"]
    assert len(nights) == 3
    assert [each.result for each in nights] == [0, 1, 0]
    async with database.session() as session:
        user = (await session.scalars(select(User).where(User.id == user_id))).one()
    assert user.deactivated_at == datetime(2028, 3, 20, 3, 15, tzinfo=ZoneInfo("Europe/Berlin"))


async def test_every_night_of_a_year_has_one_run(workrow_jobs: Harness, workrow_clock: Clock) -> None:
    with workrow_clock.at("2027-01-01", "Europe/Berlin") as clock:
        await clock.advance(days=365)
        await workrow_jobs.assert_enqueued(users.deactivate_inactive_users, count=365)
