"""Any of procrastinate's connectors that an app was given: where it leads to, and how its job manager asks it."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

import procrastinate
import psycopg_pool
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.testing import InMemoryConnector
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from workrow.database.connector import Connector, SyncConnector
from workrow.database.privileges import refused
from workrow.database.upstream_queries import kind_for, ours
from workrow.errors import ConfigurationError, InsufficientPrivilege

_beside: WeakKeyDictionary[BaseConnector, Connector] = WeakKeyDictionary()


def url_of(connector: BaseConnector) -> str:
    """The libpq URL of the database that a connector leads to.

    Raises:
        ConfigurationError: it leads to none that it tells, such as procrastinate's connector for tests.
    """
    if isinstance(connector, Connector):
        return connector.url
    given = _parameters(connector)
    if given is None:
        raise ConfigurationError(
            f"the app's connector, a {type(connector).__name__}, does not tell its URL; "
            "make the app with workrow.App('postgresql://…')"
        )
    return f"postgresql:///?{urlencode(given, quote_via=quote)}"


def tells_url(connector: BaseConnector) -> bool:
    """Whether it is one of a database."""
    return isinstance(connector, Connector) or _parameters(connector) is not None


def check_database(connector: BaseConnector) -> None:
    """Raise ConfigurationError for procrastinate's connector for tests, which knows no statements of ours."""
    if isinstance(connector, InMemoryConnector):
        raise ConfigurationError(
            "the app's jobs are in memory (an InMemoryConnector): ask app.job_manager (get_job_status, "
            "cancel_job_by_id), or give the app a database, workrow.App('postgresql://…')"
        )


def _parameters(connector: Any) -> dict[str, str] | None:
    """libpq's parameters, in the words of whichever driver it has; None where it has none."""
    if hasattr(connector, "get_worker_connector"):  # Django's
        return _parameters(connector.get_worker_connector())
    if hasattr(connector, "_engine_dsn"):  # SQLAlchemy's
        return _of_engine(connector)
    if (pool := getattr(connector, "_async_pool", None) or getattr(connector, "_pool", None)) is not None:
        if hasattr(pool, "conninfo"):
            return _libpq(pool.conninfo, _called(pool.kwargs) or {})
        if hasattr(pool, "_conn_kwargs"):  # aiopg's
            return _libpq(pool._dsn, pool._conn_kwargs)
        return _libpq(next(iter(pool._args), "") or pool._kwargs.get("dsn"), pool._kwargs)  # psycopg2's
    if (given := getattr(connector, "_pool_args", None)) is None:
        return None
    return _libpq(given.get("conninfo") or given.get("dsn"), {**given, **(_called(given.get("kwargs")) or {})})


def _of_engine(connector: Any) -> dict[str, str] | None:
    """None where nothing is told: it is a ``creator=`` or an engine's own arguments that know, and not the URL."""
    from sqlalchemy import make_url

    url = make_url(connector._engine.url if connector._engine is not None else connector._engine_dsn)
    given = {} if connector._engine_externally_set else connector._engine_kwargs
    arguments = {**url.get_dialect()().create_connect_args(url)[1], **given.get("connect_args", {})}
    if not arguments and (connector._engine_externally_set or "creator" in given):
        return None
    return _libpq(arguments.get("dsn"), arguments)


def _libpq(text: Any, named: Mapping[str, Any]) -> dict[str, str]:
    """What libpq knows of this: a pool's parameters, psycopg's and its own may stand side by side."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    renamed = {"dbname" if name == "database" else name: value for name, value in named.items() if value is not None}
    own = {name: str(value) for name, value in renamed.items() if name in known}
    return {**{name: str(value) for name, value in conninfo_to_dict(_called(text) or "").items()}, **own}


def _called(given: Any) -> Any:
    """psycopg's pool takes functions for these too."""
    return given() if callable(given) else given


def psycopg_of(connector: BaseConnector) -> procrastinate.PsycopgConnector:
    """psycopg's connections to its database: itself, or one beside it where it has another driver.

    Raises:
        ConfigurationError: it leads to no database.
    """
    return connector if isinstance(connector, procrastinate.PsycopgConnector) else _companion(connector)


async def pool_of(connector: BaseConnector) -> psycopg_pool.AsyncConnectionPool:
    """The pool of these connections.

    Raises:
        AppNotOpen: it is not open.
        ConfigurationError: it leads to no database, or the connections beside it lead to another one.
        DatabaseUnavailable: nothing answers there.
    """
    from workrow.database import beside

    own = psycopg_of(connector)
    await beside.check_async(connector, own)
    return await own.opened() if isinstance(own, Connector) else own.pool


def sync_pool_of(connector: BaseConnector) -> psycopg_pool.ConnectionPool:
    """The same of connections that block."""
    sync = connector.get_sync_connector()
    if not isinstance(sync, procrastinate.SyncPsycopgConnector):  # one of psycopg, opened, is its own
        from workrow.database import beside

        companion = _companion(connector)
        beside.check(connector, companion)
        sync = cast("SyncConnector", companion.get_sync_connector())
    return sync.pool


def _companion(connector: BaseConnector) -> Connector:
    if connector not in _beside:
        _beside[connector] = Connector(url_of(connector), lazy=True)
    return _beside[connector]


async def close_beside_async(connector: BaseConnector) -> None:
    """Close what `pool_of` and `sync_pool_of` have opened beside it."""
    if (own := _beside.pop(connector, None)) is not None:
        await own.close_async()


def close_beside(connector: BaseConnector) -> None:
    """The same of `sync_pool_of` alone."""
    if connector in _beside:
        _beside[connector].get_sync_connector().close()


class NotGranted(InsufficientPrivilege, ConnectorException):
    """A grant is missing, told to those who expect what procrastinate raises."""


class Asked:
    """A connector as job managers ask it: its reads see history too, and a missing grant is told in one line. All else
    is its own.

    Args:
        connector: what it stands for.
    """

    def __init__(self, connector: BaseConnector) -> None:
        self._connector = connector

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connector, name)
        return _asking(found) if name.startswith("execute_query") else found

    def get_sync_connector(self) -> BaseConnector:
        """See procrastinate."""
        return asked(self._connector.get_sync_connector())


def asked(connector: BaseConnector) -> BaseConnector:
    """One that stands for this connector, see `Asked`; itself in memory, for that knows queries by their text."""
    return connector if isinstance(connector, InMemoryConnector) else cast("BaseConnector", Asked(connector))


def _asking(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    def run(*args: Any, **arguments: Any) -> Any:
        if "query" in arguments:
            query = arguments["query"]
            arguments["query"] = ours(query)
        else:
            query = args[-1]
            args = (*args[:-1], ours(query))
        try:
            result = execute(*args, **arguments)
        except ConnectorException as error:
            problem = _told(error, query)
        else:
            return _awaited(result, query) if inspect.isawaitable(result) else result
        raise problem

    return run


async def _awaited(result: Awaitable[Any], query: str) -> Any:
    try:
        return await result
    except ConnectorException as error:
        problem = _told(error, query)
    # outside the except clause, so that procrastinate's CLI prints this line and not its whole ancestry
    raise problem


def _told(error: ConnectorException, query: str) -> ConnectorException:
    missing = refused(error, kind_for(query))
    return error if missing is None else NotGranted(str(missing))
