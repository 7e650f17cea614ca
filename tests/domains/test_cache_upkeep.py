"""What makes room in the cache, what fills it, what is counted; and its routes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

import workrow
from jobs import database
from jobs.cache import counters, eviction, service, warming
from jobs.cache import tasks as cache_tasks
from jobs.cache.counters import COUNTERS
from jobs.settings import get_settings
from tests.domains.cached import Computed, Conn, crash, drop_tag, put, read, transaction
from tests.domains.conftest import jobs, scalar
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture(autouse=True)
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    COUNTERS.hits = COUNTERS.misses = 0
    monkeypatch.setattr(counters, "WRITTEN_EVERY", 3600)


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


async def test_counting_writes_no_row_that_another_session_waits_for(
    conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "WRITTEN_EVERY", 0)
    async with transaction() as first, transaction() as second, asyncio.timeout(30):
        for session in (first, second):
            await service.get(session, "k")
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
