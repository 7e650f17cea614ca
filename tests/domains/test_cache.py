"""The cache: what it gives back, who computes, what is dropped, and what makes room."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.cache import eviction, service, warming
from jobs.cache import tasks as cache_tasks
from jobs.cache.counters import COUNTERS
from jobs.settings import get_settings
from tests.domains.conftest import jobs, scalar, until
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")
Conn = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def uncounted() -> None:
    COUNTERS.hits = COUNTERS.misses = 0


@asynccontextmanager
async def transaction() -> AsyncIterator[AsyncSession]:
    async with database.session() as session, session.begin():
        yield session


async def put(key: str, value: Any, **options: Any) -> None:
    async with transaction() as session:
        await service.set(session, key, value, **options)


async def read(key: str) -> Any:
    async with transaction() as session:
        return await service.get(session, key, "nothing")


class Computed:
    """A computation that counts its calls."""

    def __init__(self, value: Any = "computed") -> None:
        self.value = value
        self.calls = 0

    async def __call__(self, _: AsyncSession) -> Any:
        self.calls += 1
        return self.value

    async def ask(self, key: str = "k", **options: Any) -> Any:
        async with transaction() as session:
            return await service.get_or_set(session, key, self, **options)


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


async def drop_tag(tag: str) -> int:
    async with transaction() as session:
        return await service.drop_tags(session, tag)


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


async def test_a_read_notes_its_use_once_a_minute(workrow_clock: Clock, conn: Conn) -> None:
    version = "SELECT xmin::text || ' ' || used_at FROM cache_entries"
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await put("k", 1)
        seen = scalar(conn, version)
        clock.jump(seconds=60)
        await read("k")
        assert scalar(conn, version) == seen
        clock.jump(seconds=1)
        await read("k")
        touched = scalar(conn, version)
        assert touched != seen
        await read("k")
        assert scalar(conn, version) == touched


async def test_a_read_waits_for_no_other_reader(workrow_clock: Clock) -> None:
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await put("k", 1)
        clock.jump(minutes=5)
        async with transaction() as session, asyncio.timeout(10):
            await service.get(session, "k")  # has noted its use, and not committed
            assert await read("k") == 1


async def test_eviction_takes_expired_values_then_the_least_used(
    workrow_clock: Clock, workrow_jobs: Harness, monkeypatch: pytest.MonkeyPatch, conn: Conn
) -> None:
    monkeypatch.setenv("WORKROW_CACHE_MAX_BYTES", "350")
    monkeypatch.setattr(eviction, "BATCH", 2)
    get_settings.cache_clear()
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await put("expired", 1, ttl=timedelta(minutes=1))
        for key in "abcdef":
            await put(key, "x" * 97)  # 100 bytes with its key and quotes
            clock.jump(minutes=2)
        await read("a")
        await cache_tasks.evict.enqueue(None)
        (ran,) = await workrow_jobs.drain()
    assert ran.result == {"expired": 1, "least_used": 3}
    assert conn.execute("SELECT key FROM cache_entries ORDER BY key").fetchall() == [("a",), ("e",), ("f",)]


async def test_what_was_evicted_in_earlier_batches_stays_evicted_when_a_later_one_fails(conn: Conn) -> None:
    for key in "abc":
        await put(key, 1)
    batches = 0

    async def one_and_then_an_error(session: AsyncSession) -> int:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise ZeroDivisionError
        return await service.drop(session, "abc"[batches - 1])

    with pytest.raises(ZeroDivisionError):
        await database.in_batches(one_and_then_an_error)
    assert conn.execute("SELECT key FROM cache_entries").fetchall() == [("c",)]


async def test_the_schedule_evicts_within_a_minute(workrow_clock: Clock, workrow_jobs: Harness, conn: Conn) -> None:
    with workrow_clock.at("2027-05-01 12:00") as clock:
        await put("k", 1, ttl=timedelta(seconds=10))
        ran = await clock.run_for(minutes=1)
    assert "cache.evict" in [each.task for each in ran]
    assert scalar(conn, "SELECT count(*) FROM cache_entries") == 0


async def test_old_notes_of_drops_and_counts_go_away(workrow_clock: Clock, conn: Conn) -> None:
    with workrow_clock.at("2027-05-01 12:00") as clock:
        async with transaction() as session:
            await service.drop(session, "k")
            await service.get(session, "k")
            await COUNTERS.write(session)
        clock.jump(minutes=59)
        assert await database.in_batches(eviction.forget_old_drops) == 0
        clock.jump(minutes=2)
        assert await database.in_batches(eviction.forget_old_drops) == 1
        assert await database.in_batches(eviction.forget_old_counts) == 0
        clock.jump(days=7)
        assert await database.in_batches(eviction.forget_old_counts) == 1


def crash(conn: Conn) -> None:
    """What a crash of the server leaves of the cache."""
    conn.execute("TRUNCATE cache_entries, cache_drops, cache_counts")


async def test_after_a_crash_everything_works_and_warmers_fill_it_again(
    workrow_jobs: Harness, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "WARMERS", {})

    @warming.warmer("prices")
    async def prices(session: AsyncSession) -> int:
        await service.set(session, "price", 7)
        return 1

    async with transaction() as session:
        await service.get_or_set(session, "k", Computed(1))
    crash(conn)
    assert await read("k") == "nothing"
    assert await drop_tag("t") == 0
    assert await database.in_batches(eviction.evict_least_used) == 0
    await cache_tasks.warm_all.enqueue(None)
    ran = await workrow_jobs.drain()
    assert [(each.task, each.result) for each in ran] == [("cache.warm_all", 1), ("cache.warm", 1)]
    assert await read("price") == 7


async def test_an_unknown_warmer_is_discarded_with_the_known_ones(
    application: workrow.App, work: Callable[[], Awaitable[None]], conn: Conn
) -> None:
    await cache_tasks.warm.enqueue(None, name="prizes")
    await work()
    (job,) = jobs(conn, "cache.%")
    assert (job["status"], job["discarded"]) == ("failed", True)
    assert job["error"].startswith("there is no warmer 'prizes': known are ")


def test_a_name_of_a_warmer_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "WARMERS", {})

    async def warm(_: AsyncSession) -> int:
        return 0

    warming.warmer("x")(warm)
    with pytest.raises(ValueError, match="there is a warmer 'x' already"):
        warming.warmer("x")(warm)


async def test_counting_writes_no_row_that_another_session_waits_for(conn: Conn) -> None:
    async with transaction() as first, transaction() as second, asyncio.timeout(10):
        for session in (first, second):
            await service.get(session, "k")
            await COUNTERS.write(session)
    assert conn.execute("SELECT hits, misses, hit_rate FROM cache_hit_rate").fetchall() == [(0, 2, 0)]


async def test_the_routes_show_and_drop(client: httpx.AsyncClient) -> None:
    empty = (await client.get("/cache/statistics")).json()
    assert (empty["entries"], empty["bytes"], empty["hit_rate"]) == (0, 0, None)
    for key, tags in (("a/b", ["t"]), ("c", ["t"]), ("d", [])):
        await put(key, "x", tags=tags)
    for key in ("a/b", "c", "d", "e"):
        await read(key)
    full = (await client.get("/cache/statistics")).json()
    assert full == {
        "entries": 3, "expired": 0, "bytes": 14, "max_bytes": 64 * 2**20, "hits": 3, "misses": 1, "hit_rate": 0.75,
    }  # fmt: skip
    assert (await client.delete("/cache/keys/a/b")).json() == {"dropped": 1}
    assert (await client.delete("/cache/keys/a/b")).json() == {"dropped": 0}
    assert (await client.delete("/cache/tags/t")).json() == {"dropped": 1}
    assert (await client.get("/cache/statistics")).json()["entries"] == 1
    refused = await client.delete("/cache/keys/%00")
    assert refused.status_code == 422
    assert "NUL" in refused.json()["detail"]
