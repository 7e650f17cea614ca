"""Install, remove and check the schema."""

from dataclasses import dataclass, replace
from time import sleep

import psycopg

from workrow.database.privileges import granted
from workrow.errors import SchemaError, SchemaMissing, SchemaOutdated, SchemaTooNew
from workrow.schema import objects, offline, versions
from workrow.schema.objects import Changed
from workrow.schema.targets import AlembicOperations, Run, Target, opened, wait_for_locks
from workrow.schema.versions import LATEST

_PATIENCE = 5.0
_TRIES = 10
_LONGEST = 2_000_000
"""Seconds that the server can count in milliseconds."""
# Two upgraders at the same time: the second waits, then finds nothing left to do. "workrow" in ASCII.
_LOCK = "SELECT pg_advisory_xact_lock(33618059448184695)"
_TABLE = "SELECT to_regclass('workrow.schema_version') IS NOT NULL"
# the table that our triggers are on, and our columns in: there is one instance in a database, and maybe tables of stock
# procrastinate in other schemas
_JOBS = """
WITH ours AS (
    SELECT pg_class.oid, quote_ident(nspname) AS space
    FROM pg_catalog.pg_class
    JOIN pg_catalog.pg_namespace AS space ON space.oid = relnamespace
    JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid AND attname = 'finished_at'
    WHERE relname = 'procrastinate_jobs' AND relkind = 'r'
)
SELECT to_regclass('procrastinate_jobs') IN (SELECT oid FROM ours), (SELECT space FROM ours LIMIT 1),
    current_setting('search_path')
"""
_INSTALLED = """
SELECT version, upstream, (SELECT bool_or(adopted) FROM workrow.schema_version)
FROM workrow.schema_version ORDER BY version DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """What a database has.

    Attributes:
        installed: the installed version; 0 for none.
        latest: the version that this package brings.
        upstream: the release of procrastinate whose schema it stands on; None when nothing is installed.
        adopted: procrastinate's schema was there before, and a downgrade leaves it.
        changed: functions, triggers and views that were changed or dropped by hand, and indexes that were dropped or
            are invalid; an upgrade puts them back.
    """

    installed: int
    latest: int
    upstream: str | None
    adopted: bool
    changed: tuple[Changed, ...] = ()


def upgrade(target: Target, to: int | None = None, *, lock_timeout: float | None = None) -> None:
    """Install the schema, or bring it to version ``to`` (None: the latest). Nothing to do is not an error.

    At the latest version, what ``SchemaStatus.changed`` names is put back.

    One transaction; the caller's, where ``target`` is the caller's connection.
    In alembic's offline mode (``--sql``) the statements are printed instead.

    Args:
        target: a URL, a ``psycopg.Connection``, an SQLAlchemy ``Connection`` (of any driver) or alembic's ``op``.
        to: the version to reach.
        lock_timeout: seconds that a statement waits for a lock, while all who come later wait behind it. At a URL, 5
            if None, and the upgrade is tried 10 times within about a minute; a connection keeps its own if None, and
            nothing is tried again.

    Raises:
        SchemaError: ``to`` is unknown or below the installed version, ``lock_timeout`` is no positive number, the
            connection's ``search_path`` does not find the tables of this database's instance, roles are granted and
            everybody may create in the tables' schema, or (at a URL) somebody holds a lock for too long.
        SchemaTooNew: the database is newer than this package.
        UpstreamMismatch: the installed procrastinate, or the database's, is one that this package does not know.
        DatabaseUnavailable: nothing answers at the URL.
        ConfigurationError: the URL is malformed.
    """
    to = LATEST if to is None else to
    if not 1 <= to <= LATEST:
        raise SchemaError(f"there is no version {to} of the workrow schema: this package knows 1 to {LATEST}")
    if lock_timeout is not None and not 0.001 <= lock_timeout <= _LONGEST:
        raise SchemaError(f"lock_timeout={lock_timeout} is no time to wait for a lock: give seconds, such as 5")
    if isinstance(target, str):
        _at_url(target, to, _PATIENCE if lock_timeout is None else lock_timeout)
    elif isinstance(target, AlembicOperations) and target.get_context().as_sql:
        offline.upgrade(target, to, lock_timeout)
    else:
        _upgrade(target, to, lock_timeout)


def _at_url(url: str, to: int, lock_timeout: float) -> None:
    for attempt in range(_TRIES):
        try:
            return _upgrade(url, to, lock_timeout)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            sleep(min(0.1 * 2**attempt, 2))
    raise SchemaError(
        f"the upgrade found a lock held for {lock_timeout:g} s, {_TRIES} times, and changed nothing: end the "
        "transaction that holds it (SELECT pid, query FROM pg_stat_activity ORDER BY xact_start), try again"
    )


def _upgrade(target: Target, to: int, lock_timeout: float | None) -> None:
    with opened(target) as run:
        run(_LOCK)
        ((before,),) = run("SELECT current_setting('lock_timeout')")
        if lock_timeout is not None:
            run(wait_for_locks(lock_timeout))
        installed = _refuse_newer(_status(run)).installed
        if to < installed:
            raise SchemaError(
                f"the workrow schema is at version {installed}, above {to}: to go back, call downgrade(to={to})"
            )
        for version in range(installed + 1, to + 1):
            for statement in versions.up(version):
                run(statement)
        if to == LATEST:
            objects.make(run)
        if lock_timeout is not None:
            # what the caller's transaction does afterwards is its own affair
            run(f"SET LOCAL lock_timeout = '{before}'")


def downgrade(target: Target, to: int = 0) -> None:
    """Take the schema back to version ``to``; 0 removes it, **with its jobs**.

    procrastinate's own schema goes too, unless it was there before (``SchemaStatus.adopted``).

    Args:
        target: as for ``upgrade``.
        to: the version to reach.

    Raises:
        SchemaError: ``to`` is unknown or above the installed version.
        SchemaTooNew: the database is newer than this package.
        DatabaseUnavailable: nothing answers at the URL.
        ConfigurationError: the URL is malformed.
    """
    if not 0 <= to <= LATEST:
        raise SchemaError(f"there is no version {to} of the workrow schema: this package knows 0 to {LATEST}")
    if isinstance(target, AlembicOperations) and target.get_context().as_sql:
        offline.downgrade(target, to)
        return
    with opened(target) as run:
        run(_LOCK)
        installed = _refuse_newer(_status(run)).installed
        if to > installed:
            raise SchemaError(
                f"the workrow schema is at version {installed}, below {to}: to go on, call upgrade(to={to})"
            )
        for version in range(installed, to, -1):
            for statement in versions.down(version):
                run(statement)


def status(target: Target) -> SchemaStatus:
    """What the database has.

    Raises:
        InsufficientPrivilege: this role is neither an operator nor a viewer.
        DatabaseUnavailable: nothing answers at the URL.
        ConfigurationError: the URL is malformed.
    """
    with opened(target) as run:
        found = _status(run)
        if found.installed == LATEST:
            with granted("read_installed_objects"):
                return replace(found, changed=objects.changed(run))
        return found


def check(target: Target) -> SchemaStatus:
    """What the database has, if it is what this package works with.

    Raises:
        SchemaMissing: nothing is installed.
        SchemaOutdated: a later version is needed.
        SchemaTooNew: this package is too old for the database.
        InsufficientPrivilege: this role was granted nothing.
        DatabaseUnavailable: nothing answers at the URL.
        ConfigurationError: the URL is malformed.
    """
    with opened(target) as run:
        return checked(run)


def checked(run: Run) -> SchemaStatus:
    """The same, where statements can be run already."""
    found = _refuse_newer(_status(run))
    if not found.installed:
        raise SchemaMissing(
            "this database has no workrow schema: run `alembic upgrade head` or `workrow schema upgrade`"
        )
    if found.installed < found.latest:
        raise SchemaOutdated(
            f"the database's workrow schema is at version {found.installed}, this package needs {found.latest}: "
            "run `alembic upgrade head` or `workrow schema upgrade`"
        )
    return found


def _status(run: Run) -> SchemaStatus:
    if not run(_TABLE)[0][0]:
        return SchemaStatus(installed=0, latest=LATEST, upstream=None, adopted=False)
    ((here, there, path),) = run(_JOBS)
    if not here:
        where = f"are in schema {there}: put {there} first on the search_path" if there else "are gone"
        raise SchemaError(
            f"this connection does not see our procrastinate_jobs, its search_path is {path}, "
            f"and the tables of this database's instance {where}"
        )
    installed = run(_INSTALLED)
    if not installed:
        raise SchemaError("workrow.schema_version is empty, which says what is installed: put its rows back")
    ((version, upstream, adopted),) = installed
    return SchemaStatus(installed=version, latest=LATEST, upstream=upstream, adopted=adopted)


def _refuse_newer(found: SchemaStatus) -> SchemaStatus:
    if found.installed > found.latest:
        raise SchemaTooNew(
            f"the database's workrow schema is at version {found.installed}, this package knows up to {found.latest}: "
            "upgrade the workrow package"
        )
    return found
