"""Registering, confirming an address, deactivating."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

import workrow
from jobs import database
from jobs.settings import get_settings
from jobs.users import links, service, tasks
from jobs.users.links import BadLink, ExpiredLink, Purpose
from jobs.users.models import User
from tests.domains.conftest import jobs, scalar, until

pytestmark = pytest.mark.usefixtures("application")


async def register(name: str = "Ada", email: str = "ada@example.com") -> service.Registration:
    async with database.session() as session, session.begin():
        return await service.register(session, name=name, email=email)


async def test_a_registration_commits_the_user_with_both_jobs(conn: psycopg.Connection[Any]) -> None:
    registration = await register()
    assert scalar(conn, "SELECT email FROM users WHERE id = %s", registration.user.id) == "ada@example.com"
    assert [(job["id"], job["task"], job["args"]) for job in jobs(conn)] == [
        (registration.welcome.id, "emails.send_welcome", {"user_id": registration.user.id}),
        (registration.verification.id, "emails.send_verification", {"user_id": registration.user.id}),
    ]


async def test_a_registration_that_rolls_back_leaves_nothing(conn: psycopg.Connection[Any]) -> None:
    async with database.session() as session:
        await service.register(session, name="Ada", email="ada@example.com")
        await session.rollback()
    assert scalar(conn, "SELECT count(*) FROM users") == 0
    assert jobs(conn) == []


async def test_a_registration_that_fails_half_way_leaves_nothing(conn: psycopg.Connection[Any]) -> None:
    async def fail() -> None:
        async with database.session() as session, session.begin():
            await service.register(session, name="Ada", email="ada@example.com")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert scalar(conn, "SELECT count(*) FROM users") == 0
    assert jobs(conn) == []


@pytest.mark.parametrize("again", ["ada@example.com", "ADA@Example.com", "ada@EXAMPLE.COM"])
async def test_an_address_registers_once_whatever_its_case(conn: psycopg.Connection[Any], again: str) -> None:
    await register()
    with pytest.raises(service.EmailTaken, match="registered already"):
        await register("Another", again)
    assert len(jobs(conn)) == 2


async def test_a_taken_address_leaves_the_transaction_usable(conn: psycopg.Connection[Any]) -> None:
    await register()
    async with database.session() as session, session.begin():
        with pytest.raises(service.EmailTaken):
            await service.register(session, name="Ada", email="ada@example.com")
        await service.register(session, name="Grace", email="grace@example.com")
    assert scalar(conn, "SELECT count(*) FROM users") == 2


async def test_of_two_registrations_at_the_same_moment_one_wins(conn: psycopg.Connection[Any]) -> None:
    async with database.session() as first, first.begin():
        await service.register(first, name="Ada", email="ada@example.com")
        second = asyncio.create_task(register("Ada", "ada@example.com"))
        await waiting_for_a_lock(conn)
        assert not second.done()
    with pytest.raises(service.EmailTaken):
        await second
    assert scalar(conn, "SELECT count(*) FROM users") == 1
    assert len(jobs(conn)) == 2


async def test_the_second_of_two_registrations_wins_when_the_first_rolls_back(conn: psycopg.Connection[Any]) -> None:
    async with database.session() as first:
        await service.register(first, name="Ada", email="ada@example.com")
        second = asyncio.create_task(register("Ada", "ada@example.com"))
        await waiting_for_a_lock(conn)
        await first.rollback()
    registration = await second
    assert [job["args"] for job in jobs(conn)] == [{"user_id": registration.user.id}] * 2


async def waiting_for_a_lock(conn: psycopg.Connection[Any]) -> None:
    """Return when some other session of this database waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    await until(lambda: scalar(conn, query) > 0)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Ada\r\nBcc: all@example.com", "Ada Bcc: all@example.com"),
        ("  Ada \t King\u2028 ", "Ada King"),
        ("Zoë Ångström 张", "Zoë Ångström 张"),
    ],
)
def test_a_name_is_one_line(given: str, kept: str) -> None:
    assert service.normalised_name(given) == kept


@pytest.mark.parametrize("name", ["", " \n", "x" * 201, "A\x00da", "A\x1bda", "A\ud800da"])
def test_an_impossible_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        service.normalised_name(name)


@pytest.mark.parametrize(
    "address", ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example.com\nBcc: x@y.z"]
)
def test_an_impossible_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"email|@"):
        service.normalised_email(address)


async def test_the_database_refuses_an_address_in_capitals(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="ck_users_email_is_lower"):
        conn.execute("INSERT INTO users (email, name) VALUES ('Ada@example.com', 'Ada')")


async def verify(token: str) -> User:
    async with database.session() as session, session.begin():
        return await service.verify(session, token)


def token_of(purpose: Purpose, user_id: int) -> str:
    return links.link(purpose, user_id).rpartition("/")[2]


async def test_a_link_verifies_and_the_second_time_changes_nothing() -> None:
    user = (await register()).user
    token = token_of(Purpose.VERIFY, user.id)
    first = await verify(token)
    assert first.verified_at is not None
    second = await verify(token)
    assert second.verified_at == first.verified_at
    assert second.last_seen_at > first.last_seen_at


async def test_a_link_for_another_purpose_does_not_verify() -> None:
    user = (await register()).user
    with pytest.raises(BadLink, match="not valid"):
        await verify(token_of(Purpose.PASSWORD_RESET, user.id))


