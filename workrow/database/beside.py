"""Whether connections made beside a connector of another driver lead to the database that it leads to itself.

Where a connector leads to is read from what it was made with, and drivers and engines have more ways to say so than can
be read (SQLAlchemy's events, psycopg2's ``connection_factory=``, the environment at another time).
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import procrastinate
import psycopg
from procrastinate.connector import BaseAsyncConnector, BaseConnector
from psycopg.rows import dict_row

from workrow import sql
from workrow.database.connector import CONNECT_TIMEOUT, Connector
from workrow.database.urls import masked, unavailable
from workrow.errors import ConfigurationError, DatabaseUnavailable

_checked: WeakSet[BaseConnector] = WeakSet()


async def check_async(connector: BaseConnector, own: procrastinate.PsycopgConnector) -> None:
    """See `check`; ``own`` may be the connector itself."""
    if _needs_none(connector, own):
        return
    if not isinstance(connector, BaseAsyncConnector):
        await asyncio.to_thread(check, connector, own)
        return
    mine = await connector.execute_query_one_async(sql.load("which_database"))
    await asyncio.to_thread(_compare, connector, own, mine)


def check(connector: BaseConnector, own: procrastinate.PsycopgConnector) -> None:
    """Ask both once, when they are first used.

    Raises:
        AppNotOpen: the connector is not open.
        ConfigurationError: they lead to different databases.
        DatabaseUnavailable: nothing answers there.
    """
    if _needs_none(connector, own):
        return
    sync = connector.get_sync_connector()
    if not isinstance(sync, BaseAsyncConnector):  # an open one of aiopg has connections for its event loop alone
        _compare(connector, own, sync.execute_query_one(sql.load("which_database")))


def _needs_none(connector: BaseConnector, own: BaseConnector) -> bool:
    # Django's has connections for each thread, which nobody would close
    psycopgs = isinstance(connector, procrastinate.PsycopgConnector | procrastinate.SyncPsycopgConnector)
    return psycopgs or own in _checked or hasattr(connector, "get_worker_connector")


def _compare(connector: BaseConnector, own: procrastinate.PsycopgConnector, mine: Mapping[str, Any]) -> None:
    assert isinstance(own, Connector)
    problem: psycopg.OperationalError
    try:
        with psycopg.connect(own.url, connect_timeout=CONNECT_TIMEOUT, row_factory=dict_row) as connection:
            theirs = connection.execute(sql.load("which_database")).fetchone()
    except psycopg.OperationalError as error:
        problem = error
    else:
        if theirs != dict(mine):
            raise ConfigurationError(
                f"the connections of the app's connector, a {type(connector).__name__}, lead to another database than "
                f"what it was made with, {masked(own.url)}; write the address in its dsn=, or make the app with "
                "workrow.App('postgresql://…')"
            )
        _checked.add(own)
        return
    raise DatabaseUnavailable(unavailable(own.url, problem))
