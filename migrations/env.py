"""How alembic reaches the database.

``alembic -x name=value`` changes: ``url``, ``lock_timeout`` (5s: how long a statement waits for a lock),
``statement_timeout`` (5min), ``deploy_wait`` (60: seconds to wait for another deployer).
Without ``url``, it is the application's own.
"""

import logging
import sys
import time
from collections.abc import Iterable
from logging.config import fileConfig
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.script import ScriptDirectory

import jobs.access.models
import jobs.analytics.models
import jobs.audit.models
import jobs.cache.models
import jobs.calls.models
import jobs.campaigns.models
import jobs.chats.models
import jobs.emails.models
import jobs.leads.models
import jobs.users.models
import jobs.webhooks.models  # noqa: F401 - each import adds a domain's tables to the metadata
import workrow.schema
from jobs.database import Base
from jobs.settings import get_settings
from workrow.errors import ConfigurationError, SchemaError, WorkrowError

DEFAULTS = {"url": "", "lock_timeout": "5s", "statement_timeout": "5min", "deploy_wait": "60"}
DEPLOYERS = 0x6D696772617465  # the advisory lock's key: "migrate" in ASCII

logger = logging.getLogger("alembic.deploy")


def main() -> None:
    if context.config.config_file_name and hasattr(context.config.cmd_opts, "cmd"):
        # only as the alembic command: in any other program, logging is the program's affair
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    try:
        options = read_options()
        if context.is_offline_mode():
            migrate_offline(options)
        else:
            migrate_online(options)
    except WorkrowError as error:
        sys.exit(f"error: {error}")
    except (sa.exc.OperationalError, sa.exc.DataError) as error:
        sys.exit(f"error: {str(error.orig).partition(chr(10) + 'CONTEXT:')[0].strip()}")


def read_options() -> dict[str, str]:
    given = context.get_x_argument(as_dictionary=True)
    for name in given.keys() - DEFAULTS.keys():
        raise ConfigurationError(f"unknown option -x {name}={given[name]}: known are {', '.join(DEFAULTS)}")
    options = {**DEFAULTS, **given}
    if not options["deploy_wait"].isdecimal():
        raise ConfigurationError(f"-x deploy_wait={options['deploy_wait']} is no number of seconds: write 60")
    return options


def migrate_offline(options: dict[str, str]) -> None:
    configure(dialect_name="postgresql", literal_binds=True, dialect_opts={"paramstyle": "named"})
    for name in ("lock_timeout", "statement_timeout"):
        context.execute(f"SET {name} = '{options[name]}'")
    with context.begin_transaction():
        context.run_migrations()


def migrate_online(options: dict[str, str]) -> None:
    url = options["url"] or get_settings().database_url
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: workrow.schema.connect(url), poolclass=sa.NullPool
    )
    with engine.connect() as connection:  # closing it releases the lock, however this ends
        for name in ("lock_timeout", "statement_timeout"):
            connection.execute(sa.select(sa.func.set_config(name, options[name], False)))
        connection.commit()
        become_the_only_deployer(connection, options["deploy_wait"])
        configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


def become_the_only_deployer(connection: sa.Connection, deploy_wait: str) -> None:
    """Take the lock for this session. Polls: a blocked statement would hold a snapshot that the other may wait for."""
    deadline = time.monotonic() + int(deploy_wait)
    waiting = False
    while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(DEPLOYERS))):
        connection.rollback()
        if time.monotonic() > deadline:
            raise SchemaError(
                f"another deployer has been migrating this database for {deploy_wait} s: "
                "try again when it is done, or wait longer with -x deploy_wait=600"
            )
        if not waiting:
            logger.warning("another deployer is migrating this database; waiting for it up to %s s", deploy_wait)
            waiting = True
        time.sleep(0.2)
    connection.commit()


def configure(**options: Any) -> None:
    context.configure(
        target_metadata=Base.metadata,
        include_object=workrow.schema.include_object,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
        process_revision_directives=number,
        on_version_apply=leave_base_empty,
        **options,
    )


def number(_context: Any, _head: Any, directives: Iterable[Any]) -> None:
    """Revisions are 0001, 0002 …: one line of history, in the order of its files."""
    head = ScriptDirectory.from_config(context.config).get_current_head()
    for script in directives:
        script.rev_id = f"{int(head or 0) + 1:04}"


def leave_base_empty(*, ctx: Any, heads: set[str], **_: Any) -> None:
    if not heads:
        ctx.execute("DROP TABLE alembic_version")


main()