@pytest.mark.parametrize("token", ["", "x", "MQ.aaaa.bbbb", "\ufffd"])
async def test_a_made_up_link_does_not_verify(token: str) -> None:
    with pytest.raises(BadLink, match="not valid"):
        await verify(token)


async def test_a_link_signed_with_another_key_does_not_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    user = (await register()).user
    token = token_of(Purpose.VERIFY, user.id)
    monkeypatch.setenv("WORKROW_SECRET_KEY", "another key, also long enough")
    get_settings.cache_clear()
    with pytest.raises(BadLink, match="not valid"):
        await verify(token)


async def test_an_old_link_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    user = (await register()).user
    token = token_of(Purpose.VERIFY, user.id)
    later = datetime.now(UTC).timestamp() + 73 * 3600
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    with pytest.raises(ExpiredLink, match="expired"):
        await verify(token)


async def test_the_link_of_a_user_who_is_gone_verifies_nobody() -> None:
    with pytest.raises(BadLink, match="gone"):
        await verify(token_of(Purpose.VERIFY, 12345))


async def seen(email: str, days_ago: float, *, deactivated: bool = False) -> None:
    """A user who was last seen then."""
    now = datetime.now(UTC)
    async with database.session() as session, session.begin():
        session.add(
            User(
                email=email,
                name="x",
                last_seen_at=now - timedelta(days=days_ago),
                deactivated_at=datetime(2020, 1, 1, tzinfo=UTC) if deactivated else None,
            )
        )


async def test_who_was_not_seen_for_a_year_is_deactivated(
    conn: psycopg.Connection[Any], work: Callable[[], Awaitable[None]]
) -> None:
    await seen("new@example.com", 0)
    await seen("nearly@example.com", 364.9)
    await seen("old@example.com", 365.1)
    await seen("older@example.com", 3650)
    await seen("before@example.com", 3650, deactivated=True)
    await tasks.deactivate_inactive_users.enqueue(None)
    await work()

    async with database.session() as session:
        users = (await session.scalars(select(User).order_by(User.id))).all()
    assert [user.email for user in users if user.deactivated_at] == [
        "old@example.com",
        "older@example.com",
        "before@example.com",
    ]
    assert users[-1].deactivated_at == datetime(2020, 1, 1, tzinfo=UTC)
    job = jobs(conn, "users.%")[0]
    assert job["status"] == "succeeded"
    assert job["result"] == 2


async def test_nobody_is_deactivated_twice() -> None:
    await seen("old@example.com", 400)
    assert [await service.deactivate_all_inactive(365, lambda _: None) for _ in range(2)] == [1, 0]


async def test_deactivation_commits_in_batches_and_goes_on_after_a_crash(
    conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    for number in range(5):
        await seen(f"old{number}@example.com", 400 + number)

    def crash_at_four(done: int) -> None:
        if done == 4:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await service.deactivate_all_inactive(365, crash_at_four)
    query = "SELECT count(*) FROM users WHERE deactivated_at IS NOT NULL"
    assert scalar(conn, query) == 4
    assert await service.deactivate_all_inactive(365, lambda _: None) == 1
    assert scalar(conn, query) == 5


async def test_who_is_being_written_to_is_left_for_the_next_night(conn: psycopg.Connection[Any]) -> None:
    await seen("old@example.com", 400)
    with conn.transaction():
        conn.execute("SELECT FROM users FOR UPDATE")
        assert await service.deactivate_all_inactive(365, lambda _: None) == 0
    assert await service.deactivate_all_inactive(365, lambda _: None) == 1


@pytest.mark.parametrize("days", [0, -1, 36_501])
async def test_an_impossible_number_of_days_deactivates_nobody(days: int) -> None:
    with pytest.raises(ValueError, match=f"days={days}: must be from 1 to 36500"):
        await service.deactivate_all_inactive(days, lambda _: None)


async def test_a_job_under_the_former_name_still_runs(
    conn: psycopg.Connection[Any], work: Callable[[], Awaitable[None]]
) -> None:
    await seen("old@example.com", 400)
    conn.execute("INSERT INTO procrastinate_jobs (task_name, queue_name) VALUES ('users.deactivate_inactive', 'users')")
    await work()
    assert jobs(conn, "users.%")[0]["result"] == 1


async def test_being_seen_is_written_once_a_minute(conn: psycopg.Connection[Any]) -> None:
    await seen("ada@example.com", 1)
    user_id = scalar(conn, "SELECT id FROM users")
    times = []
    for _ in range(2):
        async with database.session() as session, session.begin():
            await service.seen(session, user_id)
        times.append(scalar(conn, "SELECT last_seen_at FROM users"))
    assert times[0] == times[1]
    assert datetime.now(UTC) - times[0] < timedelta(minutes=1)
    async with database.session() as session, session.begin():
        with pytest.raises(service.UnknownUser, match="no active user 12345"):
            await service.seen(session, 12345)


def test_deactivation_is_scheduled_for_the_night_in_berlin(application: workrow.App) -> None:
    schedule = application.tasks["users.deactivate_inactive_users"].schedule  # type: ignore[attr-defined]
    assert schedule.timing.expression == "15 3 * * *"
    assert schedule.timing.timezone == "Europe/Berlin"
