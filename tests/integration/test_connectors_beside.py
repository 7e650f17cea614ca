"""Connections that are made beside a connector of another driver lead to the database that it leads to."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import psycopg2
import psycopg2.pool
import pytest
import sqlalchemy as sa
from procrastinate.connector import BaseConnector
from procrastinate.contrib.psycopg2 import Psycopg2Connector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
from psycopg.conninfo import conninfo_to_dict

import workrow

DRIVER = "postgresql+psycopg2://"
Made = tuple[BaseConnector, Any]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, empty_database_url: str) -> str:
    """libpq's defaults lead to another database of the server."""
    names = {"dbname": "PGDATABASE", "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    for name, value in conninfo_to_dict(empty_database_url).items():
        monkeypatch.setenv(names[name], str(value))
    return empty_database_url


def creator(url: str) -> dict[str, Callable[[], Any]]:
    return {"creator": lambda: psycopg2.connect(url)}


def of_driver(url: str) -> str:
    return url.replace("postgresql://", DRIVER)


TOLD: dict[str, Callable[[str], Made]] = {
    "dsn": lambda url: (Psycopg2Connector(dsn=url), None),
    "dsn and a database": lambda url: (
        Psycopg2Connector(dsn="dbname=nowhere", **conninfo_to_dict(url)),
        None,
    ),
    "pool": lambda url: (Psycopg2Connector(), psycopg2.pool.ThreadedConnectionPool(0, 4, url, **FACTORY)),
    "creator and a dsn": lambda url: (SQLAlchemyPsycopg2Connector(dsn=of_driver(url), **creator(url)), None),
    "connect_args": lambda url: (SQLAlchemyPsycopg2Connector(dsn=DRIVER, connect_args=conninfo_to_dict(url)), None),
    "engine": lambda url: (SQLAlchemyPsycopg2Connector(), sa.create_engine(of_driver(url))),
}
FACTORY: dict[str, Any] = {"cursor_factory": psycopg2.extras.RealDictCursor}


def opened(made: Made) -> workrow.App:
    connector, pool = made
    app = workrow.App(connector=connector)
    connector.open(pool)
    return app


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("kind", list(TOLD))
def test_jobs_go_where_the_connector_leads_to(kind: str, database_url: str) -> None:
    app = opened(TOLD[kind](database_url))
    try:
        work = app.task(name="work")(lambda n: None)
        work.defer(n=1)
        work.options(unique=("n",)).delay(2)
        assert not app.schedules.list()
        assert not asyncio.run(app.schedules.list_async())
        assert count(database_url) == 2
    finally:
        app.close()


UNTOLD: dict[str, Callable[[str], Made]] = {
    "creator": lambda url: (SQLAlchemyPsycopg2Connector(dsn=DRIVER, **creator(url)), None),
    "engine": lambda url: (SQLAlchemyPsycopg2Connector(), sa.create_engine(DRIVER, **creator(url))),
}


@pytest.mark.parametrize("kind", list(UNTOLD))
def test_who_does_not_tell_is_refused(kind: str, database_url: str) -> None:
    app = opened(UNTOLD[kind](database_url))
    try:
        work = app.task(name="work")(lambda n: None)
        work.defer(n=1)
        with pytest.raises(workrow.ConfigurationError, match=r"does not tell.*workrow.App\('postgresql://"):
            work.options(unique=("n",)).delay(2)
        with pytest.raises(workrow.ConfigurationError, match=r"does not tell.*workrow.App\('postgresql://"):
            app.schedules.list()
        assert count(database_url) == 1
    finally:
        app.close()


@pytest.mark.parametrize("blocking", [True, False])
def test_who_tells_another_one_is_refused(blocking: bool, database_url: str, elsewhere: str) -> None:
    app = opened((SQLAlchemyPsycopg2Connector(dsn=of_driver(elsewhere), **creator(database_url)), None))
    try:
        with pytest.raises(workrow.ConfigurationError, match="lead to another database than") as error:
            app.schedules.list() if blocking else asyncio.run(app.schedules.list_async())
        assert "\n" not in str(error.value)
    finally:
        app.close()


def test_nothing_that_answers_is_told_at_once(database_url: str) -> None:
    nowhere = f"{DRIVER}nobody:secret@127.0.0.1:1/none"
    app = opened((SQLAlchemyPsycopg2Connector(dsn=nowhere, **creator(database_url)), None))
    try:
        with pytest.raises(workrow.DatabaseUnavailable, match="cannot connect to") as error:
            app.schedules.list()
        assert "secret" not in str(error.value)
    finally:
        app.close()


async def test_an_async_connector_too(database_url: str) -> None:
    pytest.importorskip("aiopg", reason="aiopg is not among the locked dependencies")
    from procrastinate.contrib.aiopg import AiopgConnector

    app = workrow.App(connector=AiopgConnector(dsn=database_url))
    async with app.open_async():
        work = app.task(name="work")(lambda n: None)
        await work.options(unique=("n",)).enqueue(None, 2)
        assert not await app.schedules.list_async()
    assert count(database_url) == 1
