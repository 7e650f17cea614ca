"""Databases, roles and sessions whose encoding is not UTF8: right, or refused in one line."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.ext.asyncio import create_async_engine

import workrow
from tests.conftest import new_database
from tests.integration.test_worker import run

EURO, ACUTE = "\u20ac", "\u00e9"
READ = "SELECT task, status, attempts, result, error, progress FROM workrow.jobs WHERE status <> 'todo'"


@pytest.fixture(scope="module")
def odd_url(cluster_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database: of an encoding, or a UTF8 one whose sessions begin with LATIN1."""
    encoding = request.param
    with new_database(cluster_url, encoding=None if encoding == "client" else encoding) as url:
        if encoding == "client":
            with psycopg.connect(url, autocommit=True) as own:
                name = sql.Identifier(own.info.dbname)
                own.execute(sql.SQL("ALTER DATABASE {} SET client_encoding = 'LATIN1'").format(name))
        workrow.schema.upgrade(url)
        yield url


def rows(url: str) -> dict[str, tuple[Any, ...]]:
    with psycopg.connect(url, client_encoding="utf8") as own:
        return {row[0]: row[1:] for row in own.execute(READ).fetchall()}


@pytest.mark.parametrize("odd_url", ["LATIN1", "EUC_JP", "SQL_ASCII", "client"], indirect=True)
async def test_what_jobs_do_and_say_is_written(odd_url: str, request: pytest.FixtureRequest) -> None:
    holds = request.node.callspec.params["odd_url"] in ("SQL_ASCII", "client")
    app = workrow.App(odd_url)

    @app.task(name="retries", retry=workrow.Retry(max_attempts=2, wait=0))
    async def retries() -> None:
        raise ValueError(f"costs 5 {EURO}")

    @app.task(name="fails")
    async def fails(ctx: workrow.JobContext) -> None:
        ctx.progress(1, 2, EURO)
        raise ValueError(f"costs 5 {EURO}")

    @app.task(name="returns")
    async def returns() -> str:
        return EURO

    @app.task(name="plain")
    async def plain(x: str) -> str:
        return x

    async with app.open_async():
        for task in (retries, fails, returns):
            await task.enqueue(None)
        await plain.enqueue(None, ACUTE)
        await run(app)
    told = f"costs 5 {EURO}" if holds else "costs 5 \\u20ac"
    found = rows(odd_url)
    assert found["retries"][:2] == ("failed", 2)
    assert found["retries"][3] == found["fails"][3] == told
    assert found["fails"][4]["message"] == (EURO if holds else "\\u20ac")
    assert found["plain"][:3] == ("succeeded", 1, ACUTE)
    assert found["returns"][:2] == ("succeeded", 1)
    assert found["returns"][2] == (EURO if holds else None)
    assert holds or "has no equivalent in encoding" in found["returns"][3]


async def enqueue(app: workrow.App, driver: str | None, url: str, x: str) -> None:
    task, address = app.tasks["t"], url.replace("postgresql:", f"postgresql+{driver}:").replace("port=5432", "")
    assert isinstance(task, workrow.Task)
    if driver is None:
        await task.enqueue(None, x)
    elif driver == "asyncpg":
        engine = create_async_engine(address, poolclass=sa.NullPool)
        async with engine.begin() as on:
            await task.enqueue(on, x)
    else:
        with sa.create_engine(address, poolclass=sa.NullPool).begin() as on:
            try:
                task.enqueue(on, x)
            finally:
                task.enqueue(on, ACUTE)  # nothing was sent: the transaction goes on


@pytest.mark.parametrize("odd_url", ["LATIN1", "client"], indirect=True)
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg", None])
async def test_an_argument_that_cannot_be_sent_is_refused_in_one_line(
    odd_url: str, driver: str | None, request: pytest.FixtureRequest
) -> None:
    app = workrow.App(odd_url)

    @app.task(name="t")
    async def t(x: str) -> None: ...

    async with app.open_async():
        if request.node.callspec.params["odd_url"] == "client" and driver in ("asyncpg", None):
            await enqueue(app, driver, odd_url, EURO)  # these say that they send UTF8
            return
        with pytest.raises((workrow.TransactionError, workrow.ArgumentError)) as raised:
            await enqueue(app, driver, odd_url, EURO)
    assert "\n" not in str(raised.value)
    assert "client_encoding=utf8" in str(raised.value) or "encoding cannot hold" in str(raised.value)


@pytest.mark.parametrize("odd_url", ["SQL_ASCII"], indirect=True)
def test_a_session_that_reads_text_as_bytes(odd_url: str) -> None:
    app = workrow.App(odd_url)

    @app.task(name="once", unique=("x",))
    async def once(x: str) -> None: ...

    with psycopg.connect(odd_url) as own:
        first, again = once.enqueue(own, ACUTE), once.enqueue(own, ACUTE)
    assert first.created
    assert (again.created, again.id) == (False, first.id)
    with psycopg.connect(odd_url, client_encoding="utf8") as own:
        assert own.execute("SELECT args FROM workrow.jobs WHERE task = 'once'").fetchall() == [({"x": ACUTE},)]
