"""Behind a real PgBouncer in transaction mode, which must be installed."""

import time
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

import workrow
from tests.chaos.bouncer import Missing, bounced
from tests.integration.test_worker import run
from workrow.database.connector import Connector
from workrow.database.held import PATIENCE_MS, Held
from workrow.database.link import Link, connect

SETTINGS = (
    "default_transaction_isolation = 'serializable'",
    "DateStyle = 'German'",
    "TimeZone = 'Asia/Tokyo'",
    "IntervalStyle = 'iso_8601'",
    "client_encoding = 'LATIN1'",
    "standard_conforming_strings = 'off'",
    "default_transaction_read_only = 'on'",
    "statement_timeout = '50ms'",
    "array_nulls = 'off'",
    "extra_float_digits = '-15'",
    "jit = 'on'",
)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    """A server whose owner likes other settings than we do: its URL, and that of a PgBouncer before it."""
    try:
        with bounced(SETTINGS) as urls:
            yield urls
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
async def link(server: tuple[str, str]) -> AsyncIterator[Link]:
    """A worker's connection through the PgBouncer."""
    connector = Connector(server[1])
    await connector.open_async()
    link = Link(lambda: connect(connector))
    await link.run("database_time")
    assert link._pooled
    yield link
    await link.close()
    await connector.close_async()


async def test_statements_of_a_worker_run_as_they_expect(server: tuple[str, str], link: Link) -> None:
    names = ["transaction_isolation", "TimeZone", "lock_timeout", "client_encoding", "standard_conforming_strings"]
    names += ["transaction_read_only", "statement_timeout", "array_nulls", "extra_float_digits", "DateStyle", "jit"]
    asked = f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}, current_setting('IntervalStyle')"
    async with await psycopg.AsyncConnection.connect(server[1], autocommit=True) as other:
        for _ in range(3):
            [row] = await link._execute(await link._open(), asked, {}, PATIENCE_MS)
            assert row[:5] == ("read committed", "UTC", f"{PATIENCE_MS}ms", "UTF8", "on")
            assert (row[5:9], row[9][:3], row[10]) == (("off", "0", "on", "1"), "ISO", "off")
            # the same server process, for a client that is not ours: it finds nothing of this left
            found = await (await other.execute(asked, prepare=False)).fetchone()
            assert found is not None
            assert found[:5] == ("serializable", "Asia/Tokyo", "0", "LATIN1", "off")
            assert (found[5:9], found[9][:6]) == (("on", "50ms", "off", "-15"), "German")
            assert found[10:] == ("on", "iso_8601")


async def test_no_statement_waits_for_long(server: tuple[str, str], link: Link) -> None:
    with psycopg.connect(server[0], options="-c default_transaction_read_only=off") as service:
        service.execute("INSERT INTO workrow.queue_names VALUES ('tenant-17')")
        began = time.monotonic()
        with pytest.raises(Held):
            await link.run("note_queues", names=["tenant-17"])
        assert PATIENCE_MS / 1000 <= time.monotonic() - began < 10 * PATIENCE_MS / 1000
        service.rollback()
    assert await link.run("database_time")


async def test_jobs_run(server: tuple[str, str]) -> None:
    app, direct, blueprint = workrow.App(server[1], direct_url=server[0]), workrow.App(server[0]), workrow.Blueprint()

    @blueprint.task(name="t", limits=[workrow.Limit(2)])
    async def t(n: int) -> int:
        return n

    async with direct.include(blueprint).open_async():
        await t.enqueue_many(None, [{"n": n} for n in range(20)])
    async with app.include(blueprint).open_async():
        await run(app)
    with psycopg.connect(server[0]) as connection:
        found = connection.execute("SELECT status, count(*) FROM workrow.history GROUP BY 1").fetchall()
    assert found == [("succeeded", 20)]
