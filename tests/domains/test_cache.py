"""The cache: what it gives back, who computes, and what is dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from jobs import database
from jobs.cache import counters, service
from jobs.cache.counters import COUNTERS
from jobs.settings import get_settings
from tests.domains.cached import Computed, Conn, drop_tag, put, read, transaction
from tests.domains.conftest import scalar, until
from workrow.testing import Clock

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture(autouse=True)
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    COUNTERS.hits = COUNTERS.misses = 0
    monkeypatch.setattr(counters, "WRITTEN_EVERY", 3600)


async def test_what_is_set_comes_back() -> None:
    for value in (None, 0, 1.0, "", "a\0b \ud800 張", [], {"b": 1, "a": [None, True]}, 2**60, {"1": {"ä": "\\u0000"}}):
        await put("k", value)
        found = await read("k")
        assert found == value
        assert type(found) is type(value)


async def test_what_rolls_back_was_never_set() -> None:
    async with database.session() as session:
        await service.set(session, "k", 1)
        await session.rollback()
    assert await read("k") == "nothing"


async def test_what_is_no_json_is_refused(conn: Conn) -> None:
    for value in (object(), float("nan"), {1, 2}, b"x"):
        for attempt in (put("k", value), Computed(value).ask()):
            with pytest.raises(service.BadValue, match="cache key 'k': the value is no JSON"):
                await attempt
    assert scalar(conn, "SELECT count(*) FROM cache_entries") == 0


async def test_an_impossible_name_is_refused() -> None:
    for name in ("", "x" * 501, "a\0b", "\ud800"):
        for attempt in (put(name, 1), put("k", 1, tags=[name]), read(name), Computed().ask(name)):
            with pytest.raises(service.BadName, match="cache key or tag"):
                await attempt


async def test_a_value_that_is_too_large_is_refused_or_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    large = "x" * get_settings().cache_max_value_bytes
    with pytest.raises(service.BadValue, match="at most 65536 are kept.*WORKROW_CACHE_MAX_VALUE_BYTES"):
        await put("k", large)
    assert await Computed(large).ask() == large  # who asks gets the value; only the cache goes without
    assert await read("k") == "nothing"
    assert "cache key 'k': 65539 bytes are not kept" in caplog.text


async def test_time_to_live_is_the_databases(workrow_clock: Clock) -> None:
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await put("short", 1, ttl=timedelta(minutes=5))
        await put("long", 2)
        clock.jump(minutes=4)
        assert await read("short") == 1
        clock.jump(minutes=1)
        assert await read("short") == "nothing"
        assert await read("long") == 2
        again = Computed(3)
        assert await again.ask("short", ttl=timedelta(minutes=5)) == 3
        assert await read("short") == 3


async def test_a_miss_returns_what_a_hit_will() -> None:
    computed = Computed({1: (2, 3)})
    assert [await computed.ask(), await computed.ask()] == [{"1": [2, 3]}] * 2
    assert computed.calls == 1


async def test_of_many_callers_at_the_same_time_one_computes() -> None:
    calls = 0
    running = asyncio.Event()

    async def slow(_: AsyncSession) -> int:
        nonlocal calls
        calls += 1
        running.set()
        await asyncio.sleep(0.2)
        return calls

    async def ask() -> int:
        async with transaction() as session:
            return int(await service.get_or_set(session, "k", slow))

    assert await asyncio.gather(*(ask() for _ in range(15))) == [1] * 15
    assert (COUNTERS.hits, COUNTERS.misses) == (14, 1)


async def test_who_has_waited_long_enough_computes_for_itself() -> None:
    first, second = Computed(1), Computed(2)
    async with transaction() as session:
        assert await service.get_or_set(session, "k", first) == 1
        assert await second.ask(wait=0.1) == 2  # the first has not committed
    assert (first.calls, second.calls) == (1, 1)


async def test_when_the_one_that_computes_fails_the_next_takes_over() -> None:
    began, fail = asyncio.Event(), asyncio.Event()

    async def broken(_: AsyncSession) -> None:
        began.set()
        await fail.wait()
        raise ZeroDivisionError

    async def first() -> None:
        async with transaction() as session:
            await service.get_or_set(session, "k", broken)

    failing = asyncio.create_task(first())
    await began.wait()
    computed = Computed(2)
    waiting = [asyncio.create_task(computed.ask()) for _ in range(5)]
    fail.set()
    with pytest.raises(ZeroDivisionError):
        await failing
    assert await asyncio.gather(*waiting) == [2] * 5
    assert computed.calls == 1


@pytest.mark.parametrize("drop", [service.drop, service.drop_tags])
async def test_what_was_computed_before_a_drop_is_not_kept(drop: Callable[..., Awaitable[int]]) -> None:
    async def outdated(_: AsyncSession) -> str:
        async with transaction() as other:
            await drop(other, "name")
        return "old"

    async with transaction() as session:
        assert await service.get_or_set(session, "name", outdated, tags=["name"]) == "old"
    assert await Computed("new").ask("name", tags=["name"]) == "new"
    assert await read("name") == "new"


@pytest.mark.parametrize("drop", [service.drop, service.drop_tags])
async def test_what_is_computed_beside_an_open_drop_is_not_kept_and_waits_for_nobody(
    drop: Callable[..., Awaitable[int]],
) -> None:
    async with transaction() as session:
        await drop(session, "name")
        assert await Computed("old").ask("name", tags=["name"]) == "old"
    assert await read("name") == "nothing"


async def test_a_drop_waits_for_who_stores(conn: Conn) -> None:
    async with transaction() as session:
        await service.get_or_set(session, "k", Computed("old"), tags=["t"])
        dropping = asyncio.create_task(drop_tag("t"))
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        await until(lambda: scalar(conn, query) == 1)
    assert await dropping == 1
    assert await read("k") == "nothing"


async def test_a_value_that_is_set_beats_one_that_was_being_computed() -> None:
    async def slow(_: AsyncSession) -> str:
        await put("k", "set")
        return "computed"

    async with transaction() as session:
        await service.get_or_set(session, "k", slow)
    assert await read("k") == "set"


async def test_tags_drop_what_has_them() -> None:
    for key, tags in (("a", ["x", "y"]), ("b", ["x"]), ("c", ["z"]), ("d", [])):
        await put(key, 1, tags=tags)
    assert await drop_tag("x") == 2
    assert await drop_tag("x") == 0
    assert [await read(key) for key in "abcd"] == ["nothing", "nothing", 1, 1]


async def test_many_who_set_and_drop_the_same_names_never_deadlock() -> None:
    async def both(n: int) -> None:
        async with transaction() as session:
            await service.drop(session, *(("a", "b") if n % 2 else ("b", "a")))
        await Computed(n).ask("a", tags=["t"], wait=0)
        await drop_tag("t")

    await asyncio.gather(*(both(n) for n in range(20)))


async def test_a_name_may_be_dropped_twice_in_one_call() -> None:
    await put("k", 1, tags=["t"])
    assert await drop_tag("t", "t") == 1
    async with transaction() as session:
        assert await service.drop(session, "k", "k") == 0
        assert await service.drop(session) == 0
